/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Named quantiser algorithms: a family a file, one constant
 * moe_quantiser_<id> for each line of moe/profile.def.
 */
#ifndef REF_QUANTIZE_PROFILE_H
#define REF_QUANTIZE_PROFILE_H

#include "moe/profile.h"
#include "ref/formats.h"

#include <float.h>
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
moe_quantize_func_t moe_quantize_logfmt10;

/** What becomes of a block's largest magnitude. */
typedef struct {
    uint32_t scale; /* bits of the stored scale */
    float factor;   /* of the elements, as the profile's element() takes it */
} moe_block_scale_t;

/** Scale of a block from its largest magnitude and the global scale. */
typedef moe_block_scale_t moe_scale_func_t(double v, float global);

/** Code of an element; n bits, the low ones, as the code type has. */
typedef uint8_t moe_element_func_t(double x, float factor);

/** A profile: whole blocks by one function, or a block's scale and then its
 * elements by two. Without scales the factor is the global scale. */
typedef struct {
    moe_quantize_func_t *blocks;
    moe_scale_func_t *scale;
    moe_element_func_t *element;
    bool nan_spreads; /* a NaN makes v a NaN, as torch.amax does; else NaN
                       * counts nothing, as in the packed maximum of GPUs */
    bool any_global;  /* takes a global scale of 0, infinity and NaN */
    bool needs_rcp;   /* uses moe_rcp_approx() */
} moe_quantiser_t;

#define MOE_PROFILE(id, name, format, global, budget, text, users, differs)    \
    extern const moe_quantiser_t moe_quantiser_##id;
#include "moe/profile.def"
#undef MOE_PROFILE

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

/** RN32(a / b), one rounding: to odd to float64 first. */
static inline float moe_quotient_f32(double a, double b)
{
    double q = a / b;
    double rest = fma(-q, b, a);
    uint64_t bits = moe_f64_bits(q);

    if (isfinite(q) && fabs(q) > 0.0 && (rest > 0.0 || rest < 0.0)) {
        bool above = (rest > 0.0) == (b > 0.0);

        bits = above == (q > 0.0) ? bits | 1 : (bits - 1) | 1;
    }
    return (float)moe_f64_of_bits(bits);
}

/** 2^(127 - code) of an E8M0 code, by which elements are multiplied; NaN for
 * FF. */
static inline float moe_e8m0_reciprocal(uint32_t code)
{
    return code == 0xff ? moe_f32_of_bits(0x7fc00000)
                        : ldexpf(1.0f, 127 - (int)code);
}

#endif
