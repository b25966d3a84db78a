/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/draw.h"

#include <string.h>

enum {
    E4M3_ONE = 0x38,
    PANEL = MOE_FILL_PANEL_ROWS,
    QUAD = 4 /* bytes of a row that lie together in a panel */
};

/* bf16 bits of a number of at most 8 binary digits. */
static uint16_t bf16_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return (uint16_t)(bits >> 16);
}

void moe_draw_hidden(const moe_draw_t *d, int64_t first, int64_t n,
                     uint16_t *out)
{
    const int64_t h = d->model->hidden;

    if (d->data == MOE_DATA_normal) {
        moe_fill_hidden(d->seed, h, first, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        /* integers into the row's own first half, then widened from behind */
        int8_t *row = (int8_t *)(out + i * h);

        moe_grid_hidden(d, first + i, row);
        for (int64_t c = h - 1; c >= 0; c--) {
            const int8_t value = row[c];

            out[i * h + c] = bf16_of((float)value);
        }
    }
}

void moe_draw_router(const moe_draw_t *d, uint16_t *out)
{
    const int64_t h = d->model->hidden;
    int32_t row[MOE_GRID_BLOCK * MOE_GRID_BLOCK];

    if (d->data == MOE_DATA_normal) {
        moe_fill_router(d->seed, d->model->experts, h, out);
        return;
    }
    for (int64_t e = 0; e < d->model->experts; e++) {
        for (int64_t c = 0; c < h; c += (int64_t)(sizeof(row) / sizeof(*row))) {
            int64_t n = h - c;

            n = n < (int64_t)(sizeof(row) / sizeof(*row))
                    ? n
                    : (int64_t)(sizeof(row) / sizeof(*row));
            moe_grid_router(d, e, c, n, row);
            for (int64_t i = 0; i < n; i++) {
                out[e * h + c + i] =
                    bf16_of((float)row[i] / (float)MOE_GRID_STEPS);
            }
        }
    }
}

void moe_draw_bias(const moe_draw_t *d, float *out)
{
    if (d->data == MOE_DATA_normal) {
        moe_fill_bias(d->seed, d->model->experts, out);
        return;
    }
    for (int64_t e = 0; e < d->model->experts; e++) {
        out[e] = (float)moe_grid_bias(d, e);
    }
}

/* Codes of 1 and -1, and their bytes; two of E2M1 share one. */
static uint32_t code_of_one(moe_dtype_t dtype, bool negative)
{
    switch ((int)dtype) {
    case MOE_DTYPE_e2m1:
        return negative ? 0xa : 0x2;
    case MOE_DTYPE_e4m3:
        return negative ? 0x80 | E4M3_ONE : E4M3_ONE;
    case MOE_DTYPE_e5m2:
        return negative ? 0xbc : 0x3c;
    case MOE_DTYPE_i8:
        return negative ? 0xff : 1;
    case MOE_DTYPE_fp16:
        return negative ? 0xbc00 : 0x3c00;
    case MOE_DTYPE_fp32:
        return negative ? 0xbf800000 : 0x3f800000;
    default: /* bf16 */
        return negative ? 0xbf80 : 0x3f80;
    }
}

static void put_one(moe_dtype_t dtype, int64_t at, bool negative, uint8_t *out)
{
    const uint32_t code = code_of_one(dtype, negative);

    if (dtype == MOE_DTYPE_e2m1) {
        out[at / 2] = (uint8_t)(out[at / 2] | code << (4 * (at % 2)));
    } else if (dtype == MOE_DTYPE_fp32) {
        ((uint32_t *)(void *)out)[at] = code;
    } else if (moe_dtype_bits(dtype) == 16) {
        ((uint16_t *)(void *)out)[at] = (uint16_t)code;
    } else {
        out[at] = (uint8_t)code;
    }
}

/* One row of codes, columns [col, col + cols), in bytes bytes. */
static void grid_codes(const moe_draw_t *d, moe_weight_t weight,
                       moe_dtype_t dtype, int64_t expert, int64_t row,
                       int64_t col, int64_t cols, int64_t bytes, uint8_t *out)
{
    moe_grid_one_t one[MOE_GRID_ONES];
    const int n = moe_grid_row(d, weight, expert, row, one);

    memset(out, 0, (size_t)bytes);
    for (int i = 0; i < n; i++) {
        if (one[i].col >= col && one[i].col < col + cols) {
            put_one(dtype, one[i].col - col, one[i].negative, out);
        }
    }
}

void moe_draw_weight_codes(const moe_draw_t *d, moe_weight_t weight,
                           int64_t expert, int64_t row, int64_t rows,
                           int64_t col, int64_t cols, uint8_t *out)
{
    if (d->data == MOE_DATA_normal) {
        moe_fill_weight_codes(d->seed, weight, expert, row, rows, col, cols,
                              out);
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        grid_codes(d, weight, MOE_DTYPE_e2m1, expert, row + i, col, cols,
                   cols / 2, out + i * (cols / 2));
    }
}

void moe_draw_weight_scales(const moe_draw_t *d, moe_weight_t weight,
                            int64_t expert, int64_t row, int64_t rows,
                            int64_t block, int64_t blocks, uint8_t *out)
{
    if (d->data == MOE_DATA_normal) {
        moe_fill_weight_scales(d->seed, weight, expert, row, rows, block,
                               blocks, out);
        return;
    }
    memset(out, E4M3_ONE, (size_t)(rows * blocks));
}

void moe_draw_panel_codes(const moe_draw_t *d, moe_weight_t weight,
                          int64_t expert, int64_t row, int64_t col,
                          int64_t cols, uint8_t *out)
{
    const int64_t end = moe_weight_rows(d->model, weight);
    moe_grid_one_t one[MOE_GRID_ONES];

    if (d->data == MOE_DATA_normal) {
        moe_fill_panel_codes(d->seed, weight, expert, row, col, cols, out);
        return;
    }
    memset(out, 0, (size_t)((cols + 31) / 32 * 32 / 2 * PANEL));
    for (int64_t r = 0; r < PANEL && row + r < end; r++) {
        const int n = moe_grid_row(d, weight, expert, row + r, one);

        for (int i = 0; i < n; i++) {
            const int64_t at = one[i].col - col;
            const int64_t byte = at / 2;

            if (at >= 0 && at < cols) {
                put_one(MOE_DTYPE_e2m1, at % 2, one[i].negative,
                        out + (byte / QUAD * PANEL + r) * QUAD + byte % QUAD);
            }
        }
    }
}

void moe_draw_panel_scales(const moe_draw_t *d, moe_weight_t weight,
                           int64_t expert, int64_t row, int64_t block,
                           int64_t blocks, uint8_t *out)
{
    if (d->data == MOE_DATA_normal) {
        moe_fill_panel_scales(d->seed, weight, expert, row, block, blocks, out);
        return;
    }
    memset(out, E4M3_ONE, (size_t)((blocks + 15) / 16 * 16 * PANEL));
}

float moe_draw_weight_global(const moe_draw_t *d, moe_weight_t weight,
                             moe_format_t format, int64_t expert, int64_t cols)
{
    if (d->data != MOE_DATA_normal || !moe_format_info(format)->has_global) {
        return 1.0f;
    }
    if (format != MOE_FORMAT_nvfp4) {
        return moe_fill_rows_global(cols);
    }
    return d->model->expert_scales
               ? (float)((double)moe_fill_weight_global(cols) *
                         moe_fill_expert_scale(d->seed, weight, expert) / 16.0)
               : moe_fill_weight_global(cols);
}

/* Scales of 1. */
static void put_scales(moe_dtype_t dtype, int64_t n, void *out)
{
    for (int64_t i = 0; i < n; i++) {
        if (dtype == MOE_DTYPE_fp32) {
            ((float *)out)[i] = 1.0f;
        } else if (dtype == MOE_DTYPE_bf16) {
            ((uint16_t *)out)[i] = bf16_of(1.0f);
        } else {
            ((uint8_t *)out)[i] = dtype == MOE_DTYPE_e8m0 ? 127 : E4M3_ONE;
        }
    }
}

void moe_draw_rows(const moe_draw_t *d, moe_weight_t weight,
                   moe_format_t format, int64_t expert, int64_t row,
                   int64_t rows, int64_t col, int64_t cols, void *codes,
                   void *scales)
{
    const moe_format_info_t *info = moe_format_info(format);
    const int64_t bytes = moe_format_code_bytes(format, cols);
    const int64_t blocks = moe_format_scale_cols(format, cols);

    if (format == MOE_FORMAT_nvfp4) {
        moe_draw_weight_codes(d, weight, expert, row, rows, col, cols, codes);
        moe_draw_weight_scales(d, weight, expert, row, rows, col / info->block,
                               blocks, scales);
        return;
    }
    if (d->data == MOE_DATA_normal) {
        moe_fill_rows(d->seed, d->model, weight, format, expert, row, rows, col,
                      cols, codes, scales);
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        grid_codes(d, weight, info->code, expert, row + i, col, cols, bytes,
                   (uint8_t *)codes + i * bytes);
    }
    if (scales != NULL) {
        put_scales(info->scale, rows * blocks, scales);
    }
}
