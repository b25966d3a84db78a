/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Layouts of block scales.
 */
#ifndef REF_SWIZZLE_H
#define REF_SWIZZLE_H

#include "moe/tensor.h"

#include <stdbool.h>
#include <stdint.h>

/** Bytes of the scales of rows x blocks one-byte scales in a layout. */
int64_t moe_scales_bytes(moe_scale_layout_t layout, int64_t rows,
                         int64_t blocks);

/** Offset of one scale in its layout; blocks scales a row. */
int64_t moe_scales_offset(moe_scale_layout_t layout, int64_t blocks,
                          int64_t row, int64_t block);

/** Linear scales [rows][blocks] to a tiled layout; padding zeroed. */
void moe_scales_swizzle(moe_scale_layout_t layout, int64_t rows, int64_t blocks,
                        const uint8_t *linear, uint8_t *tiled);

/** And back; padding is not read. */
void moe_scales_unswizzle(moe_scale_layout_t layout, int64_t rows,
                          int64_t blocks, const uint8_t *tiled,
                          uint8_t *linear);

/**
 * May the shards of a tensor's rows, each in the layout, be put one after the
 * other? Only if padding is at the very end: all shards but the last that
 * holds rows fill their tiles.
 */
bool moe_scales_concatenate(moe_scale_layout_t layout, const int64_t *rows,
                            int64_t shards);

/**
 * Shards, each in the layout, to the whole in the same layout: as if each
 * were made linear, all concatenated and that tiled again, which
 * TensorRT-LLM calls reswizzle. Padding zeroed.
 * @param[in]  rows   [shards]; may be 0.
 * @param[in]  shard  [shards], each moe_scales_bytes() of its rows.
 * @param[out] whole  moe_scales_bytes() of all rows; overlaps no shard.
 */
void moe_scales_gather(moe_scale_layout_t layout, const int64_t *rows,
                       int64_t shards, int64_t blocks,
                       const uint8_t *const *shard, uint8_t *whole);

#endif
