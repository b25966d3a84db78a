/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Numbers of the float formats of rows, in memory and rounded once; the
 * conversions of single elements are in ref/elements.h.
 */
#ifndef REF_FORMATS_H
#define REF_FORMATS_H

#include "moe/format.h"
#include "ref/elements.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A C11 compiler need not have it; GCC and Clang do. */
__extension__ typedef unsigned __int128 moe_u128_t;

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

/** bf16, fp16 and fp32: formats of plain floating-point numbers. */
bool moe_format_is_float(moe_format_t format);

/** Exact value of a code of a float format. */
double moe_float_value(moe_format_t format, uint32_t bits);

/** The values of n bf16 numbers, into out. */
void moe_bf16_values(const uint16_t *bits, int64_t n, double *restrict out);

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
