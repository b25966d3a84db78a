/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/quantize.h"

#include "ref/formats.h"
#include "ref/nvfp4_encode.h"
#include "ref/nvfp4_expand.h"
#include "ref/quantize_profile.h"
#include "ref/rcp_table.h"

#include <math.h>
#include <string.h>

/* Columns converted at a time: a multiple of every block. */
#define CHUNK 128

/* By profile. */
static const moe_quantiser_t *const quantiser[MOE_PROFILE_COUNT] = {
#define MOE_PROFILE(id, name, format, global, budget, text, users, differs)    \
    [MOE_PROFILE_##id] = &moe_quantiser_##id,
#include "moe/profile.def"
#undef MOE_PROFILE
};

const moe_quantiser_t moe_quantiser_none = {.blocks = NULL};

static moe_status_t check_shapes(const moe_rows_t *src, const moe_rows_t *dst)
{
    if (src->rows != dst->rows || src->cols != dst->cols) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "conversion of %lld x %lld to %lld x %lld",
                        (long long)src->rows, (long long)src->cols,
                        (long long)dst->rows, (long long)dst->cols);
    }
    return MOE_OK;
}

/* A block format needs whole blocks; one with a global scale, that scale. */
static moe_status_t check_storage(const moe_rows_t *rows)
{
    const moe_storage_t *storage = &rows->storage;
    const moe_format_info_t *info = moe_format_info(storage->format);

    if (!moe_format_fits(storage->format, rows->cols)) {
        return moe_fail(MOE_ERR_RANGE,
                        "%lld columns: %s needs a multiple of %d",
                        (long long)rows->cols, info->name, info->block);
    }
    if (info->has_global && !quantiser[storage->profile]->any_global &&
        !(storage->global_scale > 0.0f &&
          isfinite((double)moe_rows_global(storage)) &&
          isfinite((double)storage->global_scale))) {
        return moe_fail(MOE_ERR_RANGE,
                        "global scale %g of %s, expected one above 0 that is "
                        "finite, as its inverse is",
                        (double)storage->global_scale, info->name);
    }
    return MOE_OK;
}

static moe_status_t check_pair(const moe_rows_t *src, const moe_rows_t *dst)
{
    moe_status_t status = check_shapes(src, dst);

    if (status == MOE_OK) {
        status = check_storage(src);
    }
    if (status == MOE_OK) {
        status = check_storage(dst);
    }
    return status;
}

static moe_status_t no_conversion(const char *what, const moe_rows_t *src,
                                  const moe_rows_t *dst)
{
    return moe_fail(MOE_ERR_UNSUPPORTED, "%s %s to %s, profile %s", what,
                    moe_format_name(src->storage.format),
                    moe_format_name(dst->storage.format),
                    moe_profile_name(dst->storage.profile));
}

/* Has numbers: i32 has none. */
static bool is_numeric(const moe_rows_t *rows)
{
    return moe_format_is_float(rows->storage.format) ||
           moe_format_is_coded(rows->storage.format);
}

/* A row by a function for whole blocks, which divide a chunk. */
static void quantize_chunks(const moe_rows_t *src, const moe_rows_t *dst,
                            int64_t row, uint8_t *scales)
{
    const moe_storage_t *storage = &dst->storage;
    const moe_format_info_t *info = moe_format_info(storage->format);
    int64_t scale_bytes = moe_dtype_bits(info->scale) / 8;
    uint8_t *codes = moe_rows_codes(dst, row);
    double x[CHUNK];

    for (int64_t c = 0; c < dst->cols; c += CHUNK) {
        int64_t n = dst->cols - c < CHUNK ? dst->cols - c : CHUNK;

        moe_rows_values(src, row, c, n, x);
        quantiser[storage->profile]->blocks(
            x, n, storage->global_scale,
            codes + moe_format_code_bytes(storage->format, c),
            scales + c / info->block * scale_bytes);
    }
}

/* Largest magnitude of columns col to end, as the profile takes a NaN. */
static double magnitude(const moe_quantiser_t *q, const moe_rows_t *src,
                        int64_t row, int64_t col, int64_t end)
{
    double largest = 0.0;
    double x[CHUNK];

    for (int64_t n; col < end; col += n) {
        double v;

        n = end - col < CHUNK ? end - col : CHUNK;
        moe_rows_values(src, row, col, n, x);
        v = moe_largest_magnitude(x, n);
        largest = v > largest ? v : largest;
        for (int64_t i = 0; q->nan_spreads && i < n; i++) {
            if (isnan(x[i])) {
                return (double)NAN;
            }
        }
    }
    return largest;
}

static void quantize_elements(const moe_quantiser_t *q, const moe_rows_t *src,
                              const moe_rows_t *dst, int64_t row, int64_t col,
                              int64_t end, float factor)
{
    uint8_t *codes = moe_rows_codes(dst, row);
    int bits = moe_dtype_bits(moe_format_info(dst->storage.format)->code);
    double x[CHUNK];

    for (int64_t n; col < end; col += n) {
        n = end - col < CHUNK ? end - col : CHUNK;
        moe_rows_values(src, row, col, n, x);
        for (int64_t i = 0; i < n; i++) {
            uint8_t code = q->element(x[i], factor);
            uint8_t *byte = codes + (col + i) * bits / 8;

            *byte = (uint8_t)(bits == 8              ? code
                              : ((col + i) & 1) == 0 ? code & 15
                                                     : *byte | code << 4);
        }
    }
}

