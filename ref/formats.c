/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/formats.h"

#include "base/hot.h"

#include <math.h>

enum {
    F64_DIGITS = 53 /* bits of a float64's significand */
};

bool moe_format_is_float(moe_format_t format)
{
    return format == MOE_FORMAT_bf16 || format == MOE_FORMAT_fp16 ||
           format == MOE_FORMAT_fp32;
}

double moe_float_value(moe_format_t format, uint32_t bits)
{
    if (format == MOE_FORMAT_bf16) {
        return (double)moe_bf16_to_f32((uint16_t)bits);
    }
    if (format == MOE_FORMAT_fp16) {
        return (double)moe_fp16_to_f32((uint16_t)bits);
    }
    return (double)moe_f32_of_bits(bits);
}

MOE_HOT static void decode_bf16(const uint16_t *bits, int64_t n,
                                double *restrict out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (double)moe_bf16_to_f32(bits[i]);
    }
}

void moe_bf16_values(const uint16_t *bits, int64_t n, double *restrict out)
{
    decode_bf16(bits, n, out);
}

/*
 * fp32 by rounding to odd: cut off, and the last bit set if anything was
 * lost. A second rounding, to a format of at most 22 digits, is then that of
 * x itself (Boldo, Melquiond: Emulation of FMA and correctly rounded sums,
 * IEEE Transactions on Computers 57(4), 2008).
 */
static float to_odd_f32(double x)
{
    float f = (float)x;
    uint32_t u;

    if (!((double)f < x) && !((double)f > x)) {
        return f; /* exact, or NaN */
    }
    u = moe_f32_bits(f);
    if (fabs((double)f) > fabs(x)) {
        u--;
    }
    return moe_f32_of_bits(u | 1);
}

uint32_t moe_round_f64(moe_format_t format, double x)
{
    if (format == MOE_FORMAT_bf16) {
        return moe_bf16_from_f32(to_odd_f32(x));
    }
    if (format == MOE_FORMAT_fp16) {
        return moe_fp16_from_f32(to_odd_f32(x));
    }
    return moe_f32_bits((float)x);
}

static int digits_of(moe_u128_t x)
{
    uint64_t high = (uint64_t)(x >> 64);
    uint64_t low = (uint64_t)x;

    if (high != 0) {
        return 128 - __builtin_clzll(high);
    }
    return low != 0 ? 64 - __builtin_clzll(low) : 0;
}

/* Rounded to odd to float64, then to the format: see to_odd_f32(). Numbers
 * that leave float64's range leave that of the formats by far. */
uint32_t moe_round_int(moe_format_t format, bool negative, moe_u128_t magnitude,
                       int exponent)
{
    int cut = digits_of(magnitude) - F64_DIGITS;
    uint64_t digits = (uint64_t)magnitude;
    double x;

    if (cut > 0) {
        digits = (uint64_t)(magnitude >> cut);
        digits |= (moe_u128_t)digits << cut != magnitude;
        exponent += cut;
    }
    x = ldexp((double)digits, exponent);
    return moe_round_f64(format, negative ? -x : x);
}
