/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of 8-bit integers: a scale a row, or per 8 columns (combine).
 *
 * Sources: CANN ops-transformer (2025-12-27), moe_distribute_dispatch.h,
 * moe_v2_gather_dynamic_quant.h, moe_distribute_v2_quant.h; vllm-project/vllm,
 * int8_quant_kernels.cu. v is the largest magnitude, RN one rounding to fp32,
 * rint to even, round halves away from zero:
 *   dispatch      m = RN(127/v), scale = RN(1/m), rint(RN(x m))
 *   init-routing  scale = RN(v/127), round(RN(x/scale)); the kernel cuts the
 *                 quotient to fp16 first, which crosses no half
 *   vLLM          scale = RN(v/127), rint(RN(x RN(127/v))), saturating
 *   combine       s = RN(v RN(1/127)), scale = bf16(s), rint(fp16(RN(x/s)))
 * Zeros: scale 0 and codes 0, which the kernels leave to 0 x infinity. A NaN
 * counts nothing in v and has code 0: ours.
 */
#include "ref/quantize_profile.h"

#define MOST 127.0

static uint8_t saturated(double q, double low)
{
    return !(q == q)  ? 0
           : q > MOST ? (uint8_t)MOST
                      : (uint8_t)(int8_t)(q < low ? low : q);
}

static moe_block_scale_t dispatch(double v, float global)
{
    float m = moe_quotient_f32(MOST, v);

    (void)global;
    return (moe_block_scale_t){moe_f32_bits(1.0f / m), v > 0.0 ? m : 0.0f};
}

static moe_block_scale_t init_routing(double v, float global)
{
    float s = moe_quotient_f32(v, MOST);

    (void)global;
    return (moe_block_scale_t){moe_f32_bits(s), s};
}

static moe_block_scale_t vllm(double v, float global)
{
    (void)global;
    return (moe_block_scale_t){moe_f32_bits(moe_quotient_f32(v, MOST)),
                               v > 0.0 ? moe_quotient_f32(MOST, v) : 0.0f};
}

static moe_block_scale_t combine(double v, float global)
{
    float s = moe_product_f32(v, (double)(1.0f / 127.0f));

    (void)global;
    return (moe_block_scale_t){moe_bf16_from_f32(s), s};
}

static uint8_t multiply_even(double x, float factor)
{
    double q = rint((double)moe_product_f32(x, (double)factor));

    return saturated(q, -MOST);
}

static uint8_t multiply_full(double x, float factor)
{
    double q = rint((double)moe_product_f32(x, (double)factor));

    return saturated(q, -MOST - 1.0);
}

static uint8_t divide_away(double x, float scale)
{
    double q = round((double)moe_quotient_f32(x, (double)scale));

    return saturated(q, -MOST);
}

static uint8_t divide_by_half(double x, float scale)
{
    uint16_t half = moe_fp16_from_f32(moe_quotient_f32(x, (double)scale));

    return saturated(rint((double)moe_fp16_to_f32(half)), -MOST);
}

const moe_quantiser_t moe_quantiser_int8_dispatch = {.scale = dispatch,
                                                     .element = multiply_even};
const moe_quantiser_t moe_quantiser_int8_init_routing = {
    .scale = init_routing, .element = divide_away};
const moe_quantiser_t moe_quantiser_int8_vllm = {.scale = vllm,
                                                 .element = multiply_full};
const moe_quantiser_t moe_quantiser_int8_combine = {.scale = combine,
                                                    .element = divide_by_half};
