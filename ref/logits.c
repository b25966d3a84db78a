/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three steps, each with a proven bound; u = 2^-53, K = hidden.
 *
 * 1. float64 GEMM. Products are exact, and K - 1 additions in any order (or
 *    fused) lose at most gamma_(K-1) sum|x||w| <= gamma_(K-1) |x|_2 |w|_2.
 *    If both ends of that interval round to the same fp32 number, that is
 *    the logit.
 * 2. Two-sums in LANES running sums of m = ceil(K / LANES) terms. A lane's
 *    hi and the errors e_j are exact together; sum|e_j| <= gamma_m sum|p|,
 *    and adding them up loses at most gamma_m of that (Ogita, Rump, Oishi:
 *    Accurate sum and dot product, SIAM J. Sci. Comput. 26(6), 2005). So
 *    all lanes together lie within gamma_m^2 |x|_2 |w|_2 of the truth.
 *    The truth is a multiple of a unit, the product of the rows' units:
 *    where less than a unit is open, the nearest multiple is the exact sum.
 *    So ties, which really happen on a grid, are settled.
 * 3. MPFR.
 *
 * Rows with an infinity or a NaN have no finite logit; plain addition gives
 * the right one in any order.
 */
#include "ref/logits.h"

#include "base/checked.h"
#include "ref/combine.h"
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
    LANES = 16,
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
    double gamma2;
    tile_t x;
    tile_t w;
    double *facts; /* [n] norms and [n] units of x */
    double norm[EXPERT_TILE];
    double unit[EXPERT_TILE];
    double c[ROW_TILE * EXPERT_TILE];
    unsigned char open[EXPERT_TILE];
    moe_ref_stats_t stats;
} work_t;

/* n u / (1 - n u), rounded upwards. */
static double gamma_of(int64_t n)
{
    double nu = (double)n * 0x1p-53;

    return nu / (1.0 - nu) * (1.0 + 0x1p-48);
}

/* Sum of squares, and least magnitude but 0 (infinity if all are 0). */
MOE_HOT static void row_facts(const double *restrict x, int64_t n,
                              double *restrict square, double *restrict least)
{
    double sum[LANES] = {0.0};
    double low[LANES];
    int64_t i = 0;

    for (int j = 0; j < LANES; j++) {
        low[j] = HUGE_VAL;
    }
    for (; i + LANES <= n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            double a = fabs(x[i + j]);
            double b = a > 0.0 ? a : HUGE_VAL;

            sum[j] += a * a;
            low[j] = b < low[j] ? b : low[j];
        }
    }
    for (; i < n; i++) {
        double a = fabs(x[i]);

        sum[0] += a * a;
        low[0] = a > 0.0 && a < low[0] ? a : low[0];
    }
    for (int j = 1; j < LANES; j++) {
        sum[0] += sum[j];
        low[0] = low[j] < low[0] ? low[j] : low[0];
    }
    *square = sum[0];
    *least = low[0];
}

MOE_HOT static void decode_bf16(const uint16_t *bits, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (double)moe_bf16_to_f32(bits[i]);
    }
}

static void decode_tile(const moe_rows_t *rows, int64_t first, int64_t n,
                        const tile_t *tile)
{
    const int64_t k = rows->cols;

    if (rows->storage.format == MOE_FORMAT_bf16) {
        decode_bf16((const uint16_t *)rows->codes + first * k, n * k,
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

        row_facts(tile->value + i * k, k, &tile->norm[i], &least);
        /* K + 2 roundings of u each, and the square root's */
        tile->norm[i] = sqrt(tile->norm[i]) * (1.0 + gamma_of(k + 8));
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

MOE_HOT static void dot_lanes(const double *restrict x,
                              const double *restrict w, int64_t n,
                              double *restrict hi, double *restrict lo)
{
    for (int64_t i = 0; i < n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            double p = x[i + j] * w[i + j];
            double s = hi[j] + p;
            double z = s - hi[j];

            lo[j] += (hi[j] - (s - z)) + (p - z);
            hi[j] = s;
        }
    }
}

/* The multiple of unit nearest to sum, if it must be the truth. */
static void snap(moe_sum_t *sum, double unit)
{
    moe_sum_t at = {0.0, 0.0, 0.0};
    moe_sum_t rest = *sum;
    double part[2];

    for (int i = 0; i < 2; i++) { /* the second: what the first left */
        part[i] = rest.hi;
        if (fabs(rest.hi) < unit * 0x1p52) {
            part[i] = rint(rest.hi / unit) * unit;
        }
        moe_sum_add_value(&at, part[i]);
        moe_sum_add_value(&rest, -part[i]);
    }
    if (fabs(rest.hi) + fabs(rest.lo) + rest.err < unit * 0.99 &&
        !(at.err > 0.0)) {
        *sum = at;
    }
}

static moe_sum_t dot_two_sum(work_t *work, int64_t row, int64_t expert)
{
    const double *x = work->x.value + row * work->hidden;
    const double *w = work->w.value + expert * work->hidden;
    const int64_t whole = work->hidden / LANES * LANES;
    double hi[LANES] = {0.0};
    double lo[LANES] = {0.0};
    moe_sum_t sum = {0.0, 0.0, 0.0};

    dot_lanes(x, w, whole, hi, lo);
    for (int j = 0; j < LANES; j++) {
        moe_sum_add_value(&sum, hi[j]);
        moe_sum_add_value(&sum, lo[j]);
    }
    for (int64_t i = whole; i < work->hidden; i++) {
        moe_sum_add_value(&sum, x[i] * w[i]);
    }
    sum.err += work->gamma2 * work->x.norm[row] * work->w.norm[expert];
    sum.err *= 1.0 + 0x1p-48;
    snap(&sum, work->x.unit[row] * work->w.unit[expert]);
    return sum;
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
    sum = dot_two_sum(work, row, expert);
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
    work->gamma = gamma_of(x->cols - 1);
    work->gamma2 = gamma_of(x->cols / LANES + 1);
    work->gamma2 *= work->gamma2;
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
