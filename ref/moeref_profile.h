/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libmoeref: rows quantised as named kernels do. Part of <moeref.h>, which is
 * what to include.
 */
#ifndef MOEREF_PROFILE_H
#define MOEREF_PROFILE_H

#include "moeref_base.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Quantiser profiles -------------------------------------------------
 *
 * Rows to codes and scales as a named kernel computes them, bit for bit;
 * doc/formats.md has each formula, who uses it, and where bits differ. Codes
 * of a row are packed (E2M1: even column in the low nibble), rows follow each
 * other without gaps; scales are linear, [rows][blocks], in their own type:
 * E4M3 and E8M0 a byte, bf16 two, fp32 four; two bf16 in four bytes for
 * LogFMT-10. The fast-rcp profiles read a table once (MOESIM_RCP_TABLE, or
 * the installed one): the only file that this library opens. */

typedef enum {
    MOEREF_PROFILE_TE_EXACT = 1,
    MOEREF_PROFILE_FLASHINFER_EXACT,
    MOEREF_PROFILE_FAST_RCP_SM90,
    MOEREF_PROFILE_FAST_RCP_SM90_VLLM,
    MOEREF_PROFILE_TORCHAO_NVFP4,
    MOEREF_PROFILE_MXFP4_FLOOR,
    MOEREF_PROFILE_MXFP4_EVEN,
    MOEREF_PROFILE_MXFP4_CEIL6,
    MOEREF_PROFILE_MXFP4_CEIL,
    MOEREF_PROFILE_MXFP8_RCEIL,
    MOEREF_PROFILE_MXFP8_FLASHINFER,
    MOEREF_PROFILE_MXFP8_E5M2_RCEIL,
    MOEREF_PROFILE_DEEPEP,
    MOEREF_PROFILE_DEEPGEMM,
    MOEREF_PROFILE_VLLM_1X128,
    MOEREF_PROFILE_TRTLLM_1X128,
    MOEREF_PROFILE_DEEPEP_UE8M0,
    MOEREF_PROFILE_DEEPGEMM_UE8M0,
    MOEREF_PROFILE_VLLM_UE8M0,
    MOEREF_PROFILE_FP8_TOKEN_VLLM,
    MOEREF_PROFILE_FP8_TENSOR,
    MOEREF_PROFILE_INT8_DISPATCH,
    MOEREF_PROFILE_INT8_INIT_ROUTING,
    MOEREF_PROFILE_INT8_VLLM,
    MOEREF_PROFILE_INT8_COMBINE,
    MOEREF_PROFILE_LOGFMT10_DEEPEP
} moeref_profile_t;

/** Facts of a profile; strings are constants. */
typedef struct {
    const char *name;
    const char *format;
    const char *formula;
    const char *users;
    const char *differs;
    size_t block;         /* columns that share a scale; SIZE_MAX: all of a
                           * row; 0: no scales */
    size_t code_bits;     /* of an element */
    size_t scale_bytes;   /* of a scale */
    int has_global;       /* takes a global scale */
    double budget_scales; /* what share of another machine's scales, and */
    double budget_codes;  /* codes, may differ by one step */
} moeref_profile_info_t;

/** MOEREF_ERR_NAME if there is no such profile. */
MOEREF_API moeref_status_t moeref_profile_info(moeref_profile_t profile,
                                               moeref_profile_info_t *info);

/** Profile by its name, or by that of a system for a format: ("vllm",
 * "nvfp4"). MOEREF_ERR_NAME if there is none. */
MOEREF_API moeref_status_t moeref_profile_find(const char *word,
                                               const char *format,
                                               moeref_profile_t *profile);

/** Global scale from a tensor's largest magnitude as the profile's users
 * compute it, in the profile's direction: 2688 / amax, guarded in te-exact as
 * moeref_nvfp4_global_scale(), amax / 2688 in torchao; 0 if it takes none. */
MOEREF_API float moeref_global_scale(moeref_profile_t profile, float amax);

/** Bytes of a row's codes and scales; 0 if cols do not fit. */
MOEREF_API size_t moeref_row_code_bytes(moeref_profile_t profile, size_t cols);
MOEREF_API size_t moeref_row_scale_bytes(moeref_profile_t profile, size_t cols);

/**
 * Quantise rows.
 *
 * @param[in]  x             [rows][cols].
 * @param[in]  cols          A multiple of the block.
 * @param[in]  global_scale  In the profile's direction; ignored where it has
 *                           none.
 * @param[out] codes, scales Sizes as above; scales may be NULL without.
 * @return MOEREF_OK; MOEREF_ERR_NAME, MOEREF_ERR_SIZE; MOEREF_ERR_SCALE where
 *         te-exact and fp8-tensor refuse 0 and infinity; MOEREF_ERR_TABLE
 *         without the table of a fast-rcp profile.
 */
MOEREF_API moeref_status_t moeref_quantize(moeref_profile_t profile,
                                           const float *x, size_t rows,
                                           size_t cols, float global_scale,
                                           void *codes, void *scales);

/** The same from bf16 bits. */
MOEREF_API moeref_status_t moeref_quantize_bf16(moeref_profile_t profile,
                                                const uint16_t *x, size_t rows,
                                                size_t cols, float global_scale,
                                                void *codes, void *scales);

/** Decode: code x scale x global scale, rounded once. out [rows][cols]. */
MOEREF_API moeref_status_t moeref_dequantize(moeref_profile_t profile,
                                             const void *codes,
                                             const void *scales, size_t rows,
                                             size_t cols, float global_scale,
                                             float *out);

#ifdef __cplusplus
}
#endif

#endif
