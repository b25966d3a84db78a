/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/elements.h"

enum {
    F32_DIGITS = 23, /* stored */
    F32_BIAS = 127,
    F32_INFINITY = 0x7f800000,
    CANONICAL_NAN = 0x7fc00000
};

static uint32_t magnitude_of(float x)
{
    return moe_f32_bits(x) & 0x7fffffff;
}

/*
 * Code of a magnitude, not NaN, in a format of so many stored digits and this
 * bias, as if its exponents went on: the caller bounds it.
 *
 * Below the smallest normal number a float is added whose ulp is the step of
 * the subnormal ones: the sum is rounded to that step, and the count of steps
 * stands in its low bits.
 */
static inline uint32_t nearest(uint32_t a, int digits, int bias)
{
    const int cut = F32_DIGITS - digits;
    const uint32_t normal = (uint32_t)(F32_BIAS + 1 - bias) << F32_DIGITS;
    const uint32_t anchor = normal + ((uint32_t)cut << F32_DIGITS);

    if (a < normal) {
        return moe_f32_bits(moe_f32_of_bits(a) + moe_f32_of_bits(anchor)) -
               anchor;
    }
    a += (1u << (cut - 1)) - 1 + (a >> cut & 1);
    return (a >> cut) - ((uint32_t)(F32_BIAS - bias) << digits);
}

/* The same, held at a code; with the sign, that of an eight-bit float. */
static inline uint8_t nearest_byte(float x, int digits, int bias, uint32_t most)
{
    uint32_t code = nearest(magnitude_of(x), digits, bias);

    return (uint8_t)(moe_f32_bits(x) >> 24 & 0x80) |
           (uint8_t)(code < most ? code : most);
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
    uint32_t sign = moe_f32_bits(x) >> 16 & 0x8000;
    uint32_t a = magnitude_of(x);
    uint32_t code;

    if (a > F32_INFINITY) {
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    }
    code = nearest(a, 10, 15);
    return (uint16_t)(sign | (code < 0x7c00 ? code : 0x7c00));
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
    return x == x ? nearest_byte(x, 3, 7, 0x7e) : 0x7f;
}

uint8_t moe_e4m3_from_f32_nosat(float x)
{
    return x == x ? nearest_byte(x, 3, 7, 0x7f) : 0x7f;
}

float moe_e4m3_to_f32(uint8_t code)
{
    float x;

    if ((code & 0x7f) == 0x7f) {
        return moe_f32_of_bits(CANONICAL_NAN);
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

uint8_t moe_e5m2_from_f32(float x)
{
    return x == x ? nearest_byte(x, 2, 15, 0x7b) : 0x7f;
}

uint8_t moe_e5m2_from_f32_nosat(float x)
{
    return x == x ? nearest_byte(x, 2, 15, 0x7c) : 0x7f;
}

/* The upper half of an fp16. */
float moe_e5m2_to_f32(uint8_t code)
{
    if ((code & 0x7f) > 0x7c) {
        return moe_f32_of_bits(CANONICAL_NAN);
    }
    return moe_fp16_to_f32((uint16_t)(code << 8));
}

/* Smallest code of at least |x|, as if codes went on to 255; 255 for NaN. */
static uint32_t power_above(float x)
{
    uint32_t a = magnitude_of(x);

    if (a > F32_INFINITY) {
        return 0xff;
    }
    return a <= 0x00400000 ? 0 : (a + 0x7fffff) >> F32_DIGITS;
}

/* Largest code of at most |x|, 0 if there is none; 255 from infinity on. */
static uint32_t power_below(float x)
{
    return magnitude_of(x) >> F32_DIGITS;
}

/* Code 255 is NaN: of another number it is held at 254. */
static uint8_t saturate(float x, uint32_t code)
{
    return (uint8_t)(x == x && code > 0xfe ? 0xfe : code);
}

uint8_t moe_e8m0_from_f32(float x)
{
    return saturate(x, power_above(x));
}

uint8_t moe_e8m0_from_f32_nosat(float x)
{
    return (uint8_t)power_above(x);
}

uint8_t moe_e8m0_from_f32_zero(float x)
{
    return saturate(x, power_below(x));
}

uint8_t moe_e8m0_from_f32_zero_nosat(float x)
{
    return (uint8_t)power_below(x);
}

float moe_e8m0_to_f32(uint8_t code)
{
    if (code == 0xff) {
        return moe_f32_of_bits(CANONICAL_NAN);
    }
    return moe_f32_of_bits(code == 0 ? 0x00400000
                                     : (uint32_t)code << F32_DIGITS);
}

/* Each conversion on uint32_t codes, cut to the type of its own. */
#define MOE_CONVERSION(id, dtype, from, to, text)                              \
    static uint32_t encode_##id(float x)                                       \
    {                                                                          \
        return from(x);                                                        \
    }                                                                          \
    static float decode_##id(uint32_t code)                                    \
    {                                                                          \
        return to(_Generic(from(0.0f), uint8_t                                 \
                           : (uint8_t)code, uint16_t                           \
                           : (uint16_t)code));                                 \
    }
#include "ref/conversions.def"
#undef MOE_CONVERSION

static const moe_conversion_info_t conversions[MOE_CONVERSION_COUNT] = {
#define MOE_CONVERSION(id, dtype, from, to, text)                              \
    [MOE_CONVERSION_##                                                         \
        id] = {#id, MOE_DTYPE_##dtype, encode_##id, decode_##id, text},
#include "ref/conversions.def"
#undef MOE_CONVERSION
};

const moe_conversion_info_t *moe_conversion_info(moe_conversion_t conversion)
{
    return (unsigned)conversion < MOE_CONVERSION_COUNT
               ? &conversions[conversion]
               : NULL;
}

bool moe_conversion_find(const char *name, moe_conversion_t *conversion_p)
{
    for (int i = 0; i < MOE_CONVERSION_COUNT; i++) {
        if (strcmp(name, conversions[i].name) == 0) {
            *conversion_p = (moe_conversion_t)i;
            return true;
        }
    }
    return false;
}
