/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * exp in float64 with a proven bound, for loops that vectorise.
 *
 * x = n ln 2 + r, |r| <= 0.3466 (n is the nearest integer, or its neighbour
 * at a tie); exp(r) by its Taylor polynomial of degree 13. With u = 2^-53:
 *   - n times the high part of ln 2 (32 bits) is exact for |n| < 2^21, and
 *     so is its difference to x (Sterbenz, or both on one grid); n times
 *     the low part (2^-32.3) is below 2^-22.3 and rounded by 2^-75.3; what
 *     the two parts leave of ln 2 is below 2^-85, times n below 2^-75; the
 *     last subtraction rounds by u |r|. Together |dr| <= 0.35 u;
 *   - truncation: |r|^14 / 14! / (1 - |r| / 15) < 2^-57.7 = 0.04 u;
 *   - Horner: the last addition rounds by u |p|, its product by u |p r|, the
 *     addition before by u |p r|, and so on, with |r| < 0.35 and
 *     |p| <= 1.42 of which the result is at least 0.70: below 2.2 u
 *     relative, coefficients included.
 * Sum: below 3 u = 2^-51.4 relative; MOE_EXP_ERROR says 2^-51. The largest
 * error that tests/check_activation.c sees is 2^-52.3.
 */
#ifndef REF_EXP_H
#define REF_EXP_H

#include "base/hot.h"
#include "ref/formats.h"

/** Bound of the relative error of moe_exp(). */
#define MOE_EXP_ERROR 0x1p-51

/** Largest |x| that moe_exp() takes. */
#define MOE_EXP_LIMIT 700.0

/** exp(x), |x| <= MOE_EXP_LIMIT. */
MOE_HOT_INLINE double moe_exp(double x)
{
    const double shift = 0x1.8p52; /* adding it rounds to an integer */
    const double t = x * 0x1.71547652b82fep0 + shift;
    const double n = t - shift;
    const double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
    double p = 1.0 / 6227020800.0;

    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    /* the low bits of t are n; 2^n is normal */
    return p * moe_f64_of_bits((moe_f64_bits(t) << 52) + 0x3ff0000000000000u);
}

#endif
