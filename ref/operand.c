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

void moe_operand_reader_init(moe_operand_reader_t *reader,
                             const moe_rows_t *rows)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);

    reader->rows = *rows;
    reader->bare = *rows;
    reader->bare.storage.global_scale = info->has_global ? 1.0f : 0.0f;
    reader->by_table = moe_dtype_bits(info->code) == 8 &&
                       (info->scale == MOE_DTYPE_none || has_long_scale(info));
    if (reader->by_table) {
        make_table(info->code, reader->table);
    }
}

void moe_operand_read(const moe_operand_reader_t *reader, int64_t row,
                      int64_t col, int64_t n, double *out)
{
    const moe_rows_t *rows = &reader->bare;
    const uint8_t *codes = moe_rows_codes(rows, row);

    if (rows->storage.format == MOE_FORMAT_bf16) {
        moe_bf16_values((const uint16_t *)(const void *)codes + col, n, out);
    } else if (reader->by_table) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = reader->table[codes[col + i]];
        }
    } else {
        moe_rows_values(rows, row, col, n, out);
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

static double unit_of(const moe_format_info_t *info, double least)
{
    const double floor_unit = floor_of(info);
    double unit =
        isfinite(least) ? ldexp(1.0, ilogb(least) + 1 - digits_of(info)) : 1.0;

    return unit > floor_unit ? unit : floor_unit;
}

void moe_operand_decode(const moe_rows_t *rows, int64_t first, int64_t n,
                        const moe_operand_t *o)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    moe_operand_reader_t reader;

    moe_operand_reader_init(&reader, rows);
    for (int64_t i = 0; i < n; i++) {
        double *values = o->value + i * o->k;
        double least;

        moe_operand_read(&reader, first + i, 0, o->k, values);
        decode_scales(rows, first + i, i, o);
        moe_dot_facts(values, o->k, &o->norm[i], &least);
        o->unit[i] = unit_of(info, least);
    }
}

void moe_operand_facts(const moe_operand_reader_t *reader, int64_t first,
                       int64_t n, const moe_operand_t *o, double *room)
{
    const moe_rows_t *rows = &reader->rows;
    const moe_format_info_t *info = moe_format_info(rows->storage.format);

    for (int64_t i = 0; i < n; i++) {
        const uint16_t *codes =
            (const uint16_t *)(const void *)moe_rows_codes(rows, first + i);
        double least;

        decode_scales(rows, first + i, i, o);
        if (rows->storage.format != MOE_FORMAT_bf16 ||
            !moe_dot_facts_bf16(codes, rows->cols, &o->norm[i], &least)) {
            moe_operand_read(reader, first + i, 0, rows->cols, room);
            moe_dot_facts(room, rows->cols, &o->norm[i], &least);
        }
        o->unit[i] = unit_of(info, least);
    }
}
