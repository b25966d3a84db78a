/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operands whose scales are short or belong to a row: bf16, fp16, fp32, E5M2,
 * E4M3, INT8, MX, and any two of them. The sum of the values' products, times
 * the two factors, plus the bias, rounded once. With K columns:
 *
 * 1. float64 GEMM over all of K. Products are exact. Where |x| |w| is below
 *    2^53 units - INT8, E4M3 and MX data whose exponents spread little - every
 *    partial sum in any order is a multiple of the unit and below 2^53 of
 *    them: the sum is exact. Else it is off by at most gamma_(K-1) |x| |w|.
 *    Times the factors and plus the bias: three roundings more. If both ends
 *    of the interval round to one code, that is it.
 *    Where fp32 is wanted of a long K, the GEMM is done in pieces of 2048,
 *    joined by two-sums: the bound is theirs, and a third is left open.
 * 2. Two-sums (ref/dot.h), and the factors and the bias error-free.
 * 3. MPFR.
 *
 * So the result does not depend on BLAS, its threads or its splits of K.
 */
#include "ref/matmul_operand.h"

#include "base/hot.h"
#include "ref/dot.h"
#include "ref/exact.h"
#include "ref/odd.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

#ifndef EXACT_UNITS /* a test breaks it */
#define EXACT_UNITS 0x1p53
#endif

enum {
    PIECE = 2048, /* columns of K, where fp32 is wanted of many */
    NEAR = 512,   /* columns of two rows that are read at a time */
    F64_DIGITS = 53,
    BIAS_F64 = 1023
};

bool moe_float_supports(moe_format_t x, moe_format_t weights, moe_format_t out)
{
    return moe_operand_has(x) && moe_operand_has(weights) &&
           weights != MOE_FORMAT_nvfp4 && /* drawn for its own class */
           !moe_operand_is_blocked(x) && !moe_operand_is_blocked(weights) &&
           moe_format_is_float(out);
}

int64_t moe_float_workspace(moe_format_t weights, int64_t rows, int64_t k,
                            int64_t n)
{
    return moe_matmul_walk_bytes(weights, rows, k, n, 0);
}

/* How far a sum may be off. */
MOE_HOT_INLINE double error_of(double norms, double units, double gamma)
{
    return norms < EXACT_UNITS * units ? 0.0 : gamma * norms;
}

/* Which codes a format has: bits cut off a float64, normal exponents. */
typedef struct {
    int cut;
    uint64_t low; /* biased exponents with room to spare */
    uint64_t high;
} target_t;

static target_t target_of(moe_format_t format)
{
    if (format == MOE_FORMAT_bf16) {
        return (target_t){F64_DIGITS - 8, BIAS_F64 - 125, BIAS_F64 + 126};
    }
    if (format == MOE_FORMAT_fp16) {
        return (target_t){F64_DIGITS - 11, BIAS_F64 - 13, BIAS_F64 + 14};
    }
    return (target_t){F64_DIGITS - 24, BIAS_F64 - 125, BIAS_F64 + 126};
}

/* One row of x. */
typedef struct {
    double norm;
    double unit;
    double factor;
    double gamma;
    target_t target;
} row_t;

/* out = the sums rounded to the target, as float64; open, not 0, where they
 * are not decided. */
MOE_HOT static void decide(const double *restrict sum, const row_t *row,
                           const moe_operand_t *w, const double *restrict bias,
                           int64_t n, double *restrict out,
                           uint64_t *restrict open)
{
    const int cut = row->target.cut;
    const uint64_t half = (UINT64_C(1) << (cut - 1)) - 1;
    const double *restrict norm = w->norm;
    const double *restrict unit = w->unit;
    const double *restrict factor = w->factor;

    for (int64_t i = 0; i < n; i++) {
        const double f = row->factor * factor[i];
        const double part = sum[i] * f;
        const double v = part + bias[i];
        const double err =
            error_of(row->norm * norm[i], row->unit * unit[i], row->gamma);
        const double e =
            (err * f + (fabs(part) + fabs(bias[i]) + fabs(v)) * 0x1p-51) *
            (1.0 + 0x1p-48);
        const uint64_t p = moe_f64_bits(v - e);
        const uint64_t q = moe_f64_bits(v + e);
        const uint64_t low = (p + half + (p >> cut & 1)) >> cut;
        const uint64_t high = (q + half + (q >> cut & 1)) >> cut;
        const uint64_t size = low << cut & (UINT64_MAX >> 1);
        const uint64_t exponent = size >> (F64_DIGITS - 1);

        out[i] = moe_f64_of_bits(low << cut);
        open[i] = (low ^ high) | (uint64_t)(exponent < row->target.low) |
                  (uint64_t)(exponent > row->target.high);
    }
}

