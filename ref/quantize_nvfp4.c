/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile te-exact of NVFP4, blocks of 16.
 *
 * Source: NVIDIA/TransformerEngine d0067d0d, common/cast/nvfp4/; FlashInfer
 * fb28d724 with FLASHINFER_DISABLE_FP4_QUANT_FAST_MATH=1. v is the block's
 * largest magnitude, gs the global scale, every RN one rounding to fp32:
 *   S  = E4M3(RN(v * RN(gs * RN(1/6)))), 0 if v = 0
 *   os = min(RN(1 / RN(S * RN(1/gs))), FLT_MAX)
 *   code = E2M1(RN(x * os))
 * tests/check_quantize.c holds it, with the published edge cases.
 */
#include "ref/quantize_profile.h"

#include <float.h>

#define BLOCK 16

static uint8_t scale_code(double v, float global)
{
    float sixth = 1.0f / 6.0f;
    float factor = global * sixth;

    return v > 0.0 ? moe_e4m3_from_f32(moe_product_f32(v, (double)factor)) : 0;
}

static float multiplier(uint8_t scale, float global)
{
    float inverse = 1.0f / global;
    float decoded = moe_e4m3_to_f32(scale) * inverse;
    float result = 1.0f / decoded;

    return result > FLT_MAX ? FLT_MAX : result;
}

void moe_quantize_te_exact(const double *x, int64_t n, float global,
                           uint8_t *codes, void *scales)
{
    uint8_t *scale = scales;

    for (int64_t b = 0; b < n / BLOCK; b++, x += BLOCK) {
        double os;

        scale[b] = scale_code(moe_largest_magnitude(x, BLOCK), global);
        os = (double)multiplier(scale[b], global);
        for (int i = 0; i < BLOCK; i += 2) {
            int low = moe_e2m1_from_f32(moe_product_f32(x[i], os));
            int high = moe_e2m1_from_f32(moe_product_f32(x[i + 1], os));

            *codes++ = (uint8_t)(low | high << 4);
        }
    }
}

const moe_quantiser_t moe_quantiser_te_exact = {.blocks =
                                                    moe_quantize_te_exact};
