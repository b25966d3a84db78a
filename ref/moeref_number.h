/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libmoeref: conversions of numbers. Part of <moeref.h>, which is what to
 * include.
 */
#ifndef MOEREF_NUMBER_H
#define MOEREF_NUMBER_H

#include "moeref_base.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Numbers ------------------------------------------------------------
 *
 * bf16 and fp16: bits as in IEEE 754 interchange; a NaN stays a NaN, quiet.
 * E2M1: codes 0..F for +-{0, 0.5, 1, 1.5, 2, 3, 4, 6}; from_e2m1 takes the
 * low four bits. E4M3: the "fn" kind, without infinity, NaN 7F and FF. E5M2:
 * infinity 7C, NaN 7D to 7F. E8M0: 2^(code - 127) of |x|, NaN FF; upward, or
 * with _zero toward zero.
 *
 * They saturate at 6, 448, 57344 and 2^127, infinity too; with _nosat E4M3
 * and E8M0 give NaN and E5M2 infinity instead. A NaN of either sign gives 7
 * in E2M1, 7F in E4M3 and E5M2, FF in E8M0. A zero keeps its sign. Source:
 * OCP Microscaling Formats 1.0; cuda_fp4 and cuda_fp8 of CUDA 13.0, on all
 * 2^32 floats. */

MOEREF_API uint16_t moeref_to_bf16(float x);
MOEREF_API float moeref_from_bf16(uint16_t bits);
MOEREF_API uint16_t moeref_to_fp16(float x);
MOEREF_API float moeref_from_fp16(uint16_t bits);
MOEREF_API uint8_t moeref_to_e2m1(float x);
MOEREF_API float moeref_from_e2m1(uint8_t code);
MOEREF_API uint8_t moeref_to_e4m3(float x);
MOEREF_API uint8_t moeref_to_e4m3_nosat(float x);
MOEREF_API float moeref_from_e4m3(uint8_t code);
MOEREF_API uint8_t moeref_to_e5m2(float x);
MOEREF_API uint8_t moeref_to_e5m2_nosat(float x);
MOEREF_API float moeref_from_e5m2(uint8_t code);
MOEREF_API uint8_t moeref_to_e8m0(float x);
MOEREF_API uint8_t moeref_to_e8m0_nosat(float x);
MOEREF_API uint8_t moeref_to_e8m0_zero(float x);
MOEREF_API uint8_t moeref_to_e8m0_zero_nosat(float x);
MOEREF_API float moeref_from_e8m0(uint8_t code);

/**
 * Name of conversion i, as moesim list conversions shows them: "bf16" ...
 * "e8m0_zero_nosat"; NULL after the last.
 */
MOEREF_API const char *moeref_conversion_name(size_t i);

/**
 * n floats to codes by a conversion, and back, one code an element.
 * @param[in]  conversion  Its name.
 * @param[out] codes       uint16_t for bf16 and fp16, uint8_t for the others;
 *                         E2M1 is not packed.
 */
MOEREF_API moeref_status_t moeref_encode(const char *conversion, const float *x,
                                         size_t n, void *codes);
MOEREF_API moeref_status_t moeref_decode(const char *conversion,
                                         const void *codes, size_t n,
                                         float *out);

/** float64 to bf16 or fp16 bits in one rounding, never by way of
 * float. */
MOEREF_API uint16_t moeref_double_to_bf16(double x);
MOEREF_API uint16_t moeref_double_to_fp16(double x);

#ifdef __cplusplus
}
#endif

#endif