/* The same where nothing but the sum is rounded: no factors, no bias. A sum
 * that is exact is rounded as it is, ties too. */
MOE_HOT static void decide_bare(const double *restrict sum, const row_t *row,
                                const moe_operand_t *w, int64_t n,
                                double *restrict out, uint64_t *restrict open)
{
    const int cut = row->target.cut;
    const uint64_t half = (UINT64_C(1) << (cut - 1)) - 1;
    const uint64_t least = row->target.low << (F64_DIGITS - 1);
    const uint64_t room = (row->target.high - row->target.low)
                          << (F64_DIGITS - 1);
    const double *restrict norm = w->norm;
    const double *restrict unit = w->unit;

    for (int64_t i = 0; i < n; i++) {
        const double v = sum[i];
        const double err =
            error_of(row->norm * norm[i], row->unit * unit[i], row->gamma);
        const double e =
            err > 0.0 ? err * (1.0 + 0x1p-48) + fabs(v) * 0x1p-51 : 0.0;
        const uint64_t p = moe_f64_bits(v - e);
        const uint64_t q = moe_f64_bits(v + e);
        const uint64_t low = p + half + (p >> cut & 1);
        const uint64_t high = q + half + (q >> cut & 1);
        const uint64_t size = low & (UINT64_MAX >> 1);

        out[i] = moe_f64_of_bits(low >> cut << cut);
        open[i] = (low ^ high) >> cut | (uint64_t)(size - least >= room);
    }
}

/* Values of an element's two rows: a kernel's tile has them no more. */
static void rows_of(const moe_matmul_tile_t *t, int64_t i, int64_t j,
                    const double **x_p, const double **w_p)
{
    const int64_t k = t->x.k;

    if (t->kernel == NULL) {
        *x_p = t->x.value + i * k;
        *w_p = t->w.value + j * k;
        return;
    }
    moe_operand_read(t->x_reader, t->row + i, 0, k, t->rows);
    moe_operand_read(t->w_reader, j, 0, k, t->rows + k);
    *x_p = t->rows;
    *w_p = t->rows + k;
}

/* An element by two-sums. A kernel's rows are read some columns at a time,
 * which stay near. */
static moe_sum_t two_sum_of(const moe_matmul_tile_t *t, int64_t i, int64_t j,
                            double norms, double units)
{
    const int64_t k = t->x.k;
    moe_dot_t dot = {.terms = 0};

    if (t->kernel == NULL) {
        return moe_dot_two_sum(t->x.value + i * k, t->w.value + j * k, k, norms,
                               units);
    }
    for (int64_t c = 0; c < k; c += NEAR) {
        const int64_t n = k - c < NEAR ? k - c : NEAR;

        moe_operand_read(t->x_reader, t->row + i, c, n, t->rows);
        moe_operand_read(t->w_reader, j, c, n, t->rows + n);
        moe_dot_add(t->rows, t->rows + n, n, &dot);
    }
    return moe_dot_sum(&dot, norms, units);
}

/* Of infinities, in any order. */
static double plain_sum(const moe_matmul_tile_t *t, int64_t i, int64_t j)
{
    const double *x, *w;
    double sum = 0.0;

    rows_of(t, i, j, &x, &w);
    for (int64_t c = 0; c < t->x.k; c++) {
        sum += x[c] * w[c];
    }
    return sum;
}

static uint32_t redo(const moe_matmul_tile_t *t, int64_t i, int64_t j,
                     moe_format_t format)
{
    const int64_t k = t->x.k;
    const double norms = t->x.norm[i] * t->w.norm[j];
    const double units = t->x.unit[i] * t->w.unit[j];
    moe_matmul_open_t open = {.factor = t->x.factor[i] * t->w.factor[j],
                              .bias = t->bias[j]};
    const double *x, *w;
    uint32_t bits;

    open.sum.hi = t->product[i * t->m + j];
    if (!isfinite(norms) || !isfinite(open.factor) || !isfinite(open.bias)) {
        return moe_round_result(plain_sum(t, i, j) * open.factor + open.bias,
                                format);
    }
    if (error_of(norms, units, moe_dot_gamma(k)) > 0.0) {
        open.sum = two_sum_of(t, i, j, norms, units);
        t->stats->redone_sum2++;
    }
    if (moe_matmul_close(&open, format, &bits)) {
        return bits;
    }
    t->stats->redone_exact++;
    rows_of(t, i, j, &x, &w);
    return moe_round_result(moe_exact_dot(x, w, k, open.factor, open.bias),
                            format);
}

/* Codes of numbers that the format has. */
MOE_HOT static void store_fp32(const double *restrict x, int64_t n,
                               float *restrict out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)x[i];
    }
}

