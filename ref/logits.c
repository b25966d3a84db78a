/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three steps, each with a proven bound; K = hidden.
 *
 * 1. float64 GEMM. Products are exact, and K - 1 additions in any order (or
 *    fused) lose at most gamma_(K-1) sum|x||w| <= gamma_(K-1) |x|_2 |w|_2.
 *    If both ends of that interval round to the same fp32 number, that is
 *    the logit.
 * 2. Two-sums in lanes: ref/dot.h.
 * 3. MPFR.
 *
 * Rows with an infinity or a NaN have no finite logit; plain addition gives
 * the right one in any order.
 */
#include "ref/logits.h"

#include "base/checked.h"
#include "ref/dot.h"
#include "ref/exact.h"
#include "base/hot.h"
#include "ref/odd.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

enum {
    ROW_TILE = 64,     /* rows that are decoded at a time */
    EXPERT_TILE = 128, /* experts likewise */
    BF16_DIGITS = 8,
    FP16_DIGITS = 11,
    FP32_DIGITS = 24
};

/* Rows decoded to float64. */
typedef struct {
    double *value; /* [tile][H] */
    double *norm;  /* [tile] */
    double *unit;  /* [tile] every element is a multiple of it */
} tile_t;

typedef struct {
    int64_t hidden;
    int digits; /* of x's format */
    double gamma;
    tile_t x;
    tile_t w;
    double *facts; /* [n] norms and [n] units of x */
    double norm[EXPERT_TILE];
    double unit[EXPERT_TILE];
    double c[ROW_TILE * EXPERT_TILE];
    unsigned char open[EXPERT_TILE];
    moe_ref_stats_t stats;
} work_t;

static void decode_tile(const moe_rows_t *rows, int64_t first, int64_t n,
                        const tile_t *tile)
{
    const int64_t k = rows->cols;

    if (rows->storage.format == MOE_FORMAT_bf16) {
        moe_bf16_values((const uint16_t *)rows->codes + first * k, n * k,
                        tile->value);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        moe_rows_values(rows, first + i, 0, k, tile->value + i * k);
    }
}

static void find_facts(const tile_t *tile, int64_t n, int64_t k, int digits)
{
    for (int64_t i = 0; i < n; i++) {
        double least;

        moe_dot_facts(tile->value + i * k, k, &tile->norm[i], &least);
        tile->unit[i] =
            isfinite(least) ? ldexp(1.0, ilogb(least) - (digits - 1)) : 1.0;
    }
}

/* Round a row of sums; open where the interval leaves it open. The slack of
 * 2^-52 |sum| covers the rounding of the interval's ends. */
MOE_HOT static void decide_row(const double *restrict sum,
                               const double *restrict norm, double bound,
                               int64_t n, float *restrict out,
                               unsigned char *restrict open)
{
    for (int64_t i = 0; i < n; i++) {
        double err =
            (bound * norm[i] + fabs(sum[i]) * 0x1p-52) * (1.0 + 0x1p-48);
        float low = (float)(sum[i] - err);
        float high = (float)(sum[i] + err);

        out[i] = low + 0.0f; /* no -0 */
        open[i] = low == high ? 0 : 1;
    }
}

static float redo(work_t *work, int64_t row, int64_t expert)
{
    const double *x = work->x.value + row * work->hidden;
    const double *w = work->w.value + expert * work->hidden;
    moe_sum_t sum = {0.0, 0.0, 0.0};
    uint32_t bits;

    if (!isfinite(work->x.norm[row]) || !isfinite(work->w.norm[expert])) {
        for (int64_t i = 0; i < work->hidden; i++) {
            sum.hi += x[i] * w[i];
        }
        return moe_f32_of_bits(moe_round_result(sum.hi, MOE_FORMAT_fp32));
    }
    sum = moe_dot_two_sum(x, w, work->hidden,
                          work->x.norm[row] * work->w.norm[expert],
                          work->x.unit[row] * work->w.unit[expert]);
    if (moe_sum_round(&sum, MOE_FORMAT_fp32, &bits)) {
        work->stats.redone_sum2++;
        return moe_f32_of_bits(bits);
    }
    work->stats.redone_exact++;
    return moe_f32_of_bits(
        moe_round_result(moe_exact_sum(x, w, work->hidden), MOE_FORMAT_fp32));
}

