/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/matmul_nvfp4_int.h"

#include "base/hot.h"
#include "ref/formats.h"
#include "ref/swizzle.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* What the kernels that share this have at least. */
#define INT        __attribute__((target("ssse3")))
#define INT_INLINE static inline __attribute__((always_inline, target("ssse3")))

#ifndef MOE_INT_NARROW
#define MOE_INT_NARROW INT32_MAX /* a narrow sum at most */
#endif

enum {
    PANEL = MOE_INT_ROWS,
    MAX_TILE = 8,
    ALIGN = 64
};

/* What the scales of 16 rows in a piece have in common. */
typedef struct {
    int32_t shift[PANEL]; /* they were divided by 2^shift */
    int32_t most[PANEL];  /* the greatest magnitude, divided */
} range_t;

/* The same of a row of x. */
typedef struct {
    int32_t shift;
    int32_t most;
} row_range_t;

/* The parts of the work memory, each aligned; what prepare() makes lies at
 * places that the number of weight rows does not move. */
typedef struct {
    moe_int_block_t *x; /* by piece, by tile: [blocks][rows of the tile] */
    row_range_t *range; /* [pieces][n] */
    moe_int_panel_t *panel;
    uint8_t *codes; /* of a piece of a panel */
    uint8_t *scales;
    int64_t *sums; /* [panels][n][16] */
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

static work_t cut_work(void *base, int64_t n, int64_t rows, int64_t k)
{
    const int64_t panels = (rows + PANEL - 1) / PANEL;
    const int64_t row = MOE_NVFP4_PIECE / 2;
    const int64_t pieces = (k + MOE_NVFP4_PIECE - 1) / MOE_NVFP4_PIECE;
    work_t w = {0};

    w.x =
        take(base, n * (k / MOE_NVFP4_BLOCK) * (int64_t)sizeof(*w.x), &w.bytes);
    w.range = take(base, pieces * n * (int64_t)sizeof(*w.range), &w.bytes);
    w.panel = take(base, (int64_t)sizeof(*w.panel), &w.bytes);
    w.codes = take(base, PANEL * row, &w.bytes);
    w.scales = take(base, (int64_t)PANEL * MOE_INT_BLOCKS, &w.bytes);
    w.sums =
        take(base, panels * n * PANEL * (int64_t)sizeof(*w.sums), &w.bytes);
    return w;
}

int64_t moe_int_work_bytes(int64_t n, int64_t rows, int64_t k)
{
    return cut_work(NULL, n, rows, k).bytes;
}

/* Rows of the tile that begins where `left` rows are left. */
static int64_t tile_rows(const moe_int_loops_t *loops, int64_t left)
{
    int64_t n = loops->tile;

    while (n > left) {
        n /= 2;
    }
    return n;
}

/* Take out of the scales of each row the power of two that all have. */
MOE_HOT static void divide_scales(int32_t (*scale)[PANEL], int64_t blocks,
                                  range_t *out)
{
    uint32_t any[PANEL] = {0};

    memset(out, 0, sizeof(*out));
    for (int64_t b = 0; b < blocks; b++) {
        for (int r = 0; r < PANEL; r++) {
            any[r] |= (uint32_t)scale[b][r];
        }
    }
    for (int r = 0; r < PANEL; r++) {
        out->shift[r] = any[r] != 0 ? __builtin_ctz(any[r]) : 0;
    }
    for (int64_t b = 0; b < blocks; b++) {
        for (int r = 0; r < PANEL; r++) {
            const int32_t divided = scale[b][r] >> out->shift[r];
            const int32_t size = divided < 0 ? -divided : divided;

            scale[b][r] = divided;
            out->most[r] = out->most[r] > size ? out->most[r] : size;
        }
    }
}

/* The code of a column comes to its place in a word of four. */
INT_INLINE void pack_block(const uint8_t *codes, int32_t scale,
                           moe_int_block_t *out)
{
    const __m128i of =
        _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    const __m128i nibble = _mm_set1_epi8(15);
    const __m128i two = _mm_loadl_epi64((const __m128i *)(const void *)codes);
    const __m128i even = _mm_and_si128(two, nibble);
    const __m128i odd = _mm_and_si128(_mm_srli_epi16(two, 4), nibble);
    const __m128i value = _mm_shuffle_epi8(of, _mm_unpacklo_epi32(even, odd));
    const __m128i sum = _mm_sad_epu8(
        _mm_add_epi8(value, _mm_set1_epi8(MOE_INT_BIAS)), _mm_setzero_si128());

    _mm_storeu_si128((__m128i *)(void *)out->codes, value);
    out->start = MOE_INT_BIAS *
                 (MOE_INT_BIAS * MOE_NVFP4_BLOCK - _mm_cvtsi128_si32(sum) -
                  _mm_cvtsi128_si32(_mm_srli_si128(sum, 8)));
    out->scale = scale;
}

/* Rows [first, first + n) of x, blocks from `block` on: n at most PANEL. */
static void read_scales(const moe_rows_t *x, int64_t first, int64_t n,
                        int64_t block, int64_t blocks, int32_t (*scale)[PANEL])
{
    const uint8_t *scales = x->scales;
    const int64_t all = x->cols / MOE_NVFP4_BLOCK;

    memset(scale, 0, (size_t)blocks * sizeof(*scale));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t b = 0; b < blocks; b++) {
            scale[b][i] = moe_e4m3_units(scales[moe_scales_offset(
                x->layout, all, first + i, block + b)]);
        }
    }
}

