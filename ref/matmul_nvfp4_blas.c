/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVFP4 sums by float64 BLAS: portable, and the cross-check of other kernels.
 *
 * Operands are decoded to integers in float64. K is cut into pieces of 1024,
 * within which no partial sum, in whatever order BLAS takes them, reaches
 * 2^53 (up to 74 blocks x 1.21e14, K = 1184): with beta = 0 a piece is exact,
 * and pieces are added in int64. A piece of the weights is fetched, decoded,
 * multiplied and dropped.
 */
#include "ref/matmul_nvfp4.h"

#include "base/hot.h"
#include "ref/formats.h"
#include "ref/nvfp4_decode.h"
#include "ref/swizzle.h"

#include <cblas.h>
#include <string.h>

enum {
    MAX_ROWS = 256,
    MAX_PANEL = 1024, /* what GEMM packs of either is used often */
    FEW_ROWS = 48,    /* of which it packs little: a piece of a panel then */
    FEW_PANEL = 48,   /* stays in the cache from its decoding to its use */
    ALIGN = 64,
    GAP = 8 /* numbers between rows: at distances of a power of two they would
             * drive each other out of the cache */
};

/* The parts of the work memory, each aligned; what prepare() makes lies at
 * places that the number of weight rows does not move. */
typedef struct {
    double *x;       /* [n][K + GAP] rows decoded */
    double *weights; /* [rows][piece + GAP] a piece decoded */
    double *product; /* [n][rows] of a piece */
    uint8_t *codes;  /* [rows][piece / 2] */
    uint8_t *scales; /* [rows][piece / 16] */
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
    int64_t piece = smaller(k, MOE_NVFP4_PIECE);
    int64_t number = (int64_t)sizeof(double);
    work_t w = {0};

    w.x = take(base, n * (k + GAP) * number, &w.bytes);
    w.weights = take(base, rows * (piece + GAP) * number, &w.bytes);
    w.product = take(base, n * rows * number, &w.bytes);
    w.codes = take(base, rows * piece / 2, &w.bytes);
    w.scales = take(base, rows * (piece / MOE_NVFP4_BLOCK), &w.bytes);
    return w;
}

static bool available(void)
{
    return true;
}

static int64_t work_bytes(int64_t n, int64_t rows, int64_t k)
{
    return cut_work(NULL, n, rows, k).bytes;
}

static void prepare(const moe_nvfp4_tile_t *tile, void *work)
{
    const moe_rows_t *x = tile->x;
    int64_t k = x->cols;
    int64_t blocks = k / MOE_NVFP4_BLOCK;
    const uint8_t *scales = x->scales;
    work_t w = cut_work(work, tile->n, tile->rows, k);

    for (int64_t i = 0; i < tile->n; i++) {
        const int64_t row = tile->first + i;
        const uint8_t *codes = moe_rows_codes(x, row);
        double *out = w.x + i * (k + GAP);

        if (x->layout == MOE_SCALES_linear) {
            moe_nvfp4_decode(codes, scales + row * blocks, blocks, out);
            continue;
        }
        for (int64_t b = 0; b < blocks; b++) {
            moe_nvfp4_decode(codes + b * (MOE_NVFP4_BLOCK / 2),
                             scales +
                                 moe_scales_offset(x->layout, blocks, row, b),
                             1, out + b * MOE_NVFP4_BLOCK);
        }
    }
}

/*
 * sums += product, integers below 2^53, which is taken apart at 2^26: added to
 * 3 x 2^51 times the unit that is to remain, a part stands in the last bits.
 */
MOE_HOT static void add_integers(const double *restrict product, int64_t n,
                                 int64_t *restrict sums)
{
    const double high_magic = 0x3p77;
    const double low_magic = 0x3p51;
    const int64_t high_bits = (int64_t)moe_f64_bits(high_magic);
    const int64_t low_bits = (int64_t)moe_f64_bits(low_magic);

    for (int64_t i = 0; i < n; i++) {
        const double at = product[i] + high_magic;
        const double low = product[i] - (at - high_magic);
        const int64_t high = (int64_t)moe_f64_bits(at) - high_bits;

        sums[i] += high * (INT64_C(1) << 26) +
                   ((int64_t)moe_f64_bits(low + low_magic) - low_bits);
    }
}

static void decode_piece(const work_t *w, int64_t rows, int64_t cols)
{
    const int64_t blocks = cols / MOE_NVFP4_BLOCK;

    for (int64_t j = 0; j < rows; j++) {
        moe_nvfp4_decode(w->codes + j * cols / 2, w->scales + j * blocks,
                         blocks, w->weights + j * (cols + GAP));
    }
}

static void sum(const moe_nvfp4_tile_t *tile, void *work, int64_t *sums)
{
    const moe_nvfp4_weights_t *weights = tile->weights;
    int64_t k = tile->x->cols;
    int64_t n_sums = tile->n * tile->rows;
    work_t w = cut_work(work, tile->n, tile->rows, k);

    memset(sums, 0, (size_t)n_sums * sizeof(*sums));
    for (int64_t c = 0; c < k; c += MOE_NVFP4_PIECE) {
        int64_t cols = smaller(k - c, MOE_NVFP4_PIECE);

        weights->fetch(weights->from, tile->row, tile->rows, c, cols, w.codes,
                       w.scales);
        decode_piece(&w, tile->rows, cols);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)tile->n,
                    (int)tile->rows, (int)cols, 1.0, w.x + c, (int)(k + GAP),
                    w.weights, (int)(cols + GAP), 0.0, w.product,
                    (int)tile->rows);
        add_integers(w.product, n_sums, sums);
    }
}

const moe_nvfp4_kernel_t moe_nvfp4_blas = {
    .name = "blas",
    .max_rows = MAX_ROWS,
    .max_panel = MAX_PANEL,
    .few_rows = FEW_ROWS,
    .few_panel = FEW_PANEL,
    .available = available,
    .work_bytes = work_bytes,
    .prepare = prepare,
    .sum = sum,
};
