/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * NVFP4 blocks as integers in float64, for matmuls on the integer grid.
 *
 * The versions give the same numbers; a test holds each to the plain one.
 */
#ifndef REF_NVFP4_DECODE_H
#define REF_NVFP4_DECODE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Twice each code times its scale in units of 2^-9; a zero of either sign.
 * @param[in]  codes   [blocks][8], two codes a byte, low nibble first.
 * @param[in]  scales  [blocks] E4M3 codes, no NaN.
 * @param[out] out     [blocks][16].
 */
typedef void moe_nvfp4_decode_func_t(const uint8_t *codes,
                                     const uint8_t *scales, int64_t blocks,
                                     double *out);

/** The best version for this processor. */
moe_nvfp4_decode_func_t moe_nvfp4_decode;

/* The versions. Those for a processor may be called only on it. */
moe_nvfp4_decode_func_t moe_nvfp4_decode_plain;
moe_nvfp4_decode_func_t moe_nvfp4_decode_avx2;
moe_nvfp4_decode_func_t moe_nvfp4_decode_avx512;

/** Were they compiled in, and has the processor what they need? */
bool moe_nvfp4_decode_has_avx2(void);
bool moe_nvfp4_decode_has_avx512(void);

#endif
