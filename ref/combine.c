/* SPDX-License-Identifier: Apache-2.0 */
/* An unrounded sum is two float64 numbers, built by error-free two-sums, and
 * a bound of what they lost. Terms are products of two fp32 numbers, so
 * nothing here overflows or underflows. Infinities and NaN live in hi alone,
 * where IEEE addition treats them alike in any order. */
#include "ref/combine.h"

#include "ref/exact.h"
#include "base/hot.h"
#include "ref/odd.h"

#include <float.h>
#include <math.h>

/* Rounds a bound upwards; 0 stays 0. */
#define UPWARDS (1.0 + 0x1p-51)

/* x, or 0 if it came from an infinity. */
MOE_HOT_INLINE double finite_or_zero(double x)
{
    return fabs(x) <= DBL_MAX ? x : 0.0;
}

/* Error-free a + b as (return value, rest); rest is 0 if not finite. */
MOE_HOT_INLINE double sum_two(double a, double b, double *rest_p)
{
    double s = a + b;
    double z = s - a;

    *rest_p = finite_or_zero((a - (s - z)) + (b - z));
    return s;
}

MOE_HOT_INLINE void add_value(moe_sum_t *sum, double value)
{
    double rest;
    double lost;
    double s = sum_two(sum->hi, value, &rest);
    double t = sum_two(sum->lo, rest, &lost);

    sum->hi = sum_two(s, t, &sum->lo);
    sum->err = (sum->err + fabs(lost)) * UPWARDS;
}

void moe_sum_add_value(moe_sum_t *sum, double value)
{
    add_value(sum, value);
}

void moe_sum_add(moe_sum_t *sum, const moe_sum_t *other)
{
    add_value(sum, other->hi);
    add_value(sum, other->lo);
    sum->err = (sum->err + other->err) * UPWARDS;
}

bool moe_sum_round(const moe_sum_t *sum, moe_format_t format, uint32_t *bits_p)
{
    uint32_t low;
    uint32_t high;

    if (!isfinite(sum->hi)) {
        *bits_p = moe_round_result(sum->hi, format);
        return true;
    }
    if (!(sum->err > 0.0)) {
        *bits_p = moe_round_result(moe_odd_sum(sum->hi, sum->lo), format);
        return true;
    }
    if (!isfinite(sum->err)) {
        return false;
    }
    low = moe_round_result(
        moe_odd_sum(sum->hi, nextafter(sum->lo - sum->err, -HUGE_VAL)), format);
    high = moe_round_result(
        moe_odd_sum(sum->hi, nextafter(sum->lo + sum->err, HUGE_VAL)), format);
    if (low != high) {
        return false;
    }
    *bits_p = low;
    return true;
}

/* The grouped row of (row, slot), or -1. */
static int64_t place_of(const moe_ref_terms_t *terms, int64_t row, int slot)
{
    return terms->index->place[row * terms->index->topk + slot];
}

static double weight_of(const moe_ref_terms_t *terms, int64_t row, int slot)
{
    return terms->weights == NULL
               ? 1.0
               : (double)terms->weights[row * terms->index->topk + slot];
}

enum {
    CHUNK = 256 /* columns that are decoded at a time */
};

/* sums[i] += weight * value[i]. */
MOE_HOT static void add_chunk(moe_sum_t *restrict sums,
                              const double *restrict value, double weight,
                              int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        add_value(&sums[i], weight * value[i]);
    }
}

/* x as two numbers of at most 27 digits each (Veltkamp). */
static void split(double x, double *out)
{
    double c = x * (0x1p27 + 1.0);

    out[0] = c - (c - x);
    out[1] = x - out[0];
}

/* Exact terms of weight x an unrounded value. */
static void unrounded_terms(double weight, const moe_sum_t *value, double *out)
{
    split(value->hi, out);
    split(value->lo, out + 2);
    for (int i = 0; i < 4; i++) {
        out[i] *= weight;
    }
}

static void add_unrounded(moe_sum_t *sums, const moe_sum_t *value,
                          double weight, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double term[4];

        unrounded_terms(weight, &value[i], term);
        for (int j = 0; j < 4; j++) {
            add_value(&sums[i], term[j]);
        }
        sums[i].err =
            (sums[i].err + fabs(weight) * value[i].err * UPWARDS) * UPWARDS;
    }
}

static void sum_row(const moe_ref_terms_t *terms, int64_t row, moe_sum_t *out)
{
    const int64_t cols = terms->rows.cols;
    double value[CHUNK];

    for (int64_t c = 0; c < cols; c++) {
        out[c] = (moe_sum_t){0.0, 0.0, 0.0};
    }
    for (int s = 0; s < terms->index->topk; s++) {
        int64_t place = place_of(terms, row, s);

        if (place >= 0 && terms->rows.storage.format == MOE_FORMAT_exact) {
            add_unrounded(out, moe_rows_sums(&terms->rows, place, 0),
                          weight_of(terms, row, s), cols);
            continue;
        }
        for (int64_t c = 0; place >= 0 && c < cols; c += CHUNK) {
            int64_t n = cols - c < CHUNK ? cols - c : CHUNK;

            moe_rows_values(&terms->rows, place, c, n, value);
            add_chunk(out + c, value, weight_of(terms, row, s), n);
        }
    }
}

void moe_ref_sum_rows(const moe_ref_terms_t *terms, int64_t row, int64_t n,
                      moe_sum_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        sum_row(terms, row + i, out + i * terms->rows.cols);
    }
}

int moe_ref_sum_terms(const moe_ref_terms_t *terms, int64_t row, int64_t col,
                      double *out)
{
    int n = 0;

    for (int s = 0; s < terms->index->topk; s++) {
        int64_t place = place_of(terms, row, s);

        if (place >= 0 && terms->rows.storage.format == MOE_FORMAT_exact) {
            unrounded_terms(weight_of(terms, row, s),
                            moe_rows_sums(&terms->rows, place, col), out + n);
            n += 4;
        } else if (place >= 0) {
            out[n++] = weight_of(terms, row, s) *
                       moe_rows_value(&terms->rows, place, col);
        }
    }
    return n;
}

uint32_t moe_ref_round_terms(const double *terms, int64_t n,
                             moe_format_t format)
{
    return moe_round_result(moe_exact_sum(terms, NULL, n), format);
}
