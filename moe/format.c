/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/format.h"

#include "base/checked.h"

#include <stddef.h>
#include <string.h>

static const moe_format_info_t formats[MOE_FORMAT_COUNT] = {
#define MOE_FORMAT(id, code, block, scale, global, text)                       \
    [MOE_FORMAT_##                                                             \
        id] = {#id, MOE_DTYPE_##code, block, MOE_DTYPE_##scale, global, text},
#include "moe/format.def"
#undef MOE_FORMAT
};

const moe_format_info_t *moe_format_info(moe_format_t format)
{
    return (unsigned)format < MOE_FORMAT_COUNT ? &formats[format] : NULL;
}

const char *moe_format_name(moe_format_t format)
{
    return (unsigned)format < MOE_FORMAT_COUNT ? formats[format].name : "?";
}

/* What SGLang and vLLM mean by it. */
#define FP8 "fp8"

const char *moe_format_alias(size_t i)
{
    moe_format_t format;
    size_t n = 0;

    if (i == 0) {
        return FP8;
    }
    for (size_t k = 0; moe_dtype_alias(k) != NULL; k++) {
        n += moe_format_find(moe_dtype_alias(k), &format) ? 1 : 0;
        if (n == i) {
            return moe_dtype_alias(k);
        }
    }
    return NULL;
}

bool moe_format_find(const char *name, moe_format_t *format_p)
{
    moe_dtype_t dtype;

    for (int i = 0; i < MOE_FORMAT_COUNT; i++) {
        if (strcmp(name, formats[i].name) == 0) {
            *format_p = (moe_format_t)i;
            return true;
        }
    }
    if (strcmp(name, FP8) == 0) {
        *format_p = MOE_FORMAT_fp8_1x128;
        return true;
    }
    if (!moe_dtype_find(name, &dtype)) {
        return false;
    }
    for (int i = 0; i < MOE_FORMAT_COUNT; i++) {
        if (!moe_format_is_coded((moe_format_t)i) && formats[i].code == dtype) {
            *format_p = (moe_format_t)i;
            return true;
        }
    }
    return false;
}

bool moe_format_is_coded(moe_format_t format)
{
    return formats[format].block != 0 || formats[format].has_global;
}

bool moe_format_fits(moe_format_t format, int64_t cols)
{
    int block = formats[format].block;

    return block == 0 || block == MOE_BLOCK_ROW || cols % block == 0;
}

int64_t moe_format_code_bytes(moe_format_t format, int64_t cols)
{
    return moe_dtype_bytes(formats[format].code, cols);
}

int64_t moe_format_scale_cols(moe_format_t format, int64_t cols)
{
    int block = formats[format].block;

    return block == 0 ? 0 : moe_div_up(cols, block);
}

int64_t moe_format_row_bytes(moe_format_t format, int64_t cols)
{
    return moe_format_code_bytes(format, cols) +
           moe_dtype_bytes(formats[format].scale,
                           moe_format_scale_cols(format, cols));
}
