/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/formats.h"

#include <math.h>

enum {
    F64_DIGITS = 53 /* bits of a float64's significand */
};

/* A float whose ulp is the step of a format's subnormal numbers: adding it
 * rounds to that step, nearest even, and leaves the count in the low bits. */
#define FP16_SUBNORMAL 0x1p-1f /* ulp 2^-24 */
#define E4M3_SUBNORMAL 0x1p14f /* ulp 2^-9 */

static uint32_t count_steps(float magnitude, float anchor)
{
    return moe_f32_bits(magnitude + anchor) - moe_f32_bits(anchor);
}

float moe_e2m1_to_f32(uint8_t code)
{
    return (float)moe_e2m1_twice(code) / 2.0f * ((code & 15) == 8 ? -1 : 1);
}

int moe_e2m1_twice(uint8_t code)
{
    static const int8_t twice[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                     0, -1, -2, -3, -4, -6, -8, -12};

    return twice[code & 15];
}

uint16_t moe_fp16_from_f32(float x)
{
    uint32_t u = moe_f32_bits(x);
    uint32_t sign = u >> 16 & 0x8000;
    uint32_t a = u & 0x7fffffff;

    if (a > 0x7f800000) {
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    }
    if (a >= 0x477ff000) { /* 65520 */
        return (uint16_t)(sign | 0x7c00);
    }
    if (a < 0x38800000) { /* 2^-14 */
        return (uint16_t)(sign |
                          count_steps(moe_f32_of_bits(a), FP16_SUBNORMAL));
    }
    a += 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | ((a >> 13) - ((127 - 15) << 10)));
}

float moe_fp16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t a = bits & 0x7fff;

    if (a >= 0x7c00) {
        return moe_f32_of_bits(sign | 0x7f800000 | (a & 0x3ff) << 13);
    }
    if (a < 0x400) {
        float x = (float)a * 0x1p-24f;

        return sign != 0 ? -x : x;
    }
    return moe_f32_of_bits(sign | (a + ((127 - 15) << 10)) << 13);
}

uint8_t moe_e4m3_from_f32(float x)
{
    uint32_t u = moe_f32_bits(x);
    uint32_t sign = u >> 24 & 0x80;
    uint32_t a = u & 0x7fffffff;

    if (a > 0x7f800000) {
        return 0x7f;
    }
    if (a >= 0x43e00000) { /* 448 */
        return (uint8_t)(sign | 0x7e);
    }
    if (a < 0x3c800000) { /* 2^-6 */
        return (uint8_t)(sign |
                         count_steps(moe_f32_of_bits(a), E4M3_SUBNORMAL));
    }
    a += 0x7ffff + (a >> 20 & 1);
    return (uint8_t)(sign | ((a >> 20) - ((127 - 7) << 3)));
}

float moe_e4m3_to_f32(uint8_t code)
{
    float x;

    if ((code & 0x7f) == 0x7f) {
        return moe_f32_of_bits(0x7fc00000);
    }
    x = (float)moe_e4m3_units(code & 0x7f) * 0x1p-9f;
    return (code & 0x80) != 0 ? -x : x;
}

int32_t moe_e4m3_units(uint8_t code)
{
    int exponent = code >> 3 & 15;
    int32_t digits = code & 7;
    int32_t units = exponent == 0 ? digits : (digits + 8) << (exponent - 1);

    return (code & 0x80) != 0 ? -units : units;
}

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
