/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Conversions between number formats: nearest, ties to the even code.
 *
 * Sources: IEEE 754-2019 (fp16, fp32); bfloat16 is the upper half of fp32;
 * E2M1 and E4M3 (fn: no infinity, NaN 7F and FF) are those of the OCP
 * Microscaling Formats specification 1.0, converted as the cuda_fp4 and
 * cuda_fp8 headers of CUDA 13.0 do with saturation to finite: infinity and
 * all above the largest number give the largest, NaN gives 7F in E4M3 and 7
 * (that is 6) in E2M1, whatever its sign. The sign of a zero is kept.
 */
#ifndef REF_FORMATS_H
#define REF_FORMATS_H

#include "moe/format.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A C11 compiler need not have it; GCC and Clang do. */
__extension__ typedef unsigned __int128 moe_u128_t;

static inline uint32_t moe_f32_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline float moe_f32_of_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline uint64_t moe_f64_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline double moe_f64_of_bits(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

/** Exact. */
static inline float moe_bf16_to_f32(uint16_t bits)
{
    return moe_f32_of_bits((uint32_t)bits << 16);
}

/** A NaN stays one: quiet, its sign and the head of its payload kept. */
static inline uint16_t moe_bf16_from_f32(float x)
{
    uint32_t u = moe_f32_bits(x);

    if ((u & 0x7fffffff) > 0x7f800000) {
        return (uint16_t)(u >> 16 | 0x40);
    }
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/** E2M1 code 0..F, saturating. */
static inline uint8_t moe_e2m1_from_f32(float x)
{
    uint32_t u = moe_f32_bits(x);
    float a = moe_f32_of_bits(u & 0x7fffffff);
    int code = (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) +
               (a > 2.5f) + (a >= 3.5f) + (a > 5.0f);

    return a == a ? (uint8_t)((int)(u >> 28 & 8) | code) : 7;
}

/** Exact; the low four bits of code. */
float moe_e2m1_to_f32(uint8_t code);

/** fp16 of the IEEE: above 65519.996 infinity. NaN as in bf16. */
uint16_t moe_fp16_from_f32(float x);
float moe_fp16_to_f32(uint16_t bits);

/** E4M3 fn, saturating. */
uint8_t moe_e4m3_from_f32(float x);
float moe_e4m3_to_f32(uint8_t code);

/** Twice the value of an E2M1 code: an integer, at most 12. */
int moe_e2m1_twice(uint8_t code);

/** Value of an E4M3 code in units of 2^-9: an integer, at most 229376.
 * The code is no NaN. */
int32_t moe_e4m3_units(uint8_t code);

/** bf16, fp16 and fp32: formats of plain floating-point numbers. */
bool moe_format_is_float(moe_format_t format);

/** Exact value of a code of a float format. */
double moe_float_value(moe_format_t format, uint32_t bits);

/** Codes of a float format in memory: element i. */
static inline uint32_t moe_float_load(moe_format_t format, const void *codes,
                                      int64_t i)
{
    uint32_t bits;
    uint16_t half;

    if (format == MOE_FORMAT_fp32) {
        memcpy(&bits, (const uint8_t *)codes + 4 * i, sizeof(bits));
        return bits;
    }
    memcpy(&half, (const uint8_t *)codes + 2 * i, sizeof(half));
    return half;
}

static inline void moe_float_store(moe_format_t format, void *codes, int64_t i,
                                   uint32_t bits)
{
    uint16_t half = (uint16_t)bits;

    if (format == MOE_FORMAT_fp32) {
        memcpy((uint8_t *)codes + 4 * i, &bits, sizeof(bits));
    } else {
        memcpy((uint8_t *)codes + 2 * i, &half, sizeof(half));
    }
}

/** Code of a float format next to x, which is exact: one rounding. */
uint32_t moe_round_f64(moe_format_t format, double x);

/**
 * Code of a float format next to +-magnitude x 2^exponent: one rounding of
 * the exact value.
 * @param[in] exponent  -100000 to 100000.
 */
uint32_t moe_round_int(moe_format_t format, bool negative, moe_u128_t magnitude,
                       int exponent);

#endif
