/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of FP8 E4M3 in groups of 1 x 128 but DeepEP's own (which is
 * ref/quantize_fp8.c), with fp32 scales or with powers of two.
 *
 * Sources: deepseek-ai/DeepGEMM 54e22612, deep_gemm/utils/math.py;
 * vllm-project/vllm, csrc/quantization/w8a8/fp8/per_token_group_quant.cu;
 * TensorRT-LLM's fp8_blockscale_gemm_kernel.cuh; deepseek-ai/DeepEP dd758caf,
 * internode_ll.cu with round_scale. v is the group's largest magnitude, RN one
 * rounding to fp32:
 *   DeepGEMM  v >= 1e-4, s = RN(v/448), E4M3(RN(x RN(1/s)))
 *   vLLM      v >= 1e-10, s = RN(v/448), E4M3(clamp(RN(x/s)))
 *   TRT-LLM   m = RN(448/v) or 1, s = RN(1/m), E4M3(RN(x m))
 * UE8M0: s goes up to a power of two before the elements are divided.
 */
#include "ref/quantize_profile.h"

#define E4M3_MAX     448.0
#define MANTISSA     0x7fffffu
#define VLLM_EPS     1e-10f
#define DEEPSEEK_EPS 1e-4f

static double at_least(double v, float least)
{
    return v < (double)least ? (double)least : v;
}

static uint8_t multiply(double x, float factor)
{
    return moe_e4m3_from_f32(moe_product_f32(x, (double)factor));
}

/* fmin(fmax(q, -448), 448) makes -448 of a NaN. */
static uint8_t divide(double x, float scale)
{
    float q = moe_quotient_f32(x, (double)scale);

    return q == q ? moe_e4m3_from_f32(q) : 0xfe;
}

static moe_block_scale_t deepgemm(double v, float global)
{
    float s = moe_quotient_f32(at_least(v, DEEPSEEK_EPS), E4M3_MAX);

    (void)global;
    return (moe_block_scale_t){moe_f32_bits(s), 1.0f / s};
}

static moe_block_scale_t vllm(double v, float global)
{
    float s = moe_quotient_f32(at_least(v, VLLM_EPS), E4M3_MAX);

    (void)global;
    return (moe_block_scale_t){moe_f32_bits(s), s};
}

static moe_block_scale_t trtllm(double v, float global)
{
    float m = v > 0.0 ? moe_quotient_f32(E4M3_MAX, v) : 1.0f;

    (void)global;
    return (moe_block_scale_t){moe_f32_bits(1.0f / m), m};
}

/* Exponent field, one up where the mantissa is not 0. */
static uint32_t exponent_up(float s)
{
    uint32_t bits = moe_f32_bits(s);

    return (bits >> 23) + ((bits & MANTISSA) != 0);
}

/* Infinity: byte FF and multiplier 0; DeepEP's shift leaves it undefined. */
static moe_block_scale_t deepep_ue8m0(double v, float global)
{
    float s =
        moe_product_f32(at_least(v, DEEPSEEK_EPS), (double)(1.0f / 448.0f));
    uint32_t code = exponent_up(s);

    (void)global;
    return (moe_block_scale_t){code,
                               code == 0xff ? 0.0f : moe_e8m0_reciprocal(code)};
}

/* The exponent is clamped to 1..254, that of NaN and infinity too. */
static moe_block_scale_t deepgemm_ue8m0(double v, float global)
{
    uint32_t code =
        exponent_up(moe_quotient_f32(at_least(v, DEEPSEEK_EPS), E4M3_MAX));

    (void)global;
    code = code < 1 ? 1 : code > 254 ? 254 : code;
    return (moe_block_scale_t){code, moe_e8m0_reciprocal(code)};
}

static moe_block_scale_t vllm_ue8m0(double v, float global)
{
    float s = moe_quotient_f32(at_least(v, VLLM_EPS), E4M3_MAX);
    uint32_t code = exponent_up(s < VLLM_EPS ? VLLM_EPS : s);

    (void)global; /* a float's exponent field: FF is infinity */
    return (moe_block_scale_t){code, moe_f32_of_bits(code << 23)};
}

const moe_quantiser_t moe_quantiser_deepep = {.blocks = moe_quantize_deepep};
const moe_quantiser_t moe_quantiser_deepgemm = {
    .scale = deepgemm, .element = multiply, .nan_spreads = true};
const moe_quantiser_t moe_quantiser_vllm_1x128 = {.scale = vllm,
                                                  .element = divide};
const moe_quantiser_t moe_quantiser_trtllm_1x128 = {.scale = trtllm,
                                                    .element = multiply};
const moe_quantiser_t moe_quantiser_deepep_ue8m0 = {.scale = deepep_ue8m0,
                                                    .element = multiply};
const moe_quantiser_t moe_quantiser_deepgemm_ue8m0 = {
    .scale = deepgemm_ue8m0, .element = multiply, .nan_spreads = true};
const moe_quantiser_t moe_quantiser_vllm_ue8m0 = {.scale = vllm_ue8m0,
                                                  .element = divide};
