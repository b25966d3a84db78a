/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 128x4: offset(m, k) = ((m div 128) tiles + k div 4) 512 + (m mod 32) 16 +
 * (m mod 128) div 32 * 4 + k mod 4, tiles = ceil(blocks / 4): cuBLAS, CUTLASS
 * (atom of shape (32, 4), stride (16, 4)), FlashInfer, TensorRT-LLM, vLLM.
 * 8x4: ((m div 8) tiles + k div 4) 32 + (m mod 8) 4 + k mod 4: TensorRT-LLM
 * for few rows.
 */
#include "ref/swizzle.h"

#include "base/checked.h"

#include <string.h>

#define TILE_BLOCKS 4

static int64_t tile_rows(moe_scale_layout_t layout)
{
    return layout == MOE_SCALES_128x4 ? 128 : 8;
}

int64_t moe_scales_bytes(moe_scale_layout_t layout, int64_t rows,
                         int64_t blocks)
{
    int64_t height = tile_rows(layout);

    if (layout == MOE_SCALES_linear) {
        return rows * blocks;
    }
    return moe_div_up(rows, height) * height *
           (moe_div_up(blocks, TILE_BLOCKS) * TILE_BLOCKS);
}

int64_t moe_scales_offset(moe_scale_layout_t layout, int64_t blocks,
                          int64_t row, int64_t block)
{
    int64_t height = tile_rows(layout);
    int64_t tiles = moe_div_up(blocks, TILE_BLOCKS);
    int64_t tile = row / height * tiles + block / TILE_BLOCKS;
    int64_t in_tile = row % height * TILE_BLOCKS;

    if (layout == MOE_SCALES_linear) {
        return row * blocks + block;
    }
    if (layout == MOE_SCALES_128x4) {
        in_tile = row % 32 * 16 + row % 128 / 32 * TILE_BLOCKS;
    }
    return tile * height * TILE_BLOCKS + in_tile + block % TILE_BLOCKS;
}

void moe_scales_swizzle(moe_scale_layout_t layout, int64_t rows, int64_t blocks,
                        const uint8_t *linear, uint8_t *tiled)
{
    int64_t size = moe_scales_bytes(layout, rows, blocks);

    if (size == 0) {
        return;
    }
    memset(tiled, 0, (size_t)size);
    for (int64_t m = 0; m < rows; m++) {
        for (int64_t k = 0; k < blocks; k++) {
            tiled[moe_scales_offset(layout, blocks, m, k)] =
                linear[m * blocks + k];
        }
    }
}

void moe_scales_unswizzle(moe_scale_layout_t layout, int64_t rows,
                          int64_t blocks, const uint8_t *tiled, uint8_t *linear)
{
    for (int64_t m = 0; m < rows; m++) {
        for (int64_t k = 0; k < blocks; k++) {
            linear[m * blocks + k] =
                tiled[moe_scales_offset(layout, blocks, m, k)];
        }
    }
}

bool moe_scales_concatenate(moe_scale_layout_t layout, const int64_t *rows,
                            int64_t shards)
{
    int64_t height = layout == MOE_SCALES_linear ? 1 : tile_rows(layout);
    bool open = false; /* a tile that is not full has gone before */

    for (int64_t s = 0; s < shards; s++) {
        if (open && rows[s] > 0) {
            return false;
        }
        open = open || rows[s] % height != 0;
    }
    return true;
}

void moe_scales_gather(moe_scale_layout_t layout, const int64_t *rows,
                       int64_t shards, int64_t blocks,
                       const uint8_t *const *shard, uint8_t *whole)
{
    int64_t total = 0;
    int64_t first = 0;
    int64_t size;

    for (int64_t s = 0; s < shards; s++) {
        total += rows[s];
    }
    size = moe_scales_bytes(layout, total, blocks);
    if (size > 0) {
        memset(whole, 0, (size_t)size);
    }
    for (int64_t s = 0; s < shards; first += rows[s++]) {
        for (int64_t m = 0; m < rows[s]; m++) {
            for (int64_t k = 0; k < blocks; k++) {
                whole[moe_scales_offset(layout, blocks, first + m, k)] =
                    shard[s][moe_scales_offset(layout, blocks, m, k)];
            }
        }
    }
}
