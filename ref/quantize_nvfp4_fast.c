/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of NVFP4, blocks of 16, as GPU kernels compute them: the exact one
 * of FlashInfer and those that use the approximate reciprocal.
 *
 * Source: flashinfer-ai/flashinfer fb28d724, csrc/nv_internal/tensorrt_llm/
 * kernels/quantization_utils.cuh; NVIDIA/TensorRT-LLM, cpp/tensorrt_llm/
 * kernels/quantization.cuh; vllm-project/vllm, csrc/libtorch_stable/
 * quantization/fp4/nvfp4_utils.cuh. v is the block's largest magnitude, gs
 * the global scale, RN one rounding to fp32, rcp the instruction:
 *   exact  S = E4M3(RN(v RN(gs RN(1/6)))), os = min(RN(1 / RN(S RN(1/gs))),
 *          FLT_MAX); both 0 where v = 0
 *   fast   S = E4M3(RN(gs RN(v rcp(6)))), os = rcp(RN(S rcp(gs))); os = 0
 *          where v = 0, or in vLLM where S = 0
 *   code = E2M1(RN(x os))
 * Builds with -use_fast_math also flush subnormal products, which shows for
 * gs beyond 2^126 alone. tests/check_quantize_fast.c holds the fast ones to
 * what an H100 gave.
 */
#include "ref/quantize_profile.h"
#include "ref/rcp_table.h"

static uint8_t multiply(double x, float factor)
{
    return moe_e2m1_from_f32(moe_product_f32(x, (double)factor));
}

static moe_block_scale_t scale_exact(double v, float global)
{
    moe_block_scale_t block = {0, 0.0f};
    float factor = global * (1.0f / 6.0f);
    float inverse = 1.0f / global;
    float os;

    if (v > 0.0) {
        block.scale = moe_e4m3_from_f32(moe_product_f32(v, (double)factor));
        os = 1.0f / (moe_e4m3_to_f32((uint8_t)block.scale) * inverse);
        block.factor = os < FLT_MAX ? os : FLT_MAX; /* fminf: NaN is FLT_MAX */
    }
    return block;
}

const moe_quantiser_t moe_quantiser_flashinfer_exact = {
    .scale = scale_exact, .element = multiply, .any_global = true};

/* Scale code, and the multiplier without a guard. */
static moe_block_scale_t scale_fast(double v, float global)
{
    float sixth = moe_rcp_approx(6.0f);
    float s = global * moe_product_f32(v, (double)sixth);
    uint8_t code = moe_e4m3_from_f32(s);
    float inverse = moe_rcp_approx(global);

    return (moe_block_scale_t){code,
                               moe_rcp_approx(moe_e4m3_to_f32(code) * inverse)};
}

static moe_block_scale_t scale_guard_v(double v, float global)
{
    moe_block_scale_t block = scale_fast(v, global);

    block.factor = v > 0.0 ? block.factor : 0.0f;
    return block;
}

static moe_block_scale_t scale_guard_s(double v, float global)
{
    moe_block_scale_t block = scale_fast(v, global);

    block.factor = block.scale != 0 ? block.factor : 0.0f;
    return block;
}

const moe_quantiser_t moe_quantiser_fast_rcp_sm90 = {.scale = scale_guard_v,
                                                     .element = multiply,
                                                     .any_global = true,
                                                     .needs_rcp = true};

const moe_quantiser_t moe_quantiser_fast_rcp_sm90_vllm = {.scale =
                                                              scale_guard_s,
                                                          .element = multiply,
                                                          .any_global = true,
                                                          .needs_rcp = true};
