/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One element from fp32 and back: nearest, ties to the even code.
 *
 * Sources: IEEE 754-2019 (fp16, fp32); bfloat16 is the upper half of fp32;
 * E2M1, E4M3 (fn: no infinity, NaN 7F and FF), E5M2 and E8M0 are those of the
 * OCP Microscaling Formats specification 1.0, converted as the cuda_fp4 and
 * cuda_fp8 headers of CUDA 13.0 do. Conversions saturate unless their name
 * says otherwise: infinity and all that would be rounded above the largest
 * number give the largest. NaN gives 7F in E4M3 and E5M2, FF in E8M0 and 7
 * (that is 6) in E2M1, whatever its sign. The sign of a zero is kept.
 * tests/sweep_conversions.c holds them to the definition on all 2^32 floats.
 */
#ifndef REF_ELEMENTS_H
#define REF_ELEMENTS_H

#include "base/dtype.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

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

/** fp16 of the IEEE: from 65520 on infinity. NaN as in bf16. */
uint16_t moe_fp16_from_f32(float x);
float moe_fp16_to_f32(uint16_t bits);

/** E4M3 fn; beyond 464 is 448, or without saturation NaN with the sign. */
uint8_t moe_e4m3_from_f32(float x);
uint8_t moe_e4m3_from_f32_nosat(float x);
float moe_e4m3_to_f32(uint8_t code);

/** E5M2; from 61440 on 57344, or without saturation infinity. */
uint8_t moe_e5m2_from_f32(float x);
uint8_t moe_e5m2_from_f32_nosat(float x);
float moe_e5m2_to_f32(uint8_t code);

/**
 * E8M0, the exponent of a power of two: 2^(code - 127), FF is NaN. No sign:
 * that of |x|; no zero: all up to 2^-127 is code 0. Upward as scales take it
 * by default, or toward zero; above 2^127 FE, or without saturation FF.
 */
uint8_t moe_e8m0_from_f32(float x);
uint8_t moe_e8m0_from_f32_nosat(float x);
uint8_t moe_e8m0_from_f32_zero(float x);
uint8_t moe_e8m0_from_f32_zero_nosat(float x);

/** Code 0 is a subnormal float: a decoder that shifts makes 0 of it. */
float moe_e8m0_to_f32(uint8_t code);

/** Twice the value of an E2M1 code: an integer, at most 12. */
int moe_e2m1_twice(uint8_t code);

/** Value of an E4M3 code in units of 2^-9: an integer, at most 229376.
 * The code is no NaN. */
int32_t moe_e4m3_units(uint8_t code);

/** Conversions of ref/conversions.def. */
typedef enum {
#define MOE_CONVERSION(id, dtype, from, to, text) MOE_CONVERSION_##id,
#include "ref/conversions.def"
#undef MOE_CONVERSION
    MOE_CONVERSION_COUNT
} moe_conversion_t;

typedef struct {
    const char *name;
    moe_dtype_t dtype;
    uint32_t (*encode)(float x);
    float (*decode)(uint32_t code); /* exact */
    const char *text;
} moe_conversion_info_t;

/** Facts of a conversion; NULL if out of range. */
const moe_conversion_info_t *moe_conversion_info(moe_conversion_t conversion);

/** Conversion with this name; false, *conversion_p untouched, if there is
 * none. */
bool moe_conversion_find(const char *name, moe_conversion_t *conversion_p);

#endif
