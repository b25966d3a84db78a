/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Correct rounding for the oracle, which shares none with the stages: digits
 * as integers.
 */
#ifndef REF_ORACLE_NUMBERS_H
#define REF_ORACLE_NUMBERS_H

#include "ref/formats.h"

#include <math.h>
#include <mpfr.h>

enum {
    ORACLE_BITS = 720 /* hold every sum of products of two fp32 numbers */
};

/** +-digits x 2^exponent. */
typedef struct {
    bool negative;
    moe_u128_t digits; /* below 2^127 */
    int exponent;
} oracle_number_t;

/* A finite float64, exactly. */
static inline oracle_number_t oracle_number(double x)
{
    const uint64_t bits = moe_f64_bits(x);
    const int e = (int)(bits >> 52 & 2047);
    const uint64_t tail = bits & (((uint64_t)1 << 52) - 1);

    return (oracle_number_t){bits >> 63 != 0,
                             e > 0 ? tail | (uint64_t)1 << 52 : tail,
                             (e > 0 ? e : 1) - 1075};
}

/* digits / 2^cut, nearest, ties to even. */
static inline moe_u128_t oracle_cut(moe_u128_t digits, int cut)
{
    moe_u128_t q, rest, half;

    if (digits == 0 || cut > 127) {
        return 0;
    }
    if (cut <= 0) {
        return digits << -cut;
    }
    q = digits >> cut;
    rest = digits - (q << cut);
    half = (moe_u128_t)1 << (cut - 1);
    return q + (rest > half || (rest == half && (q & 1) != 0));
}

/* Code of a float format: a number in units of the last place that its size
 * gives it, `low` being that of the subnormal ones; counted up from there. */
static inline uint32_t oracle_code(moe_format_t format, oracle_number_t x)
{
    const bool bf16 = format == MOE_FORMAT_bf16;
    const bool fp16 = format == MOE_FORMAT_fp16;
    const int digits = bf16 ? 8 : fp16 ? 11 : 24;
    const int low = bf16 ? -133 : fp16 ? -24 : -149;
    const int64_t inf = bf16 ? 0x7f80 : fp16 ? 0x7c00 : 0x7f800000;
    const uint32_t sign = bf16 || fp16 ? 0x8000u : 0x80000000u;
    int unit = x.exponent - digits;
    int64_t code;

    for (moe_u128_t left = x.digits; left != 0; left >>= 1) {
        unit++;
    }
    unit = x.digits == 0 || unit < low ? low : unit;
    code = (int64_t)oracle_cut(x.digits, unit - x.exponent);
    code += (int64_t)(unit - low) << (digits - 1);
    return (uint32_t)(code < inf ? code : inf) | (x.negative ? sign : 0);
}

/* The same of a float64; NaN is the quiet one without sign. */
static inline uint32_t oracle_code_of(moe_format_t format, double x)
{
    const oracle_number_t infinite = {x < 0.0, 1, 2000};

    if (isnan(x)) {
        return format == MOE_FORMAT_bf16   ? 0x7fc0
               : format == MOE_FORMAT_fp16 ? 0x7e00
                                           : 0x7fc00000;
    }
    return oracle_code(format, isinf(x) ? infinite : oracle_number(x));
}

/* a b as fp32, one rounding of the exact product. */
static inline float oracle_product(double a, double b)
{
    oracle_number_t x, y;

    if (!isfinite(a) || !isfinite(b)) {
        return (float)(a * b);
    }
    x = oracle_number(a);
    y = oracle_number(b);
    x.negative ^= y.negative;
    x.digits *= y.digits;
    x.exponent += y.exponent;
    return moe_f32_of_bits(oracle_code(MOE_FORMAT_fp32, x));
}

static inline double oracle_rounded(moe_format_t format, double x)
{
    return moe_float_value(format, oracle_code_of(format, x));
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

/* sqrt(log(1 + exp(x))), rounded to fp32. */
static inline double oracle_sqrt_softplus(double x)
{
    const double v =
        isinf(x) || x > 700 ? sqrt(fmax(x, 0.0)) : sqrt(log1p(exp(x)));
    double low = oracle_rounded(MOE_FORMAT_fp32, v * (1.0 - 0x1p-40));
    mpfr_t e;

    if (!(low < oracle_rounded(MOE_FORMAT_fp32, v * (1.0 + 0x1p-40)))) {
        return low;
    }
    mpfr_init2(e, ORACLE_BITS);
    mpfr_set_d(e, x, MPFR_RNDU);
    mpfr_exp(e, e, MPFR_RNDU);
    mpfr_log1p(e, e, MPFR_RNDU);
    mpfr_sqrt(e, e, MPFR_RNDZ);
    low = oracle_odd(mpfr_get_d(e, MPFR_RNDZ));
    mpfr_clear(e);
    return oracle_rounded(MOE_FORMAT_fp32, low);
}

#endif
