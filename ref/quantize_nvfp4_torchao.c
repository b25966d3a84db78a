/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile torchao-nvfp4, blocks of 16.
 *
 * Source: pytorch/ao 36027d82, torchao/prototype/mx_formats/nvfp4_tensor.py.
 * The global scale is the per-tensor decode scale pts = amax / 2688; a NaN
 * makes v a NaN (torch.amax). RN is one rounding to fp32:
 *   S = E4M3(clamp(RN(RN(v/6) / pts), 2^-6, 448)), os = RN(RN(1/pts) / S)
 *   code = E2M1(clamp(RN(x os), -6, 6))
 * The code of a NaN is ours: 7, as everywhere.
 */
#include "ref/quantize_profile.h"

#define SMALLEST 0x1p-6f
#define E4M3_MAX 448.0f

static moe_block_scale_t scale_of(double v, float decode)
{
    float s = moe_quotient_f32(v, 6.0) / decode;
    uint8_t code;

    s = s < SMALLEST ? SMALLEST : s;
    code = moe_e4m3_from_f32(s > E4M3_MAX ? E4M3_MAX : s);
    return (moe_block_scale_t){code, 1.0f / decode / moe_e4m3_to_f32(code)};
}

/* E2M1 saturates: the clamp changes nothing. */
static uint8_t multiply(double x, float factor)
{
    return moe_e2m1_from_f32(moe_product_f32(x, (double)factor));
}

const moe_quantiser_t moe_quantiser_torchao_nvfp4 = {.scale = scale_of,
                                                     .element = multiply,
                                                     .nan_spreads = true,
                                                     .any_global = true};
