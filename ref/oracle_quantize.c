/* SPDX-License-Identifier: Apache-2.0 */
/* Written from doc/formats.md: of ref/ it uses conversions of elements and
 * the table of rcp.approx.ftz alone. Products and quotients are those of
 * integers, rounded once. */
#include "ref/oracle_quantize.h"

#include "ref/oracle_logfmt.h"
#include "ref/oracle_numbers.h"
#include "ref/rcp_table.h"

#include <float.h>

enum {
    WORD = 8 /* codes in 32 bits */
};

/* What a block's largest magnitude leads to. */
typedef struct {
    double scale; /* what codes are multiplied with, but for the global */
    float factor;
    bool divide; /* elements by factor, else multiply */
} step_t;

/* RN32(a / b) of finite numbers that are not 0: 64 digits and whether more
 * follow. */
static float quotient(double a, double b)
{
    oracle_number_t x, y;

    if (!(fabs(a) > 0.0) || !(fabs(b) > 0.0) || !isfinite(a) || !isfinite(b)) {
        return (float)(a / b);
    }
    x = oracle_number(a);
    y = oracle_number(b);
    while (x.digits >> 53 == 0) {
        x.digits <<= 1;
        x.exponent--;
    }
    x.digits <<= 64;
    x.exponent -= 64 + y.exponent + 1;
    x.negative ^= y.negative;
    x.digits = x.digits / y.digits * 2 + (x.digits % y.digits != 0);
    return moe_f32_of_bits(oracle_code(MOE_FORMAT_fp32, x));
}

static float e4m3(float s)
{
    return moe_e4m3_to_f32(moe_e4m3_from_f32(s));
}

/* 2^e in E8M0's range, and its inverse. */
static step_t power(int e)
{
    e = e < -127 ? -127 : e;
    return (step_t){ldexp(1.0, e), ldexpf(1.0f, -e), false};
}

static int floor_log2(double v)
{
    return v > 0.0 ? ilogb(v) : -1000;
}

static int ceil_log2(double v)
{
    const int e = floor_log2(v);

    return v > ldexp(1.0, e) ? e + 1 : e;
}

/* Scale FF: a block that is not finite. */
static step_t not_a_number(void)
{
    return (step_t){(double)NAN, NAN, false};
}

static step_t nvfp4_step(const moe_storage_t *as, double v)
{
    const float gs = as->global_scale;
    const bool fast = as->profile == MOE_PROFILE_fast_rcp_sm90 ||
                      as->profile == MOE_PROFILE_fast_rcp_sm90_vllm;
    float s, factor;

    if (as->profile == MOE_PROFILE_torchao_nvfp4) {
        s = e4m3(fminf(fmaxf(quotient(v, 6.0) / gs, 0x1p-6f), 448.0f));
        s = isnan(v) ? NAN : s;
        return (step_t){(double)s, 1.0f / gs / s, false};
    }
    if (fast) {
        s = e4m3(gs * oracle_product(v, (double)moe_rcp_approx(6.0f)));
        factor = moe_rcp_approx(s * moe_rcp_approx(gs));
    } else {
        s = e4m3(oracle_product(v, (double)(gs * (1.0f / 6.0f))));
        factor = fminf(1.0f / (s * (1.0f / gs)), FLT_MAX);
    }
    if (as->profile == MOE_PROFILE_fast_rcp_sm90_vllm
            ? !(s > 0.0f)
            : as->profile != MOE_PROFILE_te_exact && !(v > 0.0)) {
        factor = 0.0f;
    }
    return (step_t){(double)s, factor, false};
}

static step_t mx_step(const moe_storage_t *as, double v)
{
    const bool finite = v < (double)INFINITY;
    step_t step;

    switch ((int)as->profile) {
    case MOE_PROFILE_mxfp4_floor:
        return finite ? power(floor_log2(v) - 2) : not_a_number();
    case MOE_PROFILE_mxfp4_ceil:
        return finite ? power(ceil_log2(v) - 2) : not_a_number();
    case MOE_PROFILE_mxfp4_even: /* from 7/4 of a power on: the next */
        step = power(floor_log2(v / 1.75 * 2.0) - 2);
        step.factor = step.scale > 0x1p-127 ? step.factor : 0.0f;
        return finite ? step : not_a_number();
    case MOE_PROFILE_mxfp4_ceil6:
        step = finite ? power(ceil_log2(
                            (double)oracle_product(v, (double)(1.0f / 6.0f))))
                      : power(127);
        step.factor = step.scale > 0x1p-127 ? step.factor
                      : v > 0.0             ? 1.0f
                                            : 0.0f;
        return step;
    case MOE_PROFILE_mxfp8_e5m2_rceil:
        step = power(
            ceil_log2((double)oracle_product(v, (double)(1.0f / 57344.0f))));
        return finite ? step : not_a_number();
    case MOE_PROFILE_mxfp8_flashinfer:
        step = finite ? power(ceil_log2(
                            (double)oracle_product(v, (double)(1.0f / 448.0f))))
                      : power(127);
        step.factor =
            step.scale > 0x1p-127 && step.scale < 0x1p127 ? step.factor : 0.0f;
        return step;
    default:
        step = power(
            ceil_log2((double)oracle_product(v, (double)(1.0f / 448.0f))));
        return finite ? step : not_a_number();
    }
}

