/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of MXFP4 and MXFP8: blocks of 32 with a power of two, E8M0.
 *
 * Sources: OCP Microscaling Formats 1.0, 6.3; pytorch/ao 36027d82,
 * mx_tensor.py (floor, ceil, rceil); vLLM's UE8M0 kernel after #43557 (even);
 * flashinfer-ai/flashinfer fb28d724, quantization_utils.cuh (ceil6, and of
 * MXFP8). v is the block's largest magnitude as fp32, e its exponent:
 *   floor  2^(e - 2)        even  that of v + half a step of E2M1
 *   ceil   2^(e - 2), one up where v is no power of two
 *   ceil6  v RN(1/6), rceil v RN(1/448) or v RN(1/57344), up to a power of two
 * Elements are multiplied by the inverse of the scale, which is exact but for
 * subnormal results. What the rules make of byte 00, infinity and NaN stands
 * in doc/formats.md.
 */
#include "ref/quantize_profile.h"

#define E2M1_EXPONENT 2          /* of its largest number */
#define E2M1_HALF     (1u << 21) /* half a step, in a float's mantissa */
#define NOT_A_NUMBER  0xffu
#define NOT_FINITE    0x7f800000u /* float bits from infinity on */

/* Exponent less E2M1's, at least 0. */
static uint32_t lower(uint32_t exponent)
{
    return exponent < E2M1_EXPONENT ? 0 : exponent - E2M1_EXPONENT;
}

static moe_block_scale_t floored(double v, float global)
{
    uint32_t bits = moe_f32_bits((float)v);
    uint32_t code = bits >= NOT_FINITE ? NOT_A_NUMBER : lower(bits >> 23);

    (void)global;
    return (moe_block_scale_t){code, moe_e8m0_reciprocal(code)};
}

static moe_block_scale_t ceiled(double v, float global)
{
    uint32_t bits = moe_f32_bits((float)v);
    uint32_t up = (bits & 0x7fffff) != 0;
    uint32_t code =
        bits >= NOT_FINITE ? NOT_A_NUMBER : lower((bits >> 23) + up);

    (void)global;
    return (moe_block_scale_t){code, moe_e8m0_reciprocal(code)};
}

/* Byte 00 is read as a scale of 0, with which all codes are 0. */
static moe_block_scale_t evened(double v, float global)
{
    uint32_t bits = moe_f32_bits((float)v);
    uint32_t code =
        bits >= NOT_FINITE ? NOT_A_NUMBER : lower((bits + E2M1_HALF) >> 23);

    (void)global;
    return (moe_block_scale_t){code,
                               code == 0 ? 0.0f : moe_e8m0_reciprocal(code)};
}

/* Byte 00 multiplies by 1, but for zeros by 0. */
static moe_block_scale_t ceiled_sixth(double v, float global)
{
    uint32_t code =
        moe_e8m0_from_f32(moe_product_f32(v, (double)(1.0f / 6.0f)));
    float factor = code == 0 ? 1.0f : moe_e8m0_reciprocal(code);

    (void)global;
    return (moe_block_scale_t){code, v > 0.0 ? factor : 0.0f};
}

static moe_block_scale_t ceiled_e4m3(double v, float global)
{
    uint32_t code =
        moe_e8m0_from_f32_nosat(moe_product_f32(v, (double)(1.0f / 448.0f)));

    (void)global;
    return (moe_block_scale_t){code, moe_e8m0_reciprocal(code)};
}

static moe_block_scale_t ceiled_e5m2(double v, float global)
{
    uint32_t code =
        moe_e8m0_from_f32_nosat(moe_product_f32(v, (double)(1.0f / 57344.0f)));

    (void)global;
    return (moe_block_scale_t){code, moe_e8m0_reciprocal(code)};
}

/* rcp.approx.ftz of a subnormal, and a subnormal of it, is as if it were 0. */
static moe_block_scale_t ceiled_flushed(double v, float global)
{
    uint32_t code =
        moe_e8m0_from_f32(moe_product_f32(v, (double)(1.0f / 448.0f)));
    bool flushed = code == 0 || code > 253;

    (void)global;
    return (moe_block_scale_t){code,
                               flushed ? 0.0f : moe_e8m0_reciprocal(code)};
}

static uint8_t e2m1(double x, float factor)
{
    return moe_e2m1_from_f32(moe_product_f32(x, (double)factor));
}

static uint8_t e4m3(double x, float factor)
{
    return moe_e4m3_from_f32(moe_product_f32(x, (double)factor));
}

static uint8_t e5m2(double x, float factor)
{
    return moe_e5m2_from_f32(moe_product_f32(x, (double)factor));
}

const moe_quantiser_t moe_quantiser_mxfp4_floor = {
    .scale = floored, .element = e2m1, .nan_spreads = true};
const moe_quantiser_t moe_quantiser_mxfp4_ceil = {
    .scale = ceiled, .element = e2m1, .nan_spreads = true};
const moe_quantiser_t moe_quantiser_mxfp4_even = {.scale = evened,
                                                  .element = e2m1};
const moe_quantiser_t moe_quantiser_mxfp4_ceil6 = {.scale = ceiled_sixth,
                                                   .element = e2m1};
const moe_quantiser_t moe_quantiser_mxfp8_rceil = {
    .scale = ceiled_e4m3, .element = e4m3, .nan_spreads = true};
const moe_quantiser_t moe_quantiser_mxfp8_e5m2_rceil = {
    .scale = ceiled_e5m2, .element = e5m2, .nan_spreads = true};
const moe_quantiser_t moe_quantiser_mxfp8_flashinfer = {.scale = ceiled_flushed,
                                                        .element = e4m3};
