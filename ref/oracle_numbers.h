/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Correct rounding for the oracle, which shares none with the stages.
 */
#ifndef REF_ORACLE_NUMBERS_H
#define REF_ORACLE_NUMBERS_H

#include "ref/formats.h"

#include <math.h>
#include <mpfr.h>

enum {
    ORACLE_BITS = 720 /* hold every sum of products of two fp32 numbers */
};

static inline double oracle_rounded(moe_format_t format, double x)
{
    return moe_float_value(format, moe_round_f64(format, x));
}

/* A truncated number that is not short, to odd. */
static inline double oracle_odd(double x)
{
    return moe_f64_of_bits(moe_f64_bits(x) | 1);
}

/* sum, exact, rounded; no -0. */
static inline double oracle_round_sum(mpfr_t sum, moe_format_t format)
{
    double d = mpfr_get_d(sum, MPFR_RNDZ);
    bool cut = mpfr_number_p(sum) && mpfr_cmp_d(sum, d) != 0;

    return oracle_rounded(format, cut ? oracle_odd(d) : d) + 0.0;
}

/* f / (sum over j of exp(x[j] - x[i])), rounded: softmax, and f sigma(g) as
 * that of (g, 0). libm is known to far better than 2^-40. */
static inline double oracle_share(mpfr_t sum, double f, const double *x,
                                  int64_t n, int64_t i, moe_format_t format)
{
    double low, v = 0.0;
    mpfr_t e;

    for (int64_t j = 0; j < n; j++) {
        v += x[j] < x[i] || x[j] > x[i] ? exp(x[j] - x[i]) : 1.0;
    }
    v = f / v;
    low = oracle_rounded(format, v * (1.0 - 0x1p-40));
    if (!(fabs(low) < fabs(oracle_rounded(format, v * (1.0 + 0x1p-40))))) {
        return low;
    }
    mpfr_init2(e, ORACLE_BITS);
    mpfr_set_zero(sum, 1);
    for (int64_t j = 0; j < n; j++) {
        mpfr_set_d(e, x[j], MPFR_RNDU);
        mpfr_sub_d(e, e, x[i], MPFR_RNDU);
        mpfr_exp(e, e, MPFR_RNDU);
        mpfr_add(sum, sum, e, MPFR_RNDU);
    }
    mpfr_d_div(e, f, sum, MPFR_RNDZ);
    v = oracle_odd(mpfr_get_d(e, MPFR_RNDZ));
    mpfr_clear(e);
    return oracle_rounded(format, v);
}

#endif
