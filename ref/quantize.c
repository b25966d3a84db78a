/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/quantize.h"

#include "ref/formats.h"
#include "ref/nvfp4_encode.h"
#include "ref/quantize_profile.h"

#include <math.h>

/* Columns converted at a time: a multiple of every block. */
#define CHUNK 128

/* By profile. */
static moe_quantize_func_t *const quantiser[MOE_PROFILE_COUNT] = {
    [MOE_PROFILE_te_exact] = moe_quantize_te_exact,
    [MOE_PROFILE_deepep] = moe_quantize_deepep,
};

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

    if (info->block != 0 && rows->cols % info->block != 0) {
        return moe_fail(MOE_ERR_RANGE,
                        "%lld columns: %s needs a multiple of %d",
                        (long long)rows->cols, info->name, info->block);
    }
    if (info->has_global && !(storage->global_scale > 0.0f &&
                              isfinite((double)moe_rows_global(storage)) &&
                              isfinite((double)storage->global_scale))) {
        return moe_fail(MOE_ERR_RANGE, "global scale %g of %s",
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
           moe_format_info(rows->storage.format)->block != 0;
}

static void quantize_row(const moe_rows_t *src, const moe_rows_t *dst,
                         int64_t row)
{
    const moe_storage_t *storage = &dst->storage;
    const moe_format_info_t *info = moe_format_info(storage->format);
    int64_t scale_bytes = moe_dtype_bits(info->scale) / 8;
    int64_t blocks = dst->cols / info->block;
    uint8_t *codes = moe_rows_codes(dst, row);
    uint8_t *scales = (uint8_t *)dst->scales + row * blocks * scale_bytes;
    double x[CHUNK];

    for (int64_t c = 0; c < dst->cols; c += CHUNK) {
        int64_t n = dst->cols - c < CHUNK ? dst->cols - c : CHUNK;

        moe_rows_values(src, row, c, n, x);
        quantiser[storage->profile](
            x, n, storage->global_scale,
            codes + moe_format_code_bytes(storage->format, c),
            scales + c / info->block * scale_bytes);
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
        quantiser[storage->profile] == NULL ||
        moe_profile_format(storage->profile) != storage->format ||
        dst->layout != MOE_SCALES_linear) {
        return no_conversion("no quantiser from", src, dst);
    }
    status = check_pair(src, dst);
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

moe_status_t moe_ref_dequantize(const moe_rows_t *src, const moe_rows_t *dst)
{
    if (moe_format_info(src->storage.format)->block == 0 ||
        !moe_format_is_float(dst->storage.format)) {
        return no_conversion("cannot decode", src, dst);
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
