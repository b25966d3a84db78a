/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVFP4 sums by float64 BLAS: portable, and the cross-check of other kernels.
 *
 * Operands are decoded to integers in float64. K is cut into pieces of 1024,
 * within which no partial sum, in whatever order BLAS takes them, reaches
 * 2^53 (up to 74 blocks x 1.21e14, K = 1184): with beta = 0 a piece is exact,
 * and pieces are added in int64. A piece of the weights is fetched, decoded,
 * multiplied and dropped inside the cache.
 */
#include "ref/matmul_nvfp4.h"

#include "ref/nvfp4_decode.h"
#include "ref/swizzle.h"

#include <cblas.h>
#include <string.h>

enum {
    MAX_ROWS = 128,
    MAX_PANEL = 48, /* 16 rows of it: OpenBLAS then packs nothing */
    ALIGN = 64
};

/* The parts of the work memory, each aligned; what prepare() makes lies at
 * places that the number of weight rows does not move. */
typedef struct {
    double *x;       /* [n][K] rows decoded */
    double *weights; /* [rows][piece] a piece decoded */
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

    w.x = take(base, n * k * number, &w.bytes);
    w.weights = take(base, rows * piece * number, &w.bytes);
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
        const uint8_t *codes = moe_rows_codes(x, tile->first + i);

        for (int64_t b = 0; b < blocks; b++) {
            int64_t at =
                moe_scales_offset(x->layout, blocks, tile->first + i, b);

            moe_nvfp4_decode(codes + b * (MOE_NVFP4_BLOCK / 2), scales + at, 1,
                             w.x + i * k + b * MOE_NVFP4_BLOCK);
        }
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
        moe_nvfp4_decode(w.codes, w.scales,
                         tile->rows * (cols / MOE_NVFP4_BLOCK), w.weights);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)tile->n,
                    (int)tile->rows, (int)cols, 1.0, w.x + c, (int)k, w.weights,
                    (int)cols, 0.0, w.product, (int)tile->rows);
        for (int64_t i = 0; i < n_sums; i++) {
            sums[i] += (int64_t)w.product[i];
        }
    }
}

const moe_nvfp4_kernel_t moe_nvfp4_blas = {
    .name = "blas",
    .max_rows = MAX_ROWS,
    .max_panel = MAX_PANEL,
    .available = available,
    .work_bytes = work_bytes,
    .prepare = prepare,
    .sum = sum,
};
