/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of FP8 E4M3 with a scale a row, or one of the whole tensor.
 *
 * Source: vllm-project/vllm, csrc/quantization/w8a8/fp8/common.cu. v is the
 * row's largest magnitude, RN one rounding to fp32:
 *   row     scale = max(RN(v/448), 1 / (448 x 512)), E4M3(clamp(RN(x/scale)))
 *   tensor  E4M3(clamp(RN(x gs))), gs being RN(1 / scale) of a static scale
 */
#include "ref/quantize_profile.h"

#define E4M3_MAX 448.0
#define SMALLEST (1.0f / (448.0f * 512.0f))

/* fmax(-448, fmin(q, 448)) makes 448 of a NaN. */
static uint8_t clamped(float q)
{
    return q == q ? moe_e4m3_from_f32(q) : 0x7e;
}

static moe_block_scale_t row_scale(double v, float global)
{
    float s = moe_quotient_f32(v, E4M3_MAX);

    (void)global;
    s = s < SMALLEST ? SMALLEST : s;
    return (moe_block_scale_t){moe_f32_bits(s), s};
}

static uint8_t divide(double x, float scale)
{
    return clamped(moe_quotient_f32(x, (double)scale));
}

static uint8_t multiply(double x, float global)
{
    return clamped(moe_product_f32(x, (double)global));
}

const moe_quantiser_t moe_quantiser_fp8_token_vllm = {.scale = row_scale,
                                                      .element = divide};
const moe_quantiser_t moe_quantiser_fp8_tensor = {.element = multiply};
