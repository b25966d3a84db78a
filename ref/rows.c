/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/rows.h"

#include "ref/formats.h"
#include "ref/swizzle.h"

float moe_rows_global(const moe_storage_t *storage)
{
    const moe_format_info_t *info = moe_format_info(storage->format);

    return info->has_global ? 1.0f / storage->global_scale : 1.0f;
}

int64_t moe_rows_code_bytes(const moe_rows_t *rows)
{
    return moe_format_code_bytes(rows->storage.format, rows->cols);
}

uint8_t *moe_rows_codes(const moe_rows_t *rows, int64_t row)
{
    return (uint8_t *)rows->codes + row * moe_rows_code_bytes(rows);
}

/* Scale of the block of a column, exact. */
static double scale_of(const moe_rows_t *rows, int64_t row, int64_t col,
                       const moe_format_info_t *info)
{
    int64_t blocks = moe_format_scale_cols(rows->storage.format, rows->cols);
    int64_t at =
        moe_scales_offset(rows->layout, blocks, row, col / info->block);

    if (info->scale == MOE_DTYPE_fp32) {
        return (double)((const float *)rows->scales)[at];
    }
    return (double)moe_e4m3_to_f32(((const uint8_t *)rows->scales)[at]);
}

/* The formats' elements one loop each: the quantisers' speed is here. */
static void values_of_codes(const moe_rows_t *rows, const uint8_t *codes,
                            int64_t col, int64_t n, double *out)
{
    moe_format_t format = rows->storage.format;

    if (format == MOE_FORMAT_nvfp4) {
        for (int64_t i = 0; i < n; i++) {
            int shift = 4 * (int)((col + i) % 2);

            out[i] = (double)moe_e2m1_to_f32(
                (uint8_t)(codes[(col + i) / 2] >> shift));
        }
    } else if (format == MOE_FORMAT_fp8_1x128) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = (double)moe_e4m3_to_f32(codes[col + i]);
        }
    } else if (format == MOE_FORMAT_bf16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t bits = (uint16_t)moe_float_load(format, codes, col + i);

            out[i] = (double)moe_bf16_to_f32(bits);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            out[i] =
                moe_float_value(format, moe_float_load(format, codes, col + i));
        }
    }
}

void moe_rows_values(const moe_rows_t *rows, int64_t row, int64_t col,
                     int64_t n, double *out)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    const uint8_t *codes = moe_rows_codes(rows, row);
    double global = (double)moe_rows_global(&rows->storage);
    double scale = 1.0;

    values_of_codes(rows, codes, col, n, out);
    if (info->block == 0) {
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || (col + i) % info->block == 0) {
            scale = scale_of(rows, row, col + i, info) * global;
        }
        out[i] *= scale;
    }
}

double moe_rows_value(const moe_rows_t *rows, int64_t row, int64_t col)
{
    double value;

    moe_rows_values(rows, row, col, 1, &value);
    return value;
}

void moe_rows_round(const moe_rows_t *rows, int64_t row, int64_t col, int64_t n,
                    const double *value)
{
    moe_format_t format = rows->storage.format;
    uint8_t *codes = moe_rows_codes(rows, row);

    for (int64_t i = 0; i < n; i++) {
        moe_float_store(format, codes, col + i,
                        moe_round_f64(format, value[i]));
    }
}
