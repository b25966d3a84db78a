/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dtype.h"

#include "base/checked.h"

#include <string.h>

static const struct {
    const char *name;
    int bits;
    const char *safetensors;
    const char *text;
} dtypes[MOE_DTYPE_COUNT] = {
#define MOE_DTYPE(id, bits, safetensors, text)                                 \
    [MOE_DTYPE_##id] = {#id, bits, safetensors, text},
#include "base/dtype.def"
#undef MOE_DTYPE
};

static const struct {
    const char *alias;
    moe_dtype_t dtype;
} aliases[] = {
    {"bfloat16", MOE_DTYPE_bf16}, {"half", MOE_DTYPE_fp16},
    {"float16", MOE_DTYPE_fp16},  {"f16", MOE_DTYPE_fp16},
    {"float", MOE_DTYPE_fp32},    {"float32", MOE_DTYPE_fp32},
    {"f32", MOE_DTYPE_fp32},      {"double", MOE_DTYPE_fp64},
    {"float64", MOE_DTYPE_fp64},  {"f64", MOE_DTYPE_fp64},
    {"int32", MOE_DTYPE_i32},     {"int64", MOE_DTYPE_i64},
    {"uint8", MOE_DTYPE_u8},      {"int8", MOE_DTYPE_i8},
    {"uint16", MOE_DTYPE_u16},
};

const char *moe_dtype_name(moe_dtype_t dtype)
{
    return (unsigned)dtype < MOE_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

const char *moe_dtype_text(moe_dtype_t dtype)
{
    return (unsigned)dtype < MOE_DTYPE_COUNT ? dtypes[dtype].text : "?";
}

int moe_dtype_bits(moe_dtype_t dtype)
{
    return (unsigned)dtype < MOE_DTYPE_COUNT ? dtypes[dtype].bits : 0;
}

const char *moe_dtype_safetensors(moe_dtype_t dtype)
{
    return (unsigned)dtype < MOE_DTYPE_COUNT ? dtypes[dtype].safetensors : "";
}

bool moe_dtype_find(const char *name, moe_dtype_t *dtype_p)
{
    for (int i = 0; i < MOE_DTYPE_COUNT; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *dtype_p = (moe_dtype_t)i;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(name, aliases[i].alias) == 0) {
            *dtype_p = aliases[i].dtype;
            return true;
        }
    }
    return false;
}

const char *moe_dtype_alias(size_t i)
{
    return i < sizeof(aliases) / sizeof(aliases[0]) ? aliases[i].alias : NULL;
}

int64_t moe_dtype_bytes(moe_dtype_t dtype, int64_t n)
{
    int bits = moe_dtype_bits(dtype);
    int64_t bytes;

    if (bits == 4) {
        return moe_div_up(n, 2);
    }
    if (bits % 8 != 0) {
        return moe_mul_i64(n, bits, &bytes) ? moe_div_up(bytes, 8) : INT64_MAX;
    }
    return moe_mul_i64(n, bits / 8, &bytes) ? bytes : INT64_MAX;
}