MOE_HOT static void store_bf16(const double *restrict x, int64_t n,
                               uint16_t *restrict out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (uint16_t)(moe_f32_bits((float)x[i]) >> 16);
    }
}

static void store_row(const double *x, int64_t n, moe_format_t format,
                      uint8_t *codes, int64_t col)
{
    if (format == MOE_FORMAT_fp32) {
        store_fp32(x, n, (float *)(void *)codes + col);
    } else if (format == MOE_FORMAT_bf16) {
        store_bf16(x, n, (uint16_t *)(void *)codes + col);
    } else {
        for (int64_t i = 0; i < n; i++) {
            moe_float_store(format, codes, col + i,
                            moe_fp16_from_f32((float)x[i]));
        }
    }
}

/* sum + low += part, what float64 loses of the sum in low. */
MOE_HOT static void add_parts(const double *restrict part, int64_t n,
                              double *restrict sum, double *restrict low)
{
    for (int64_t i = 0; i < n; i++) {
        const double a = sum[i];
        const double b = part[i];
        const double s = a + b;
        const double z = s - a;

        low[i] += (a - (s - z)) + (b - z);
        sum[i] = s;
    }
}

static void gemm(const moe_matmul_tile_t *t, int64_t first, int64_t k,
                 double *out)
{
    if (t->kernel != NULL) {
        moe_matmul_packed(t, first, k, out);
        return;
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)t->n, (int)t->m,
                (int)k, 1.0, t->x.value + first, (int)t->x.k,
                t->w.value + first, (int)t->x.k, 0.0, out, (int)t->m);
}

static bool in_pieces(const moe_matmul_tile_t *t)
{
    return t->out->storage.format == MOE_FORMAT_fp32 &&
           moe_float_in_pieces(t->x.k);
}

/* All of K, or by pieces. Returns by how much of the norms sums are off. */
static double multiply(const moe_matmul_tile_t *t)
{
    const int64_t n = t->n * t->m;
    double *low = t->more + t->m;

    if (!in_pieces(t)) {
        gemm(t, 0, t->x.k, t->product);
        return moe_dot_gamma(t->x.k);
    }
    memset(low, 0, (size_t)n * sizeof(*low));
    gemm(t, 0, PIECE, t->product);
    for (int64_t c = PIECE; c < t->x.k; c += PIECE) {
        gemm(t, c, t->x.k - c < PIECE ? t->x.k - c : PIECE, low + n);
        add_parts(low + n, n, t->product, low);
    }
    for (int64_t i = 0; i < n; i++) {
        t->product[i] += low[i];
    }
    /* low is off by less than (number of pieces)^2 u^2 of the norms */
    return moe_dot_gamma(PIECE + 1);
}

/* The first of [j, n) that is open, not 0; n if none is. */
static int64_t next_open(const uint64_t *open, int64_t j, int64_t n)
{
    while (j + 4 <= n &&
           (open[j] | open[j + 1] | open[j + 2] | open[j + 3]) == 0) {
        j += 4;
    }
    while (j < n && open[j] == 0) {
        j++;
    }
    return j;
}

/* No number of these is another one, or none. */
static bool all_are(const double *x, int64_t n, double one)
{
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] >= one && x[i] <= one)) {
            return false;
        }
    }
    return true;
}

static void multiply_tile(const moe_matmul_tile_t *t)
{
    const moe_format_t format = t->out->storage.format;
    const double gamma = multiply(t);
    const bool bare = all_are(t->w.factor, t->m, 1.0) &&
                      all_are(t->x.factor, t->n, 1.0) &&
                      all_are(t->bias, t->m, 0.0);
    uint64_t *open = (uint64_t *)t->room;

    for (int64_t i = 0; i < t->n; i++) {
        const row_t row = {t->x.norm[i], t->x.unit[i], t->x.factor[i], gamma,
                           target_of(format)};
        const double *sum = t->product + i * t->m;
        uint8_t *codes = moe_rows_codes(t->out, t->row + i);

        if (bare) {
            decide_bare(sum, &row, &t->w, t->m, t->more, open);
        } else {
            decide(sum, &row, &t->w, t->bias, t->m, t->more, open);
        }
        store_row(t->more, t->m, format, codes, t->col);
        for (int64_t j = next_open(open, 0, t->m); j < t->m;
             j = next_open(open, j + 1, t->m)) {
            moe_float_store(format, codes, t->col + j, redo(t, i, j, format));
        }
    }
}

moe_status_t moe_float_matmul(const moe_ref_weights_t *weights,
                              const moe_rows_t *x, const int64_t *offset,
                              int64_t n_experts, const moe_rows_t *out,
                              moe_ref_stats_t *stats)
{
    return moe_matmul_walk(weights, x, offset, n_experts, out, 0, multiply_tile,
                           stats);
}
