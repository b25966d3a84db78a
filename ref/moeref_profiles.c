/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiser profiles, as libmoeref exports them. */
#include "base/status.h"
#include "ref/moeref.h"
#include "ref/quantize.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MOST_BYTES  ((size_t)PTRDIFF_MAX)
#define NVFP4_RANGE (448.0f * 6.0f)
#define E4M3_MAX    448.0f

/* One numbering of profiles. */
_Static_assert((int)MOEREF_PROFILE_TE_EXACT == (int)MOE_PROFILE_te_exact, "");
_Static_assert((int)MOEREF_PROFILE_FLASHINFER_EXACT ==
                   (int)MOE_PROFILE_flashinfer_exact,
               "");
_Static_assert((int)MOEREF_PROFILE_FAST_RCP_SM90 ==
                   (int)MOE_PROFILE_fast_rcp_sm90,
               "");
_Static_assert((int)MOEREF_PROFILE_FAST_RCP_SM90_VLLM ==
                   (int)MOE_PROFILE_fast_rcp_sm90_vllm,
               "");
_Static_assert((int)MOEREF_PROFILE_TORCHAO_NVFP4 ==
                   (int)MOE_PROFILE_torchao_nvfp4,
               "");
_Static_assert((int)MOEREF_PROFILE_MXFP4_FLOOR == (int)MOE_PROFILE_mxfp4_floor,
               "");
_Static_assert((int)MOEREF_PROFILE_MXFP4_EVEN == (int)MOE_PROFILE_mxfp4_even,
               "");
_Static_assert((int)MOEREF_PROFILE_MXFP4_CEIL6 == (int)MOE_PROFILE_mxfp4_ceil6,
               "");
_Static_assert((int)MOEREF_PROFILE_MXFP4_CEIL == (int)MOE_PROFILE_mxfp4_ceil,
               "");
_Static_assert((int)MOEREF_PROFILE_MXFP8_RCEIL == (int)MOE_PROFILE_mxfp8_rceil,
               "");
_Static_assert((int)MOEREF_PROFILE_MXFP8_FLASHINFER ==
                   (int)MOE_PROFILE_mxfp8_flashinfer,
               "");
_Static_assert((int)MOEREF_PROFILE_MXFP8_E5M2_RCEIL ==
                   (int)MOE_PROFILE_mxfp8_e5m2_rceil,
               "");
_Static_assert((int)MOEREF_PROFILE_DEEPEP == (int)MOE_PROFILE_deepep, "");
_Static_assert((int)MOEREF_PROFILE_DEEPGEMM == (int)MOE_PROFILE_deepgemm, "");
_Static_assert((int)MOEREF_PROFILE_VLLM_1X128 == (int)MOE_PROFILE_vllm_1x128,
               "");
_Static_assert((int)MOEREF_PROFILE_TRTLLM_1X128 ==
                   (int)MOE_PROFILE_trtllm_1x128,
               "");
_Static_assert((int)MOEREF_PROFILE_DEEPEP_UE8M0 ==
                   (int)MOE_PROFILE_deepep_ue8m0,
               "");
_Static_assert((int)MOEREF_PROFILE_DEEPGEMM_UE8M0 ==
                   (int)MOE_PROFILE_deepgemm_ue8m0,
               "");
_Static_assert((int)MOEREF_PROFILE_VLLM_UE8M0 == (int)MOE_PROFILE_vllm_ue8m0,
               "");
_Static_assert((int)MOEREF_PROFILE_FP8_TOKEN_VLLM ==
                   (int)MOE_PROFILE_fp8_token_vllm,
               "");
_Static_assert((int)MOEREF_PROFILE_FP8_TENSOR == (int)MOE_PROFILE_fp8_tensor,
               "");
_Static_assert((int)MOEREF_PROFILE_INT8_DISPATCH ==
                   (int)MOE_PROFILE_int8_dispatch,
               "");
_Static_assert((int)MOEREF_PROFILE_INT8_INIT_ROUTING ==
                   (int)MOE_PROFILE_int8_init_routing,
               "");
_Static_assert((int)MOEREF_PROFILE_INT8_VLLM == (int)MOE_PROFILE_int8_vllm, "");
_Static_assert((int)MOEREF_PROFILE_INT8_COMBINE ==
                   (int)MOE_PROFILE_int8_combine,
               "");
_Static_assert((int)MOEREF_PROFILE_LOGFMT10_DEEPEP ==
                   (int)MOE_PROFILE_logfmt10_deepep,
               "");

static bool is_known(moeref_profile_t profile)
{
    return (int)profile > MOE_PROFILE_none && (int)profile < MOE_PROFILE_COUNT;
}

static moe_format_t format_of(moeref_profile_t profile)
{
    return moe_profile_format((moe_profile_t)profile);
}

moeref_status_t moeref_profile_info(moeref_profile_t profile,
                                    moeref_profile_info_t *info)
{
    const moe_profile_info_t *p = moe_profile_info((moe_profile_t)profile);
    const moe_format_info_t *f;

    if (!is_known(profile)) {
        return MOEREF_ERR_NAME;
    }
    f = moe_format_info(p->format);
    *info = (moeref_profile_info_t){
        .name = p->name,
        .format = f->name,
        .formula = p->text,
        .users = p->users,
        .differs = p->differs,
        .block = f->block == MOE_BLOCK_ROW ? SIZE_MAX : (size_t)f->block,
        .code_bits = (size_t)moe_dtype_bits(f->code),
        .scale_bytes = (size_t)moe_dtype_bits(f->scale) / 8,
        .has_global = f->has_global,
        .budget_scales = p->budget->scales,
        .budget_codes = p->budget->codes};
    return MOEREF_OK;
}