static step_t group_step(const moe_storage_t *as, double v)
{
    const bool deep = as->profile == MOE_PROFILE_deepep ||
                      as->profile == MOE_PROFILE_deepep_ue8m0 ||
                      as->profile == MOE_PROFILE_deepgemm ||
                      as->profile == MOE_PROFILE_deepgemm_ue8m0;
    const float least = deep ? 1e-4f : 1e-10f;
    const double w = v < (double)least ? (double)least : v;
    float s = quotient(w, 448.0);
    step_t step;

    switch ((int)as->profile) {
    case MOE_PROFILE_deepep:
        return (step_t){(double)oracle_product(w, (double)(1.0f / 448.0f)),
                        quotient(448.0, w), false};
    case MOE_PROFILE_deepgemm:
        return (step_t){(double)s, 1.0f / s, false};
    case MOE_PROFILE_trtllm_1x128:
        s = v > 0.0 ? quotient(448.0, v) : 1.0f;
        return (step_t){(double)(1.0f / s), s, false};
    case MOE_PROFILE_deepep_ue8m0:
        s = oracle_product(w, (double)(1.0f / 448.0f));
        return isfinite(s) ? power(ceil_log2((double)s))
                           : (step_t){(double)NAN, 0.0f, false};
    case MOE_PROFILE_deepgemm_ue8m0:
        return power(isfinite(s) ? ceil_log2((double)s) : 127);
    case MOE_PROFILE_vllm_ue8m0:
        s = fmaxf(s, least);
        step = power(isfinite(s) ? ceil_log2((double)s) : 0);
        return isfinite(s) ? (step_t){step.scale, (float)step.scale, true}
                           : (step_t){(double)NAN, s, true};
    default:
        return (step_t){(double)s, s, true};
    }
}

static step_t row_step(const moe_storage_t *as, double v)
{
    const float m = v > 0.0 ? quotient(127.0, v) : 0.0f;
    const float s = quotient(v, 127.0);
    float t;

    switch ((int)as->profile) {
    case MOE_PROFILE_fp8_token_vllm:
        t = fmaxf(quotient(v, 448.0), 1.0f / (448.0f * 512.0f));
        return (step_t){(double)t, t, true};
    case MOE_PROFILE_fp8_tensor:
        return (step_t){1.0, as->global_scale, false};
    case MOE_PROFILE_int8_dispatch:
        return (step_t){v > 0.0 ? (double)(1.0f / m) : 0.0, m, false};
    case MOE_PROFILE_int8_init_routing:
        return (step_t){(double)s, s, true};
    case MOE_PROFILE_int8_vllm:
        return (step_t){(double)s, m, false};
    case MOE_PROFILE_int8_combine:
    default:
        t = oracle_product(v, (double)(1.0f / 127.0f));
        return (step_t){oracle_rounded(MOE_FORMAT_bf16, (double)t), t, true};
    }
}

/* Value of the code of q. */
static double integer_of(moe_profile_t profile, double q)
{
    const double low = profile == MOE_PROFILE_int8_vllm ? -128.0 : -127.0;
    double z;

    if (isnan(q)) {
        return 0.0;
    }
    q = profile == MOE_PROFILE_int8_combine ? oracle_rounded(MOE_FORMAT_fp16, q)
                                            : q;
    z = floor(fabs(q));
    if (fabs(q) - z > 0.5 ||
        (fabs(q) - z >= 0.5 &&
         (profile == MOE_PROFILE_int8_init_routing || fmod(z, 2.0) > 0.0))) {
        z += 1.0;
    }
    return fmax(fmin(q < 0.0 ? -z : z, 127.0), low);
}

