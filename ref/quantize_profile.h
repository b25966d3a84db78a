/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Named quantiser algorithms: one file each, listed in ref/quantize.c.
 */
#ifndef REF_QUANTIZE_PROFILE_H
#define REF_QUANTIZE_PROFILE_H

#include "ref/formats.h"

#include <math.h>
#include <stdint.h>

/**
 * Quantise n elements, a multiple of the block.
 *
 * @param[in]  x       Exact values.
 * @param[in]  global  Global scale, encode direction; 0 if none.
 * @param[out] codes   Packed codes of the n elements.
 * @param[out] scales  One a block.
 */
typedef void moe_quantize_func_t(const double *x, int64_t n, float global,
                                 uint8_t *codes, void *scales);

moe_quantize_func_t moe_quantize_te_exact;
moe_quantize_func_t moe_quantize_deepep;

/** Largest magnitude of n values; those that are NaN count nothing, as in
 * the packed maximum of GPUs. */
static inline double moe_largest_magnitude(const double *x, int64_t n)
{
    double largest = 0.0;

    for (int64_t i = 0; i < n; i++) {
        double a = x[i] < 0.0 ? -x[i] : x[i];

        largest = a > largest ? a : largest;
    }
    return largest;
}

/**
 * RN32(a * b), one rounding of the exact product.
 *
 * float64 holds the product of up to 53 digits. One of more could be rounded
 * to a midpoint of floats, whose last 28 bits are 0: there the sign of what
 * was lost decides, by rounding to odd.
 */
static inline float moe_product_f32(double a, double b)
{
    double p = a * b;
    uint64_t bits = moe_f64_bits(p);

    if ((bits & 0xfffffff) == 0) {
        double lost = fma(a, b, -p);

        if (lost > 0.0 || lost < 0.0) {
            bits += (lost > 0.0) == (p > 0.0) ? 1 : UINT64_MAX;
        }
    }
    return (float)moe_f64_of_bits(bits);
}

#endif