moeref_status_t moeref_profile_find(const char *word, const char *format,
                                    moeref_profile_t *profile)
{
    moe_profile_t found;
    moe_format_t f;

    if (!moe_format_find(format, &f) || !moe_profile_find(word, f, &found) ||
        found == MOE_PROFILE_none) {
        return MOEREF_ERR_NAME;
    }
    *profile = (moeref_profile_t)found;
    return MOEREF_OK;
}

float moeref_global_scale(moeref_profile_t profile, float amax)
{
    if (!is_known(profile)) {
        return 0.0f;
    }
    switch ((int)profile) {
    case MOE_PROFILE_te_exact:
        return moeref_nvfp4_global_scale(amax);
    case MOE_PROFILE_torchao_nvfp4:
        return amax / NVFP4_RANGE;
    case MOE_PROFILE_fp8_tensor:
        return 1.0f / (amax / E4M3_MAX);
    default:
        return format_of(profile) == MOE_FORMAT_nvfp4 ? NVFP4_RANGE / amax
                                                      : 0.0f;
    }
}

static bool fits(moeref_profile_t profile, size_t rows, size_t cols)
{
    const size_t most = MOST_BYTES / sizeof(double);

    return cols <= most && rows <= most && (cols == 0 || rows <= most / cols) &&
           moe_format_fits(format_of(profile), (int64_t)cols);
}

size_t moeref_row_code_bytes(moeref_profile_t profile, size_t cols)
{
    return is_known(profile) && fits(profile, 1, cols)
               ? (size_t)moe_format_code_bytes(format_of(profile),
                                               (int64_t)cols)
               : 0;
}

size_t moeref_row_scale_bytes(moeref_profile_t profile, size_t cols)
{
    const moe_format_info_t *info;

    if (!is_known(profile) || !fits(profile, 1, cols)) {
        return 0;
    }
    info = moe_format_info(format_of(profile));
    return (size_t)moe_dtype_bytes(
        info->scale, moe_format_scale_cols(format_of(profile), (int64_t)cols));
}

/* A source as moe_rows_t, which has no const, takes it. */
static void *borrowed(const void *p)
{
    return (void *)(uintptr_t)p;
}

static moe_rows_t rows_of(moe_format_t format, moe_profile_t profile,
                          float global_scale, size_t rows, size_t cols)
{
    return (moe_rows_t){.storage = {format, profile, global_scale},
                        .rows = (int64_t)rows,
                        .cols = (int64_t)cols};
}

/* What ref/ says, in the library's words. */
static moeref_status_t answer(moe_status_t status)
{
    moe_error_clear();
    return status == MOE_OK          ? MOEREF_OK
           : status == MOE_ERR_RANGE ? MOEREF_ERR_SCALE
                                     : MOEREF_ERR_TABLE;
}

static moeref_status_t quantize(moeref_profile_t profile, moe_format_t format,
                                const void *x, size_t rows, size_t cols,
                                float global_scale, void *codes, void *scales)
{
    moe_rows_t src = rows_of(format, MOE_PROFILE_none, 0.0f, rows, cols);
    moe_rows_t dst;

    if (!is_known(profile)) {
        return MOEREF_ERR_NAME;
    }
    if (!fits(profile, rows, cols)) {
        return MOEREF_ERR_SIZE;
    }
    dst = rows_of(format_of(profile), (moe_profile_t)profile, global_scale,
                  rows, cols);
    src.codes = borrowed(x);
    dst.codes = codes;
    dst.scales = scales;
    return answer(moe_ref_quantize(&src, &dst));
}

moeref_status_t moeref_quantize(moeref_profile_t profile, const float *x,
                                size_t rows, size_t cols, float global_scale,
                                void *codes, void *scales)
{
    return quantize(profile, MOE_FORMAT_fp32, x, rows, cols, global_scale,
                    codes, scales);
}

moeref_status_t moeref_quantize_bf16(moeref_profile_t profile,
                                     const uint16_t *x, size_t rows,
                                     size_t cols, float global_scale,
                                     void *codes, void *scales)
{
    return quantize(profile, MOE_FORMAT_bf16, x, rows, cols, global_scale,
                    codes, scales);
}

moeref_status_t moeref_dequantize(moeref_profile_t profile, const void *codes,
                                  const void *scales, size_t rows, size_t cols,
                                  float global_scale, float *out)
{
    moe_rows_t dst =
        rows_of(MOE_FORMAT_fp32, MOE_PROFILE_none, 0.0f, rows, cols);
    moe_rows_t src;

    if (!is_known(profile)) {
        return MOEREF_ERR_NAME;
    }
    if (!fits(profile, rows, cols)) {
        return MOEREF_ERR_SIZE;
    }
    src = rows_of(format_of(profile), (moe_profile_t)profile, global_scale,
                  rows, cols);
    src.codes = borrowed(codes);
    src.scales = borrowed(scales);
    dst.codes = out;
    return answer(moe_ref_dequantize(&src, &dst));
}
