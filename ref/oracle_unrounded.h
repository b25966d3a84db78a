/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Unrounded numbers of the oracle: two float64 that add up to one.
 */
#ifndef REF_ORACLE_UNROUNDED_H
#define REF_ORACLE_UNROUNDED_H

#include "ref/oracle_numbers.h"

/* A number as two: what 53 bits hold of it above, and the rest. */
static inline void oracle_split(oracle_number_t x, double *high, double *low)
{
    const uint64_t below = ((uint64_t)1 << 53) - 1;
    const double sign = x.negative ? -1.0 : 1.0;

    *high = sign * ldexp((double)(uint64_t)(x.digits >> 53), x.exponent + 53);
    *low = sign * ldexp((double)((uint64_t)x.digits & below), x.exponent);
}

/* g u sigma(g) of g = g0 + g1 and u = u0 + u1, finite, rounded; +0 for 0. No
 * such result lies so near a boundary that ORACLE_BITS would not tell. */
static inline double oracle_swiglu(double g0, double g1, double u0, double u1,
                                   moe_format_t format)
{
    mpfr_t g, u, e;
    double v;

    mpfr_inits2(ORACLE_BITS, g, u, e, (mpfr_ptr)0);
    mpfr_set_d(g, g0, MPFR_RNDN);
    mpfr_add_d(g, g, g1, MPFR_RNDN);
    mpfr_set_d(u, u0, MPFR_RNDN);
    mpfr_add_d(u, u, u1, MPFR_RNDN);
    mpfr_neg(e, g, MPFR_RNDN);
    mpfr_exp(e, e, MPFR_RNDN);
    mpfr_add_ui(e, e, 1, MPFR_RNDN);
    mpfr_mul(u, u, g, MPFR_RNDN); /* exact */
    mpfr_div(e, u, e, MPFR_RNDN);
    v = oracle_round_sum(e, format);
    mpfr_clears(g, u, e, (mpfr_ptr)0);
    return v;
}

#endif
