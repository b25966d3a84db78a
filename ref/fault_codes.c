/* SPDX-License-Identifier: Apache-2.0 */
/* Codes and scales that lie, or are read, in another order. */
#include "ref/fault_inside.h"

#include "ref/swizzle.h"

#include <stdlib.h>
#include <string.h>

/* Scales of one byte, which alone are tiled. */
static bool has_byte_scales(const moe_rows_t *rows)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);

    return rows->scales != NULL && info->block != MOE_BLOCK_ROW &&
           moe_dtype_bits(info->scale) == 8;
}

static moe_status_t swap_nibbles(const moe_ref_layer_t *layer,
                                 const moe_rows_t *rows)
{
    uint8_t *codes = rows->codes;

    if (moe_format_info(rows->storage.format)->code != MOE_DTYPE_e2m1) {
        return moe_ref_fault_none(layer);
    }
    for (int64_t i = 0; i < rows->rows * moe_rows_code_bytes(rows); i++) {
        codes[i] = (uint8_t)(codes[i] << 4 | codes[i] >> 4);
    }
    return MOE_OK;
}

/* Where a reader that knows no padding finds a row: -1 in padding. */
static int64_t padded_row(const moe_ref_index_t *index, int64_t at)
{
    int64_t begin = 0;

    for (int64_t e = 0; e < index->n_experts; e++) {
        int64_t n = index->offset[e + 1] - index->offset[e];

        if (at < begin + n) {
            return at < begin ? -1 : index->offset[e] + at - begin;
        }
        begin += (n + 127) / 128 * 128;
    }
    return -1;
}

/* What a scale is read as: memory [n], made by its layout. */
static uint8_t misread(const moe_ref_layer_t *layer, const uint8_t *memory,
                       int64_t n, int64_t blocks, int64_t row, int64_t block)
{
    int64_t at = row * blocks + block;

    if (layer->fault.kind == MOE_FAULT_scales_padding) {
        at = padded_row(&layer->index, row);
        at = at < 0 ? -1 : at * blocks + block;
    } else if (layer->fault.kind != MOE_FAULT_scales_swizzled) {
        at = moe_scales_offset(MOE_SCALES_128x4, blocks, row, block);
    }
    return at >= 0 && at < n ? memory[at] : 0;
}

static moe_status_t misplace_scales(const moe_ref_layer_t *layer,
                                    const moe_rows_t *rows)
{
    const moe_fault_kind_t kind = layer->fault.kind;
    const int64_t blocks =
        moe_format_scale_cols(rows->storage.format, rows->cols);
    const moe_scale_layout_t layout =
        kind == MOE_FAULT_scales_swizzled ? MOE_SCALES_128x4
        : kind == MOE_FAULT_scales_8x4    ? MOE_SCALES_8x4
                                          : MOE_SCALES_linear;
    const int64_t n = layout == MOE_SCALES_linear
                          ? rows->rows * blocks
                          : moe_scales_bytes(layout, rows->rows, blocks);
    uint8_t *memory = calloc(1, (size_t)n + 1);
    uint8_t *scales = rows->scales;

    if (memory == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for scales");
    }
    if (layout == MOE_SCALES_linear) {
        memcpy(memory, scales, (size_t)n);
    } else {
        moe_scales_swizzle(layout, rows->rows, blocks, scales, memory);
    }
    for (int64_t i = 0; i < rows->rows * blocks; i++) {
        scales[i] = misread(layer, memory, n, blocks, i / blocks, i % blocks);
    }
    free(memory);
    return MOE_OK;
}

moe_status_t moe_ref_fault_codes(const moe_ref_layer_t *layer,
                                 const moe_rows_t *rows)
{
    if (layer->fault.kind == MOE_FAULT_nibbles_swapped) {
        return swap_nibbles(layer, rows);
    }
    return has_byte_scales(rows) ? misplace_scales(layer, rows)
                                 : moe_ref_fault_none(layer);
}
