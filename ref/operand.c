/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/operand.h"

#include "ref/dot.h"
#include "ref/formats.h"

#include <math.h>

enum {
    BYTES = 256
};

static bool has_long_scale(const moe_format_info_t *info)
{
    return info->scale == MOE_DTYPE_fp32;
}

bool moe_operand_is_blocked(moe_format_t format)
{
    const moe_format_info_t *info = moe_format_info(format);

    return has_long_scale(info) && info->block != MOE_BLOCK_ROW;
}

bool moe_operand_has(moe_format_t format)
{
    switch ((int)moe_format_info(format)->code) {
    case MOE_DTYPE_bf16:
    case MOE_DTYPE_fp16:
    case MOE_DTYPE_fp32:
    case MOE_DTYPE_e2m1:
    case MOE_DTYPE_e4m3:
    case MOE_DTYPE_e5m2:
    case MOE_DTYPE_i8:
        return true;
    default:
        return false;
    }
}

int64_t moe_operand_bytes(int64_t rows, int64_t k, int64_t block)
{
    return rows * (k + 3 + k / block) * (int64_t)sizeof(double);
}

moe_operand_t moe_operand_place(void *memory, int64_t rows, int64_t k,
                                int64_t block)
{
    moe_operand_t o = {.value = memory, .k = k, .block = block};

    o.norm = o.value + rows * k;
    o.unit = o.norm + rows;
    o.factor = o.unit + rows;
    o.scale = o.factor + rows;
    return o;
}

/* Digits of a value: those of the code and of a short scale. */
static int digits_of(const moe_format_info_t *info)
{
    int digits = 0;

    switch ((int)info->code) {
    case MOE_DTYPE_bf16:
    case MOE_DTYPE_i8:
        digits = 8;
        break;
    case MOE_DTYPE_fp16:
        digits = 11;
        break;
    case MOE_DTYPE_fp32:
        digits = 24;
        break;
    case MOE_DTYPE_e4m3:
        digits = 4;
        break;
    default: /* E5M2, E2M1 */
        digits = 3;
        break;
    }
    return digits + (info->scale == MOE_DTYPE_bf16   ? 8
                     : info->scale == MOE_DTYPE_e4m3 ? 4
                                                     : 0);
}

/* A number of which all codes without a short scale are multiples. */
static double floor_of(const moe_format_info_t *info)
{
    if (info->scale != MOE_DTYPE_none && !has_long_scale(info)) {
        return 0.0;
    }
    switch ((int)info->code) {
    case MOE_DTYPE_i8:
        return 1.0;
    case MOE_DTYPE_e4m3:
        return 0x1p-9;
    case MOE_DTYPE_e5m2:
        return 0x1p-16;
    case MOE_DTYPE_e2m1:
        return 0.5;
    default:
        return 0.0;
    }
}

static void make_table(moe_dtype_t dtype, double table[BYTES])
{
    for (int i = 0; i < BYTES; i++) {
        uint8_t code = (uint8_t)i;

        table[i] = dtype == MOE_DTYPE_i8     ? (double)(int8_t)code
                   : dtype == MOE_DTYPE_e4m3 ? (double)moe_e4m3_to_f32(code)
                                             : (double)moe_e5m2_to_f32(code);
    }
}

/* Values of a row; global_scale of rows is 1. */
static void decode_row(const moe_rows_t *rows, int64_t row,
                       const double table[BYTES], double *out)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    const uint8_t *codes = moe_rows_codes(rows, row);

    if (info->code == MOE_DTYPE_bf16) {
        moe_bf16_values((const uint16_t *)(const void *)codes, rows->cols, out);
    } else if (moe_dtype_bits(info->code) == 8 &&
               (info->scale == MOE_DTYPE_none || has_long_scale(info))) {
        for (int64_t i = 0; i < rows->cols; i++) {
            out[i] = table[codes[i]];
        }
    } else {
        moe_rows_values(rows, row, 0, rows->cols, out);
    }
}

/* Factor of a row, and scales of its blocks of operand->block columns. */
static void decode_scales(const moe_rows_t *rows, int64_t row, int64_t i,
                          const moe_operand_t *o)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    const int64_t blocks = o->k / o->block;
    const int64_t of_row =
        moe_format_scale_cols(rows->storage.format, rows->cols);
    const float *scales = rows->scales == NULL
                              ? NULL
                              : (const float *)rows->scales + row * of_row;

    o->factor[i] = (double)moe_rows_global(&rows->storage);
    if (has_long_scale(info) && info->block == MOE_BLOCK_ROW) {
        o->factor[i] = (double)scales[0];
    }
    for (int64_t b = 0; b < blocks; b++) {
        o->scale[i * blocks + b] =
            moe_operand_is_blocked(rows->storage.format)
                ? (double)scales[b * o->block / info->block]
                : 1.0;
    }
}

void moe_operand_decode(const moe_rows_t *rows, int64_t first, int64_t n,
                        const moe_operand_t *o)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    const double floor_unit = floor_of(info);
    double table[BYTES];
    moe_rows_t bare = *rows;

    bare.storage.global_scale = info->has_global ? 1.0f : 0.0f;
    make_table(info->code, table);
    for (int64_t i = 0; i < n; i++) {
        double least, unit;

        decode_row(&bare, first + i, table, o->value + i * o->k);
        decode_scales(rows, first + i, i, o);
        moe_dot_facts(o->value + i * o->k, o->k, &o->norm[i], &least);
        unit = isfinite(least) ? ldexp(1.0, ilogb(least) + 1 - digits_of(info))
                               : 1.0;
        o->unit[i] = unit > floor_unit ? unit : floor_unit;
    }
}
