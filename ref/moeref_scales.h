/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libmoeref: layouts of scales. Part of <moeref.h>, which is what to include.
 */
#ifndef MOEREF_SCALES_H
#define MOEREF_SCALES_H

#include "moeref_base.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Scale layouts ------------------------------------------------------ */

typedef enum {
    MOEREF_SCALES_LINEAR = 0, /* [rows][blocks] */
    MOEREF_SCALES_128X4 = 1,  /* tiles of 128 rows x 4 blocks: cuBLAS,
                               * CUTLASS, FlashInfer, vLLM, TensorRT-LLM */
    MOEREF_SCALES_8X4 = 2     /* tiles of 8 rows x 4 blocks: TensorRT-LLM
                               * for few rows */
} moeref_scale_layout_t;

/** Bytes of rows x blocks one-byte scales in a layout, padding included; 0
 * for an unknown layout or sizes that overflow. */
MOEREF_API size_t moeref_scales_bytes(moeref_scale_layout_t layout, size_t rows,
                                      size_t blocks);

/** Offset of the scale of a row and a block; blocks is the number of a row. */
MOEREF_API size_t moeref_scales_offset(moeref_scale_layout_t layout,
                                       size_t blocks, size_t row, size_t block);

/**
 * Linear scales to a layout, padding zeroed; and back.
 *
 * Tiled parts may be put together only if each has full tiles of rows: move
 * scales linear, and tile them where they are used.
 *
 * @param[out] tiled  moeref_scales_bytes() bytes.
 */
MOEREF_API moeref_status_t moeref_scales_swizzle(moeref_scale_layout_t layout,
                                                 size_t rows, size_t blocks,
                                                 const uint8_t *linear,
                                                 uint8_t *tiled);
MOEREF_API moeref_status_t moeref_scales_unswizzle(moeref_scale_layout_t layout,
                                                   size_t rows, size_t blocks,
                                                   const uint8_t *tiled,
                                                   uint8_t *linear);

/**
 * Tiled shards of rows to the tiled whole: each made linear, all put one
 * after the other, and that tiled again ("reswizzle"). Padding zeroed. Plain
 * concatenation of the bytes does the same only if every shard but the last
 * with rows fills its tiles.
 *
 * @param[in]  rows   [shards] rows of each; may be 0.
 * @param[in]  shard  [shards], each moeref_scales_bytes() of its rows.
 * @param[out] whole  moeref_scales_bytes() of all rows; overlaps no shard.
 */
MOEREF_API moeref_status_t moeref_scales_gather(moeref_scale_layout_t layout,
                                                const size_t *rows,
                                                size_t shards, size_t blocks,
                                                const uint8_t *const *shard,
                                                uint8_t *whole);

#ifdef __cplusplus
}
#endif

#endif
