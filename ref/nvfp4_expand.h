/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * NVFP4 to a float format, fast: with a constant global scale an element is
 * one of sixteen numbers for each scale code, made once where they are met.
 */
#ifndef REF_NVFP4_EXPAND_H
#define REF_NVFP4_EXPAND_H

#include "moe/format.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * Exact value of each element rounded once, as moe_rows_value() and
 * moe_round_f64() have it.
 * @param[in]  codes   [blocks][8], two codes a byte, low nibble first.
 * @param[in]  scales  [blocks] E4M3 codes.
 * @param[in]  global  Global scale, decode direction.
 * @param[in]  format  A float format.
 * @param[out] out     [blocks][16].
 */
void moe_nvfp4_expand(const uint8_t *codes, const uint8_t *scales,
                      int64_t blocks, float global, moe_format_t format,
                      void *out);

/** The bytes of the sixteen numbers of a scale code: all first bytes, all
 * second bytes ... */
typedef struct {
    uint8_t of[4][16];
} moe_nvfp4_planes_t;

/** One block by its planes; bytes 2 or 4 an element. */
typedef void moe_nvfp4_expand_func_t(const moe_nvfp4_planes_t *planes,
                                     const uint8_t *codes, int bytes,
                                     uint8_t *out);

moe_nvfp4_expand_func_t moe_nvfp4_expand_plain;

/* May be called only on a processor that has it. */
moe_nvfp4_expand_func_t moe_nvfp4_expand_ssse3;
bool moe_nvfp4_expand_has_ssse3(void);

#endif
