/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/matmul_nvfp4_int.h"

#include "ref/formats.h"
#include "ref/swizzle.h"

#include <string.h>

enum {
    PANEL = MOE_FILL_PANEL_ROWS,
    ALIGN = 64
};

/* The parts of the work memory, each aligned; what prepare() makes lies at
 * places that the number of weight rows does not move. */
typedef struct {
    moe_int_block_t *x; /* [K / 16][n] */
    int64_t *sums;      /* [n][16] */
    int32_t *units;     /* [blocks of a piece][16] */
    uint8_t *codes;     /* of a piece of a panel */
    uint8_t *scales;
    int64_t bytes;
} work_t;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Take bytes at the end of the work memory; base may be NULL to measure. */
static void *take(uint8_t *base, int64_t bytes, int64_t *used_p)
{
    void *part = base != NULL ? base + *used_p : NULL;

    *used_p += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return part;
}

static work_t cut_work(void *base, int64_t n, int64_t k)
{
    const int64_t row = MOE_NVFP4_PIECE / 2;
    work_t w = {0};

    w.x =
        take(base, n * (k / MOE_NVFP4_BLOCK) * (int64_t)sizeof(*w.x), &w.bytes);
    w.sums = take(base, n * PANEL * (int64_t)sizeof(*w.sums), &w.bytes);
    w.units = take(base, (int64_t)MOE_INT_BLOCKS * PANEL * 4, &w.bytes);
    w.codes = take(base, PANEL * row, &w.bytes);
    w.scales = take(base, (int64_t)PANEL * MOE_INT_BLOCKS, &w.bytes);
    return w;
}

int64_t moe_int_work_bytes(int64_t n, int64_t rows, int64_t k)
{
    (void)rows; /* one panel after the other */
    return cut_work(NULL, n, k).bytes;
}

/* Code of a column in a word of four, and the word. */
static moe_int_block_t block_of(const uint8_t *codes, int32_t scale)
{
    moe_int_block_t block = {.scale = scale};
    int8_t byte[MOE_NVFP4_BLOCK];
    int sum = 0;

    for (int i = 0; i < MOE_NVFP4_BLOCK; i++) {
        int twice = moe_e2m1_twice((uint8_t)(codes[i / 2] >> (4 * (i % 2))));

        byte[i / 8 * 8 + i % 2 * 4 + i % 8 / 2] = (int8_t)twice;
        sum += twice;
    }
    memcpy(block.codes, byte, sizeof(byte));
    block.start = -MOE_INT_BIAS * sum;
    return block;
}

void moe_int_prepare(const moe_nvfp4_tile_t *tile, void *work)
{
    const moe_rows_t *x = tile->x;
    int64_t blocks = x->cols / MOE_NVFP4_BLOCK;
    const uint8_t *scales = x->scales;
    work_t w = cut_work(work, tile->n, x->cols);

    for (int64_t i = 0; i < tile->n; i++) {
        const uint8_t *codes = moe_rows_codes(x, tile->first + i);

        for (int64_t b = 0; b < blocks; b++) {
            int64_t at =
                moe_scales_offset(x->layout, blocks, tile->first + i, b);

            w.x[b * tile->n + i] = block_of(codes + b * (MOE_NVFP4_BLOCK / 2),
                                            moe_e4m3_units(scales[at]));
        }
    }
}

/* The panel of 16 rows from row on, into w->sums. */
static void sum_panel(const moe_int_loops_t *loops,
                      const moe_nvfp4_tile_t *tile, const work_t *w,
                      int64_t row)
{
    const moe_nvfp4_weights_t *weights = tile->weights;
    int64_t k = tile->x->cols;
    moe_int_piece_t piece = {.codes = w->codes,
                             .units = w->units,
                             .stride = tile->n,
                             .n = tile->n,
                             .sums = w->sums};

    memset(w->sums, 0, (size_t)(tile->n * PANEL) * sizeof(*w->sums));
    for (int64_t c = 0; c < k; c += MOE_NVFP4_PIECE) {
        int64_t cols = smaller(k - c, MOE_NVFP4_PIECE);

        weights->fetch_panel(weights->from, row, c, cols, w->codes, w->scales);
        piece.blocks = cols / MOE_NVFP4_BLOCK;
        piece.x = w->x + c / MOE_NVFP4_BLOCK * tile->n;
        loops->decode(w->scales, piece.blocks, w->units);
        loops->add(&piece);
    }
}

void moe_int_sum(const moe_int_loops_t *loops, const moe_nvfp4_tile_t *tile,
                 void *work, int64_t *sums)
{
    work_t w = cut_work(work, tile->n, tile->x->cols);

    for (int64_t p = 0; p < tile->rows; p += PANEL) {
        int64_t rows = smaller(tile->rows - p, PANEL);

        sum_panel(loops, tile, &w, tile->row + p);
        for (int64_t i = 0; i < tile->n; i++) {
            memcpy(sums + i * tile->rows + p, w.sums + i * PANEL,
                   (size_t)rows * sizeof(*sums));
        }
    }
}