static void store_scale(uint8_t *scales, moe_dtype_t dtype, int64_t i,
                        uint32_t scale)
{
    const uint8_t byte = (uint8_t)scale;
    const uint16_t half = (uint16_t)scale;

    switch (moe_dtype_bits(dtype)) {
    case 8:
        scales[i] = byte;
        break;
    case 16:
        memcpy(scales + 2 * i, &half, sizeof(half));
        break;
    default:
        memcpy(scales + 4 * i, &scale, sizeof(scale));
        break;
    }
}

/* A row by a profile's two functions, block by block. */
static void quantize_blocks(const moe_rows_t *src, const moe_rows_t *dst,
                            int64_t row, uint8_t *scales)
{
    const moe_storage_t *storage = &dst->storage;
    const moe_format_info_t *info = moe_format_info(storage->format);
    const moe_quantiser_t *q = quantiser[storage->profile];
    const int64_t cols = dst->cols;
    const int64_t block = info->block == 0 ? cols : info->block;

    for (int64_t c = 0; c < cols; c += block) {
        int64_t end = cols - c < block ? cols : c + block;
        moe_block_scale_t scale = {0, storage->global_scale};

        if (info->block != 0) {
            scale =
                q->scale(magnitude(q, src, row, c, end), storage->global_scale);
            store_scale(scales, info->scale, c / block, scale.scale);
        }
        quantize_elements(q, src, dst, row, c, end, scale.factor);
    }
}

static void quantize_row(const moe_rows_t *src, const moe_rows_t *dst,
                         int64_t row)
{
    const moe_storage_t *storage = &dst->storage;
    const moe_format_info_t *info = moe_format_info(storage->format);
    int64_t bytes = moe_dtype_bytes(
        info->scale, moe_format_scale_cols(storage->format, dst->cols));
    uint8_t *scales = bytes == 0 ? NULL : (uint8_t *)dst->scales + row * bytes;

    if (quantiser[storage->profile]->blocks != NULL) {
        quantize_chunks(src, dst, row, scales);
    } else {
        quantize_blocks(src, dst, row, scales);
    }
}

/* The fast way where there is one: rows of whole blocks are one long row. */
static bool quantize_bf16(const moe_rows_t *src, const moe_rows_t *dst)
{
    const moe_storage_t *storage = &dst->storage;

    if (src->storage.format != MOE_FORMAT_bf16 ||
        storage->profile != MOE_PROFILE_te_exact) {
        return false;
    }
    moe_nvfp4_encoder()->encode(
        src->codes,
        dst->rows * moe_format_scale_cols(storage->format, dst->cols),
        storage->global_scale, dst->codes, dst->scales);
    return true;
}

moe_status_t moe_ref_quantize(const moe_rows_t *src, const moe_rows_t *dst)
{
    const moe_storage_t *storage = &dst->storage;
    moe_status_t status;

    if (!is_numeric(src) || (unsigned)storage->profile >= MOE_PROFILE_COUNT ||
        storage->profile == MOE_PROFILE_none ||
        moe_profile_format(storage->profile) != storage->format ||
        dst->layout != MOE_SCALES_linear) {
        return no_conversion("no quantiser from", src, dst);
    }
    status = check_pair(src, dst);
    if (status == MOE_OK && quantiser[storage->profile]->needs_rcp) {
        status = moe_rcp_load();
    }
    if (status != MOE_OK) {
        return status;
    }
    if (quantize_bf16(src, dst)) {
        return MOE_OK;
    }
    for (int64_t i = 0; i < dst->rows; i++) {
        quantize_row(src, dst, i);
    }
    return MOE_OK;
}

/* Exact values rounded once to the elements of dst. */
static moe_status_t round_rows(const moe_rows_t *src, const moe_rows_t *dst)
{
    moe_status_t status = check_pair(src, dst);
    double x[CHUNK];

    if (status != MOE_OK) {
        return status;
    }
    for (int64_t i = 0; i < dst->rows; i++) {
        for (int64_t c = 0; c < dst->cols; c += CHUNK) {
            int64_t n = dst->cols - c < CHUNK ? dst->cols - c : CHUNK;

            moe_rows_values(src, i, c, n, x);
            moe_rows_round(dst, i, c, n, x);
        }
    }
    return MOE_OK;
}

/* The fast way where there is one. */
static moe_status_t dequantize_nvfp4(const moe_rows_t *src,
                                     const moe_rows_t *dst)
{
    moe_status_t status = check_pair(src, dst);

    if (status == MOE_OK) {
        moe_nvfp4_expand(
            src->codes, src->scales,
            src->rows * moe_format_scale_cols(src->storage.format, src->cols),
            moe_rows_global(&src->storage), dst->storage.format, dst->codes);
    }
    return status;
}

moe_status_t moe_ref_dequantize(const moe_rows_t *src, const moe_rows_t *dst)
{
    if (!moe_format_is_coded(src->storage.format) ||
        !moe_format_is_float(dst->storage.format)) {
        return no_conversion("cannot decode", src, dst);
    }
    if (src->storage.format == MOE_FORMAT_nvfp4 &&
        src->layout == MOE_SCALES_linear) {
        return dequantize_nvfp4(src, dst);
    }
    return round_rows(src, dst);
}

moe_status_t moe_ref_convert(const moe_rows_t *src, const moe_rows_t *dst)
{
    if (!moe_format_is_float(src->storage.format) ||
        !moe_format_is_float(dst->storage.format)) {
        return no_conversion("cannot convert", src, dst);
    }
    return round_rows(src, dst);
}