INT static void prepare_tile(const moe_rows_t *x, int64_t first, int64_t n,
                             int64_t block, int64_t blocks, moe_int_block_t *to,
                             row_range_t *range_of)
{
    int32_t scale[MOE_INT_BLOCKS][PANEL];
    range_t range;

    read_scales(x, first, n, block, blocks, scale);
    divide_scales(scale, blocks, &range);
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *codes =
            moe_rows_codes(x, first + i) + block * (MOE_NVFP4_BLOCK / 2);

        range_of[i] = (row_range_t){range.shift[i], range.most[i]};
        for (int64_t b = 0; b < blocks; b++) {
            pack_block(codes + b * (MOE_NVFP4_BLOCK / 2), scale[b][i],
                       &to[b * n + i]);
        }
    }
}

/* A piece of columns: its part of the work memory. */
typedef struct {
    int64_t col;
    int64_t blocks;
    moe_int_block_t *x;
    row_range_t *range;
} piece_t;

static piece_t piece_at(const work_t *w, int64_t n, int64_t k, int64_t col)
{
    return (piece_t){.col = col,
                     .blocks =
                         smaller(k - col, MOE_NVFP4_PIECE) / MOE_NVFP4_BLOCK,
                     .x = w->x + col / MOE_NVFP4_BLOCK * n,
                     .range = w->range + col / MOE_NVFP4_PIECE * n};
}

void moe_int_prepare(const moe_int_loops_t *loops, const moe_nvfp4_tile_t *tile,
                     void *work)
{
    const int64_t k = tile->x->cols;
    const work_t w = cut_work(work, tile->n, tile->rows, k);
    int64_t n;

    for (int64_t c = 0; c < k; c += MOE_NVFP4_PIECE) {
        const piece_t p = piece_at(&w, tile->n, k, c);

        for (int64_t i = 0; i < tile->n; i += n) {
            n = tile_rows(loops, tile->n - i);
            prepare_tile(tile->x, tile->first + i, n, c / MOE_NVFP4_BLOCK,
                         p.blocks, p.x + i * p.blocks, p.range + i);
        }
    }
}

/* May a tile be summed narrow: do products of scales fit int16, and sums? */
static bool is_narrow(const range_t *w, const row_range_t *x, int64_t n,
                      int64_t blocks)
{
    int64_t most_w = 0;
    int64_t most_x = 0;

    for (int r = 0; r < PANEL; r++) {
        most_w = most_w > w->most[r] ? most_w : w->most[r];
    }
    for (int64_t i = 0; i < n; i++) {
        most_x = most_x > x[i].most ? most_x : x[i].most;
    }
    return most_w * most_x <= INT16_MAX &&
           most_w * most_x * blocks * MOE_INT_DOT <= MOE_INT_NARROW;
}

/* sums [n][16] += part [n][16] x 2^shift of its row and its weights. */
MOE_HOT static void add_divided(const int64_t *part, const range_t *w,
                                const row_range_t *x, int64_t n, int64_t *sums)
{
    for (int64_t i = 0; i < n; i++) {
        for (int r = 0; r < PANEL; r++) {
            const uint64_t value = (uint64_t)part[i * PANEL + r];

            sums[i * PANEL + r] +=
                (int64_t)(value << (w->shift[r] + x[i].shift));
        }
    }
}

/* A piece of a panel, decoded, times all rows; sums [n][16]. */
static void add_panel(const moe_int_loops_t *loops, const piece_t *p, int64_t n,
                      const moe_int_panel_t *panel, const range_t *range,
                      int64_t *sums)
{
    int64_t part[MAX_TILE * PANEL];
    int64_t some;

    for (int64_t i = 0; i < n; i += some) {
        const moe_int_block_t *x = p->x + i * p->blocks;

        some = tile_rows(loops, n - i);
        (is_narrow(range, p->range + i, some, p->blocks)
             ? loops->narrow
             : loops->wide)(panel, x, p->blocks, some, part);
        add_divided(part, range, p->range + i, some, sums + i * PANEL);
    }
}

/* A piece of all panels: so x comes from near. */
static void add_piece(const moe_int_loops_t *loops,
                      const moe_nvfp4_tile_t *tile, const work_t *w,
                      const piece_t *p)
{
    const moe_nvfp4_weights_t *weights = tile->weights;
    range_t range;

    for (int64_t row = 0; row < tile->rows; row += PANEL) {
        weights->fetch_panel(weights->from, tile->row + row, p->col,
                             p->blocks * MOE_NVFP4_BLOCK, w->codes, w->scales);
        loops->decode(w->codes, w->scales, p->blocks, w->panel);
        divide_scales(w->panel->scales, p->blocks, &range);
        add_panel(loops, p, tile->n, w->panel, &range, w->sums + row * tile->n);
    }
}

static void copy_sums(const moe_nvfp4_tile_t *tile, const int64_t *from,
                      int64_t *sums)
{
    for (int64_t p = 0; p < tile->rows; p += PANEL) {
        const int64_t rows = smaller(tile->rows - p, PANEL);

        for (int64_t i = 0; i < tile->n; i++) {
            memcpy(sums + i * tile->rows + p, from + p * tile->n + i * PANEL,
                   (size_t)rows * sizeof(*sums));
        }
    }
}

void moe_int_sum(const moe_int_loops_t *loops, const moe_nvfp4_tile_t *tile,
                 void *work, int64_t *sums)
{
    const int64_t k = tile->x->cols;
    const work_t w = cut_work(work, tile->n, tile->rows, k);
    const int64_t panels = (tile->rows + PANEL - 1) / PANEL;

    memset(w.sums, 0, (size_t)(panels * tile->n * PANEL) * sizeof(*w.sums));
    for (int64_t c = 0; c < k; c += MOE_NVFP4_PIECE) {
        const piece_t p = piece_at(&w, tile->n, k, c);

        add_piece(loops, tile, &w, &p);
    }
    copy_sums(tile, w.sums, sums);
}
#endif
