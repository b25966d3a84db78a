/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Named quantiser algorithms: one file each, listed in ref/quantize.c.
 */
#ifndef REF_QUANTIZE_PROFILE_H
#define REF_QUANTIZE_PROFILE_H

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

#endif
