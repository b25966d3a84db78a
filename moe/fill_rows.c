/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/fill_rows.h"

#include "base/philox.h"
#include "base/philox_lanes.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Last word of the counter: which tensor; moe/fill.c and moe/sampler.c use
 * those below. */
enum {
    TENSOR_BIASES = 150, /* + weight */
    TENSOR_GLOBALS = 152,
    TENSOR_ROWS = 200 /* + 4 format + 2 scales + weight */
};

enum {
    CALL_BYTES = 16,
    ONE_F32 = 127, /* biased exponent of 1 */
    BF16_EXPONENT_6 = 6 << 7,
    F16_ONE = 15,
    F16_HIDDEN = 1 << 10, /* the digit before the point */
    QUANTILES = 2048,
    SHARED_ROWS = 128 /* of a scale of fp8_1x128 */
};

static const uint16_t quantile[QUANTILES] = {
#include "moe/normal_quantiles.inc"
};

bool moe_fill_rows_has(moe_format_t format)
{
    const moe_format_info_t *info = moe_format_info(format);

    switch ((int)info->code) {
    case MOE_DTYPE_bf16:
    case MOE_DTYPE_fp16:
    case MOE_DTYPE_fp32:
        return true;
    case MOE_DTYPE_e2m1:
        return info->scale == MOE_DTYPE_e8m0;
    case MOE_DTYPE_e4m3:
    case MOE_DTYPE_e5m2:
    case MOE_DTYPE_i8:
        return true;
    default:
        return false;
    }
}

/* ceil(log2(sqrt(n))). */
static int half_log(int64_t n)
{
    int bits = 0;

    while ((int64_t)1 << bits < n) {
        bits++;
    }
    return (bits + 1) / 2;
}

/* n random bytes, from byte `first` of a row on. */
static void draw_bytes(uint64_t seed, int64_t row, int64_t first,
                       int64_t expert, int tensor, int64_t n, uint8_t *out)
{
    uint32_t word[1][MOE_PHILOX_LANES][4];
    int64_t skip = first % CALL_BYTES;

    for (int64_t at = first - skip; n > 0; at += (int64_t)sizeof(word)) {
        const uint32_t counter[4] = {(uint32_t)row, (uint32_t)(at / CALL_BYTES),
                                     (uint32_t)expert, (uint32_t)tensor};
        int64_t part = (int64_t)sizeof(word) - skip;

        part = part < n ? part : n;
        moe_philox_calls((uint32_t)seed, (uint32_t)(seed >> 32), counter, 1,
                         word);
        memcpy(out, (const uint8_t *)word + skip, (size_t)part);
        out += part;
        n -= part;
        skip = 0;
    }
}

/* Random bytes to codes, in place. */
static void make_codes(moe_dtype_t dtype, int64_t n, uint8_t *code)
{
    for (int64_t i = 0; i < n; i++) {
        unsigned r = code[i];
        unsigned sign = r & 0x80;

        if (dtype == MOE_DTYPE_e2m1) { /* two of them */
            unsigned low = (r & 7) != 0 ? r & 15 : 0;
            unsigned high = (r & 0x70) != 0 ? r & 0xf0 : 0;

            code[i] = (uint8_t)(low | high);
        } else if (dtype == MOE_DTYPE_i8) {
            code[i] = (uint8_t)(r == 0x80 ? 0 : r);
        } else { /* eight binades up to 16: exponents 3..10 of 7, 11..18 of 15
                  */
            unsigned digits = dtype == MOE_DTYPE_e4m3 ? 3 : 2;
            unsigned low = dtype == MOE_DTYPE_e4m3 ? 3 : 11;
            unsigned magnitude = (low << digits) + (r & ((8u << digits) - 1));

            code[i] = (uint8_t)((r & 0x7f) == 0 ? 0 : sign | magnitude);
        }
    }
}

/* Root mean square of such codes, as a power of two. */
static int code_log(moe_dtype_t dtype)
{
    return dtype == MOE_DTYPE_i8 ? 6 : 2;
}

static void make_scales(moe_dtype_t dtype, int exponent, int64_t n,
                        const uint32_t *random, void *out)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t r = random[i];
        const uint32_t biased = (uint32_t)(ONE_F32 + exponent);

        if (dtype == MOE_DTYPE_fp32) {
            ((uint32_t *)out)[i] = biased << 23 | r >> 9;
        } else if (dtype == MOE_DTYPE_bf16) {
            ((uint16_t *)out)[i] = (uint16_t)(biased << 7 | r >> 25);
        } else {
            ((uint8_t *)out)[i] = (uint8_t)(biased + (r >> 31));
        }
    }
}

static void bf16_row(int64_t n, int shift, uint16_t *bits)
{
    for (int64_t i = 0; i < n; i++) {
        unsigned u = bits[i];

        bits[i] = (uint16_t)((quantile[u % QUANTILES] | (u & 0x8000)) -
                             (unsigned)shift * (1u << 7));
    }
}

