/* SPDX-License-Identifier: Apache-2.0 */
/* Single elements, as libmoeref exports them. */
#include "ref/elements.h"
#include "ref/formats.h"
#include "ref/moeref.h"

uint16_t moeref_to_bf16(float x)
{
    return moe_bf16_from_f32(x);
}

float moeref_from_bf16(uint16_t bits)
{
    return moe_bf16_to_f32(bits);
}

uint16_t moeref_to_fp16(float x)
{
    return moe_fp16_from_f32(x);
}

float moeref_from_fp16(uint16_t bits)
{
    return moe_fp16_to_f32(bits);
}

uint8_t moeref_to_e2m1(float x)
{
    return moe_e2m1_from_f32(x);
}

float moeref_from_e2m1(uint8_t code)
{
    return moe_e2m1_to_f32(code);
}

uint8_t moeref_to_e4m3(float x)
{
    return moe_e4m3_from_f32(x);
}

uint8_t moeref_to_e4m3_nosat(float x)
{
    return moe_e4m3_from_f32_nosat(x);
}

float moeref_from_e4m3(uint8_t code)
{
    return moe_e4m3_to_f32(code);
}

uint8_t moeref_to_e5m2(float x)
{
    return moe_e5m2_from_f32(x);
}

uint8_t moeref_to_e5m2_nosat(float x)
{
    return moe_e5m2_from_f32_nosat(x);
}

float moeref_from_e5m2(uint8_t code)
{
    return moe_e5m2_to_f32(code);
}

uint8_t moeref_to_e8m0(float x)
{
    return moe_e8m0_from_f32(x);
}

uint8_t moeref_to_e8m0_nosat(float x)
{
    return moe_e8m0_from_f32_nosat(x);
}

uint8_t moeref_to_e8m0_zero(float x)
{
    return moe_e8m0_from_f32_zero(x);
}

uint8_t moeref_to_e8m0_zero_nosat(float x)
{
    return moe_e8m0_from_f32_zero_nosat(x);
}

float moeref_from_e8m0(uint8_t code)
{
    return moe_e8m0_to_f32(code);
}

uint16_t moeref_double_to_bf16(double x)
{
    return (uint16_t)moe_round_f64(MOE_FORMAT_bf16, x);
}

uint16_t moeref_double_to_fp16(double x)
{
    return (uint16_t)moe_round_f64(MOE_FORMAT_fp16, x);
}

const char *moeref_conversion_name(size_t i)
{
    return i < MOE_CONVERSION_COUNT
               ? moe_conversion_info((moe_conversion_t)i)->name
               : NULL;
}

static const moe_conversion_info_t *find(const char *name)
{
    moe_conversion_t conversion;

    return moe_conversion_find(name, &conversion)
               ? moe_conversion_info(conversion)
               : NULL;
}

static bool is_wide(const moe_conversion_info_t *info)
{
    return moe_dtype_bits(info->dtype) == 16;
}

moeref_status_t moeref_encode(const char *conversion, const float *x, size_t n,
                              void *codes)
{
    const moe_conversion_info_t *info = find(conversion);

    if (info == NULL) {
        return MOEREF_ERR_NAME;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_wide(info)) {
            ((uint16_t *)codes)[i] = (uint16_t)info->encode(x[i]);
        } else {
            ((uint8_t *)codes)[i] = (uint8_t)info->encode(x[i]);
        }
    }
    return MOEREF_OK;
}

moeref_status_t moeref_decode(const char *conversion, const void *codes,
                              size_t n, float *out)
{
    const moe_conversion_info_t *info = find(conversion);

    if (info == NULL) {
        return MOEREF_ERR_NAME;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = info->decode(is_wide(info) ? ((const uint16_t *)codes)[i]
                                            : ((const uint8_t *)codes)[i]);
    }
    return MOEREF_OK;
}
