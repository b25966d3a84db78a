/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * bf16 to NVFP4 by the profile te-exact, fast.
 *
 * ref/quantize_nvfp4.c defines the profile, for values of any source. A bf16
 * times a float has at most 32 digits, so that one multiplication in float
 * is the one rounding that the profile asks for; all versions here give the
 * profile's bits, and a test holds each to it.
 */
#ifndef REF_NVFP4_ENCODE_H
#define REF_NVFP4_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * @param[in]  x       [blocks][16] bf16.
 * @param[in]  global  Global scale, encode direction; it and its inverse
 *                     positive and finite.
 * @param[out] codes   [blocks][8], two codes a byte, low nibble first.
 * @param[out] scales  [blocks] E4M3 codes.
 */
typedef void moe_nvfp4_encode_func_t(const uint16_t *x, int64_t blocks,
                                     float global, uint8_t *codes,
                                     uint8_t *scales);

/** A version. */
typedef struct {
    const char *name;
    bool (*available)(void); /* on this processor */
    moe_nvfp4_encode_func_t *encode;
} moe_nvfp4_encoder_t;

/** Version i, best first, whether available or not; NULL at the end. */
const moe_nvfp4_encoder_t *moe_nvfp4_encoder_at(int i);

/**
 * The version to use: the best there is, or what goes with the matmul kernel
 * that MOESIM_KERNEL names: avx2 with avx2, plain with blas.
 */
const moe_nvfp4_encoder_t *moe_nvfp4_encoder(void);

moe_nvfp4_encode_func_t moe_nvfp4_encode_plain;
extern const moe_nvfp4_encoder_t moe_nvfp4_encoder_avx2;
extern const moe_nvfp4_encoder_t moe_nvfp4_encoder_avx512;

#endif