/* The quantiles' eight digits and three random ones; below the smallest
 * exponent, those that are left. */
static void fp16_row(int64_t n, int shift, uint16_t *bits)
{
    for (int64_t i = 0; i < n; i++) {
        const unsigned u = bits[i];
        const unsigned q = quantile[u % QUANTILES];
        const int exponent = (int)(q >> 7) - ONE_F32 + F16_ONE - shift;
        const unsigned digits = (q & 0x7f) << 3 | (u >> 11 & 7);
        const unsigned magnitude =
            exponent > 0 ? (unsigned)exponent << 10 | digits
                         : (F16_HIDDEN | digits) >> (1 - exponent);

        bits[i] = (uint16_t)(magnitude != 0 ? magnitude | (u & 0x8000) : 0);
    }
}

/* The quantiles' eight digits and sixteen random ones. */
static void fp32_row(int64_t n, int shift, uint32_t *bits)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t u = bits[i];
        const uint32_t q =
            quantile[u % QUANTILES] - (uint32_t)shift * (1u << 7);

        bits[i] = q << 16 | (u >> 11 & 0xffff) | (u & 0x80000000);
    }
}

/* Random bytes to a row of a format's codes, in place. */
static void make_row(moe_format_t format, int64_t cols, int shift, void *row)
{
    switch ((int)format) {
    case MOE_FORMAT_bf16:
        bf16_row(cols, shift, row);
        break;
    case MOE_FORMAT_fp16:
        fp16_row(cols, shift, row);
        break;
    case MOE_FORMAT_fp32:
        fp32_row(cols, shift, row);
        break;
    default:
        make_codes(moe_format_info(format)->code,
                   moe_format_code_bytes(format, cols), row);
        break;
    }
}

/* Scales of one row. */
static void scale_row(uint64_t seed, moe_format_t format, int tensor,
                      int64_t expert, int64_t row, int64_t first, int64_t n,
                      int exponent, void *out)
{
    const moe_dtype_t dtype = moe_format_info(format)->scale;
    const int64_t step = moe_dtype_bits(dtype) / 8;
    uint32_t random[MOE_PHILOX_LANES];

    row = format == MOE_FORMAT_fp8_1x128 ? row / SHARED_ROWS : row;
    for (int64_t i = 0; i < n; i += MOE_PHILOX_LANES) {
        int64_t m = n - i < MOE_PHILOX_LANES ? n - i : MOE_PHILOX_LANES;

        draw_bytes(seed, row, 4 * (first + i), expert, tensor + 2, 4 * m,
                   (uint8_t *)random);
        make_scales(dtype, exponent, m, random, (uint8_t *)out + i * step);
    }
}

void moe_fill_rows(uint64_t seed, const moe_model_t *model, moe_weight_t weight,
                   moe_format_t format, int64_t expert, int64_t row,
                   int64_t rows, int64_t col, int64_t cols, void *codes,
                   void *scales)
{
    const moe_format_info_t *info = moe_format_info(format);
    const int tensor = TENSOR_ROWS + 4 * (int)format + (int)weight;
    const int64_t bytes = moe_format_code_bytes(format, cols);
    const int64_t blocks = moe_format_scale_cols(format, cols);
    const int shift = half_log(moe_weight_cols(model, weight));
    const int64_t step = moe_dtype_bits(info->scale) / 8;

    for (int64_t i = 0; i < rows; i++) {
        uint8_t *out = (uint8_t *)codes + i * bytes;

        draw_bytes(seed, row + i, moe_format_code_bytes(format, col), expert,
                   tensor, bytes, out);
        make_row(format, cols, shift, out);
        if (blocks > 0) {
            scale_row(seed, format, tensor, expert, row + i,
                      info->block == MOE_BLOCK_ROW ? 0 : col / info->block,
                      blocks, -shift - code_log(info->code),
                      (uint8_t *)scales + i * blocks * step);
        }
    }
}

float moe_fill_rows_global(int64_t cols)
{
    return ldexpf(1.0f, -2 - (ilogb((double)cols) + 2) / 2);
}

int moe_fill_expert_scale(uint64_t seed, moe_weight_t weight, int64_t expert)
{
    uint8_t byte;

    draw_bytes(seed, 0, 0, expert, TENSOR_GLOBALS + (int)weight, 1, &byte);
    return 8 + byte % 9;
}

void moe_fill_expert_bias(uint64_t seed, moe_weight_t weight, int64_t expert,
                          int64_t row, int64_t rows, float *out)
{
    for (int64_t i = 0; i < rows; i++) {
        uint16_t bits;
        uint32_t wide;

        draw_bytes(seed, 0, 2 * (row + i), expert, TENSOR_BIASES + (int)weight,
                   2, (uint8_t *)&bits);
        bits = (uint16_t)((quantile[bits % QUANTILES] | (bits & 0x8000)) -
                          BF16_EXPONENT_6);
        wide = (uint32_t)bits << 16;
        memcpy(&out[i], &wide, sizeof(wide));
    }
}
