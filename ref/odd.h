/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rounding to odd: the way to round twice and be right.
 *
 * A real number rounded to odd at 53 bits (truncated, last bit set if
 * anything was lost) rounds to any format of at most 51 bits as the number
 * itself does. Source: Boldo, Melquiond: Emulation of FMA and correctly
 * rounded sums, IEEE Trans. Computers 57(4), 2008.
 */
#ifndef REF_ODD_H
#define REF_ODD_H

#include "ref/formats.h"

/** Error-free a + b (Knuth): the return value is RN(a + b), *err_p the rest.
 * Any finite a, b whose sum does not overflow. */
static inline double moe_two_sum(double a, double b, double *err_p)
{
    double s = a + b;
    double z = s - a;

    *err_p = (a - (s - z)) + (b - z);
    return s;
}

/** x whose distance to the truth has the sign of rest (0: x is the truth),
 * moved to odd. */
static inline double moe_odd_nudge(double x, double rest)
{
    uint64_t u = moe_f64_bits(x);

    if (!(rest < 0.0 || rest > 0.0) || (u & 1) != 0) {
        return x;
    }
    if (u << 1 == 0) { /* zero: the least number of rest's sign */
        return rest < 0.0 ? -0x1p-1074 : 0x1p-1074;
    }
    return moe_f64_of_bits((x < 0.0) == (rest < 0.0) ? u + 1 : u - 1);
}

/** hi + lo rounded to odd; finite numbers. */
static inline double moe_odd_sum(double hi, double lo)
{
    double rest;
    double s = moe_two_sum(hi, lo, &rest);

    return moe_odd_nudge(s, rest);
}

/**
 * Code of the nearest value of a float format, ties to even; overflow gives
 * an infinity, NaN the quiet NaN without sign, and zero is always +0.
 */
static inline uint32_t moe_round_result(double x, moe_format_t format)
{
    uint32_t code = moe_round_f64(format, x < 0.0 || x > 0.0 ? x : 0.0);
    uint32_t sign = format == MOE_FORMAT_fp32 ? 0x80000000u : 0x8000u;

    if (x != x) {
        return format == MOE_FORMAT_bf16   ? 0x7fc0u
               : format == MOE_FORMAT_fp16 ? 0x7e00u
                                           : 0x7fc00000u;
    }
    return code == sign ? 0 : code;
}

#endif
