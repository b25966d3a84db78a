/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libmoeref: NVFP4 by the IEEE-exact profile. Part of <moeref.h>, which is what
 * to include.
 */
#ifndef MOEREF_NVFP4_H
#define MOEREF_NVFP4_H

#include "moeref_base.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- NVFP4 --------------------------------------------------------------
 *
 * Blocks of 16 columns: E2M1 codes, two a byte, the even column in the low
 * nibble; one E4M3 scale a block, linear: [rows][cols / 16]; one fp32 global
 * scale a tensor in the *encode* direction: code ~ x * global_scale / scale.
 * Element = code * scale * RN32(1 / global_scale). */

/**
 * Global scale of a tensor whose largest magnitude is amax: 448 * 6 / amax,
 * at most FLT_MAX; 1 if amax or that quotient is 0, as TransformerEngine
 * has it.
 */
MOEREF_API float moeref_nvfp4_global_scale(float amax);

/**
 * Quantise by the profile te-exact: TransformerEngine's IEEE-exact recipe,
 * which FlashInfer follows with FLASHINFER_DISABLE_FP4_QUANT_FAST_MATH=1.
 * v is a block's largest magnitude (NaN counts nothing), RN one rounding to
 * fp32:
 *
 *     scale = E4M3(RN(v * RN(global_scale * RN(1/6)))), 0 if v is 0
 *     os    = min(RN(1 / RN(scale * RN(1/global_scale))), FLT_MAX)
 *     code  = E2M1(RN(x * os))
 *
 * @param[in]  x             [rows][cols].
 * @param[in]  cols          A multiple of 16.
 * @param[in]  global_scale  Positive and finite, its inverse too.
 * @param[out] codes         [rows][cols / 2].
 * @param[out] scales        [rows][cols / 16].
 */
MOEREF_API moeref_status_t moeref_nvfp4_quantize(const float *x, size_t rows,
                                                 size_t cols,
                                                 float global_scale,
                                                 uint8_t *codes,
                                                 uint8_t *scales);

/** The same from bf16 bits. */
MOEREF_API moeref_status_t moeref_nvfp4_quantize_bf16(const uint16_t *x,
                                                      size_t rows, size_t cols,
                                                      float global_scale,
                                                      uint8_t *codes,
                                                      uint8_t *scales);

/** Decode: the exact value of each element rounded once. out [rows][cols]. */
MOEREF_API moeref_status_t moeref_nvfp4_dequantize(const uint8_t *codes,
                                                   const uint8_t *scales,
                                                   size_t rows, size_t cols,
                                                   float global_scale,
                                                   float *out);

/** The same to bf16 bits. */
MOEREF_API moeref_status_t moeref_nvfp4_dequantize_bf16(
    const uint8_t *codes, const uint8_t *scales, size_t rows, size_t cols,
    float global_scale, uint16_t *out);

#ifdef __cplusplus
}
#endif

#endif
