/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Layouts of block scales.
 */
#ifndef REF_SWIZZLE_H
#define REF_SWIZZLE_H

#include "moe/tensor.h"

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

#endif
