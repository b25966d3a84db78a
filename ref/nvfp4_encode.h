/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * bf16 to NVFP4 by the profile te-exact, fast.
 *
 * ref/quantize_nvfp4.c defines the profile, for values of any source. A bf16
 * times a float has at most 32 digits, so that one multiplication in float
 * is the one rounding that the profile asks for. Products and comparisons are
 * monotone in |x|, and a block's multiplier depends on its scale code and the
 * global scale alone: so the seven borders between E2M1 codes are seven bf16
 * magnitudes for each scale code, and a code is the number of borders below
 * |x|. All versions give the profile's bits, and a test holds each to it.
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

/** The version to use: the best there is, or the plain one if MOESIM_KERNEL
 * is blas, the kernel without instructions of a processor. */
const moe_nvfp4_encoder_t *moe_nvfp4_encoder(void);

enum {
    MOE_NVFP4_BORDERS = 7,
    MOE_NVFP4_SCALES = 127 /* codes without a sign that are no NaN */
};

/** Of each scale code: bits of the largest bf16 magnitudes below each border
 * between E2M1 codes. Global scales from 2^-100 to 2^100. */
typedef int16_t moe_nvfp4_borders_t[MOE_NVFP4_SCALES][MOE_NVFP4_BORDERS];

void moe_nvfp4_borders(float global, moe_nvfp4_borders_t borders);

/** Do borders hold for this global scale, and do they pay? */
bool moe_nvfp4_has_borders(float global, int64_t blocks);

/** By the formulas: few blocks, and any global scale. */
moe_nvfp4_encode_func_t moe_nvfp4_encode_few;

moe_nvfp4_encode_func_t moe_nvfp4_encode_plain;
extern const moe_nvfp4_encoder_t moe_nvfp4_encoder_avx2;

#endif