static double code_of(const moe_storage_t *as, double x, const step_t *step)
{
    const float q = step->divide ? quotient(x, (double)step->factor)
                                 : oracle_product(x, (double)step->factor);

    switch ((int)moe_format_info(as->format)->code) {
    case MOE_DTYPE_e2m1:
        return (double)moe_e2m1_to_f32(moe_e2m1_from_f32(q));
    case MOE_DTYPE_e5m2:
        return (double)moe_e5m2_to_f32(moe_e5m2_from_f32(q));
    case MOE_DTYPE_i8:
        return integer_of(as->profile, (double)q);
    case MOE_DTYPE_e4m3:
    default:
        if (isnan(q) && step->divide) { /* the order of fmin and fmax */
            return as->format == MOE_FORMAT_fp8_token ? 448.0 : -448.0;
        }
        if (isnan(q) && as->format == MOE_FORMAT_fp8_tensor) {
            return 448.0;
        }
        return (double)moe_e4m3_to_f32(moe_e4m3_from_f32(q));
    }
}

/* torch.amax hands a NaN on, maxima of GPUs do not. */
static bool spreads(moe_profile_t profile)
{
    return profile == MOE_PROFILE_torchao_nvfp4 ||
           profile == MOE_PROFILE_mxfp4_floor ||
           profile == MOE_PROFILE_mxfp4_ceil ||
           profile == MOE_PROFILE_mxfp8_rceil ||
           profile == MOE_PROFILE_mxfp8_e5m2_rceil ||
           profile == MOE_PROFILE_deepgemm ||
           profile == MOE_PROFILE_deepgemm_ue8m0;
}

static step_t step_of(const moe_storage_t *as, double v)
{
    switch ((int)as->format) {
    case MOE_FORMAT_nvfp4:
        return nvfp4_step(as, v);
    case MOE_FORMAT_mxfp4:
    case MOE_FORMAT_mxfp8:
    case MOE_FORMAT_mxfp8_e5m2:
        return mx_step(as, v);
    case MOE_FORMAT_fp8_1x128:
    case MOE_FORMAT_fp8_1x128_ue8m0:
        return group_step(as, v);
    default:
        return row_step(as, v);
    }
}

static void quantise_block(const moe_storage_t *as, double *x, int64_t at,
                           int64_t end, int64_t n, oracle_nvfp4_t *row)
{
    const bool four = as->format == MOE_FORMAT_nvfp4;
    double v = 0.0;
    step_t step;

    for (int64_t i = at; i < end; i++) {
        v = isnan(x[i]) && spreads(as->profile) ? (double)NAN
            : isnan(v)                          ? v
                                                : fmax(v, fabs(x[i]));
    }
    step = step_of(as, v);
    if (four) {
        row->units[at / (end - at)] =
            isnan(step.scale) ? 0 : (int32_t)(step.scale * 512.0);
    }
    for (int64_t i = at; i < end; i++) {
        const double code = code_of(as, x[i], &step);

        if (four) {
            row->twice[i % WORD * (n / WORD) + i / WORD] =
                (int32_t)(2.0 * code);
        }
        x[i] = code * step.scale * (double)row->decode;
    }
}

/* What LogFMT reads: bf16, saturating. */
static double input_of(double x)
{
    const double y = oracle_rounded(MOE_FORMAT_bf16, x);

    return isinf(y) && !isinf(x) ? copysign(0x1.fep127, x) : y;
}

bool oracle_quantises(moe_profile_t profile)
{
    return profile != MOE_PROFILE_none;
}

moe_status_t oracle_quantise(const moe_storage_t *as, double *x, int64_t n,
                             oracle_nvfp4_t *row)
{
    const int block = moe_format_info(as->format)->block;
    const bool logarithms = as->format == MOE_FORMAT_logfmt10;
    const int64_t width = block == 0 || block > n ? n : block;
    moe_status_t status = MOE_OK;

    if (as->profile == MOE_PROFILE_fast_rcp_sm90 ||
        as->profile == MOE_PROFILE_fast_rcp_sm90_vllm) {
        status = moe_rcp_load();
    }
    row->decode = as->profile == MOE_PROFILE_torchao_nvfp4 ? as->global_scale
                  : moe_format_info(as->format)->has_global
                      ? 1.0f / as->global_scale
                      : 1.0f;
    for (int64_t i = 0; logarithms && i < n; i++) {
        x[i] = input_of(x[i]);
    }
    if (logarithms) {
        oracle_logfmt(x, n);
        return MOE_OK;
    }
    for (int64_t i = 0; status == MOE_OK && i < n; i += width) {
        quantise_block(as, x, i, i + width, n, row);
    }
    return status;
}
