/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/rows.h"

#include "ref/formats.h"
#include "ref/logfmt.h"
#include "ref/odd.h"
#include "ref/swizzle.h"

#include <math.h>

float moe_rows_global(const moe_storage_t *storage)
{
    return moe_storage_decode(storage);
}

int64_t moe_rows_code_bytes(const moe_rows_t *rows)
{
    return moe_format_code_bytes(rows->storage.format, rows->cols);
}

uint8_t *moe_rows_codes(const moe_rows_t *rows, int64_t row)
{
    return (uint8_t *)rows->codes + row * moe_rows_code_bytes(rows);
}

int64_t moe_rows_scale_bytes(const moe_rows_t *rows)
{
    const moe_format_t format = rows->storage.format;

    return moe_dtype_bytes(moe_format_info(format)->scale,
                           moe_format_scale_cols(format, rows->cols));
}

/* Scale of the block of a column, exact. */
enum {
    CHUNK = 256 /* columns that are decoded at a time */
};

static double scale_of(const moe_rows_t *rows, int64_t row, int64_t col,
                       const moe_format_info_t *info)
{
    int64_t blocks = moe_format_scale_cols(rows->storage.format, rows->cols);
    int64_t at =
        moe_scales_offset(rows->layout, blocks, row, col / info->block);

    switch ((int)info->scale) {
    case MOE_DTYPE_fp32:
        return (double)((const float *)rows->scales)[at];
    case MOE_DTYPE_bf16:
        return (double)moe_bf16_to_f32(((const uint16_t *)rows->scales)[at]);
    case MOE_DTYPE_e8m0:
        return (double)moe_e8m0_to_f32(((const uint8_t *)rows->scales)[at]);
    case MOE_DTYPE_e4m3:
    default:
        return (double)moe_e4m3_to_f32(((const uint8_t *)rows->scales)[at]);
    }
}

static void values_of_bytes(moe_dtype_t dtype, const uint8_t *codes, int64_t n,
                            double *out)
{
    for (int64_t i = 0; i < n; i++) {
        if (dtype == MOE_DTYPE_i8) {
            out[i] = (double)(int8_t)codes[i];
        } else if (dtype == MOE_DTYPE_e4m3) {
            out[i] = (double)moe_e4m3_to_f32(codes[i]);
        } else {
            out[i] = (double)moe_e5m2_to_f32(codes[i]);
        }
    }
}

/* The elements one loop each: the quantisers' speed is here. */
static void values_of_codes(const moe_rows_t *rows, const uint8_t *codes,
                            int64_t col, int64_t n, double *out)
{
    moe_format_t format = rows->storage.format;
    moe_dtype_t dtype = moe_format_info(format)->code;

    if (dtype == MOE_DTYPE_e2m1) {
        for (int64_t i = 0; i < n; i++) {
            int shift = 4 * (int)((col + i) % 2);

            out[i] = (double)moe_e2m1_to_f32(
                (uint8_t)(codes[(col + i) / 2] >> shift));
        }
    } else if (moe_dtype_bits(dtype) == 8) {
        values_of_bytes(dtype, codes + col, n, out);
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

/* Of LogFMT-10: the value needs the block's two magnitudes. */
static void values_of_logarithms(const moe_rows_t *rows, int64_t row,
                                 int64_t col, int64_t n, double *out)
{
    int block = moe_format_info(rows->storage.format)->block;
    const uint8_t *codes = moe_rows_codes(rows, row);
    const uint32_t *scales = rows->scales;

    scales += row * moe_format_scale_cols(rows->storage.format, rows->cols);
    for (int64_t i = col; i < col + n; i++) {
        *out++ = (double)moe_logfmt10_value(codes, i, scales[i / block]);
    }
}

moe_sum_t *moe_rows_sums(const moe_rows_t *rows, int64_t row, int64_t col)
{
    return (moe_sum_t *)(void *)moe_rows_codes(rows, row) + col;
}

static void values_of_sums(const moe_sum_t *sums, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = moe_odd_sum(sums[i].hi, sums[i].lo);
    }
}

void moe_rows_values(const moe_rows_t *rows, int64_t row, int64_t col,
                     int64_t n, double *out)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    const uint8_t *codes = moe_rows_codes(rows, row);
    double global = (double)moe_rows_global(&rows->storage);
    double scale = global;

    if (rows->storage.format == MOE_FORMAT_exact) {
        values_of_sums(moe_rows_sums(rows, row, col), n, out);
        return;
    }
    if (info->code == MOE_DTYPE_log10) {
        values_of_logarithms(rows, row, col, n, out);
        return;
    }
    values_of_codes(rows, codes, col, n, out);
    if (!moe_format_is_coded(rows->storage.format)) {
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (info->block != 0 && (i == 0 || (col + i) % info->block == 0)) {
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

bool moe_rows_are_finite(const moe_rows_t *rows)
{
    double value[CHUNK];
    bool finite = true;

    for (int64_t i = 0; finite && i < rows->rows; i++) {
        for (int64_t c = 0; c < rows->cols; c += CHUNK) {
            int64_t n = rows->cols - c < CHUNK ? rows->cols - c : CHUNK;

            moe_rows_values(rows, i, c, n, value);
            for (int64_t j = 0; j < n; j++) {
                finite = finite && isfinite(value[j]);
            }
        }
    }
    return finite;
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

void moe_rows_weigh(const moe_rows_t *in, const float *weights, bool fp32,
                    const moe_rows_t *out)
{
    double value[CHUNK];

    for (int64_t i = 0; i < in->rows; i++) {
        for (int64_t c = 0; c < in->cols; c += CHUNK) {
            const int64_t n = in->cols - c < CHUNK ? in->cols - c : CHUNK;

            moe_rows_values(in, i, c, n, value);
            for (int64_t j = 0; j < n; j++) {
                value[j] *= (double)weights[i];
                value[j] = fp32 ? (double)(float)value[j] : value[j];
            }
            moe_rows_round(out, i, c, n, value);
        }
    }
}