/* Logits of a tile of rows and experts; out has `experts` columns. */
static void tile_logits(work_t *work, int64_t rows, int64_t cols,
                        int64_t experts, float *out)
{
    const int k = (int)work->hidden;

    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)cols,
                k, 1.0, work->x.value, k, work->w.value, k, 0.0, work->c,
                EXPERT_TILE);
    for (int64_t i = 0; i < rows; i++) {
        decide_row(work->c + i * EXPERT_TILE, work->w.norm,
                   work->gamma * work->x.norm[i], cols, out + i * experts,
                   work->open);
        for (int64_t j = 0; j < cols; j++) {
            if (work->open[j] != 0) {
                out[i * experts + j] = redo(work, i, j);
            }
        }
    }
    work->stats.elements += rows * cols;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void all_tiles(work_t *work, const moe_rows_t *x,
                      const moe_rows_t *router, float *logits)
{
    const int64_t experts = router->rows;

    for (int64_t e = 0; e < experts; e += EXPERT_TILE) {
        int64_t cols = least(EXPERT_TILE, experts - e);

        decode_tile(router, e, cols, &work->w);
        find_facts(&work->w, cols, work->hidden, BF16_DIGITS);
        for (int64_t i = 0; i < x->rows; i += ROW_TILE) {
            int64_t rows = least(ROW_TILE, x->rows - i);

            work->x.norm = work->facts + i;
            work->x.unit = work->facts + x->rows + i;
            decode_tile(x, i, rows, &work->x);
            if (e == 0) {
                find_facts(&work->x, rows, work->hidden, work->digits);
            }
            tile_logits(work, rows, cols, experts, logits + i * experts + e);
        }
    }
}

int64_t moe_ref_logits_workspace(int64_t n, int64_t hidden, int64_t experts)
{
    if (n == 0) {
        return 0;
    }
    return (int64_t)sizeof(work_t) +
           (int64_t)sizeof(double) *
               ((least(n, ROW_TILE) + least(experts, EXPERT_TILE)) * hidden +
                2 * n);
}

static moe_status_t work_init(work_t *work, const moe_rows_t *x,
                              int64_t experts)
{
    const int64_t row_bytes = (int64_t)sizeof(double) * x->cols;
    size_t x_bytes;
    size_t w_bytes;

    work->hidden = x->cols;
    work->digits = x->storage.format == MOE_FORMAT_bf16   ? BF16_DIGITS
                   : x->storage.format == MOE_FORMAT_fp16 ? FP16_DIGITS
                                                          : FP32_DIGITS;
    work->gamma = moe_dot_gamma(x->cols - 1);
    work->w.norm = work->norm;
    work->w.unit = work->unit;
    if (moe_mul_size(least(x->rows, ROW_TILE), row_bytes, &x_bytes) &&
        moe_mul_size(least(experts, EXPERT_TILE), row_bytes, &w_bytes)) {
        work->x.value = malloc(x_bytes);
        work->w.value = malloc(w_bytes);
        work->facts = calloc((size_t)x->rows, 2 * sizeof(*work->facts));
    }
    if (work->x.value == NULL || work->w.value == NULL || work->facts == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for logits of %lld columns",
                        (long long)x->cols);
    }
    return MOE_OK;
}

static void work_free(work_t *work)
{
    free(work->x.value);
    free(work->w.value);
    free(work->facts);
    free(work);
}

static moe_status_t check(const moe_rows_t *x)
{
    if (!moe_format_is_float(x->storage.format)) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "logits of rows in %s: bf16, fp16 or fp32 expected",
                        moe_format_name(x->storage.format));
    }
    if (x->cols < 1 || x->cols > INT32_MAX) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "logits of %lld columns: 1 to 2^31 - 1 expected",
                        (long long)x->cols);
    }
    return MOE_OK;
}

moe_status_t moe_ref_logits(const moe_rows_t *x, const uint16_t *router,
                            int64_t experts, float *logits,
                            moe_ref_stats_t *stats)
{
    const moe_rows_t w = {{MOE_FORMAT_bf16, MOE_PROFILE_none, 0.0f},
                          experts,
                          x->cols,
                          (void *)(uintptr_t)router,
                          NULL,
                          MOE_SCALES_linear};
    moe_status_t status = check(x);
    work_t *work;

    if (status != MOE_OK || x->rows == 0) {
        return status;
    }
    work = calloc(1, sizeof(*work));
    if (work == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for logits");
    }
    status = work_init(work, x, experts);
    if (status == MOE_OK) {
        all_tiles(work, x, &w, logits);
        stats->elements += work->stats.elements;
        stats->redone_sum2 += work->stats.redone_sum2;
        stats->redone_exact += work->stats.redone_exact;
    }
    work_free(work);
    return status;
}
