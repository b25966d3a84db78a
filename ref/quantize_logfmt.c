/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile logfmt10-deepep: 10-bit logarithms, groups of 128.
 *
 * Source: deepseek-ai/DeepEP dd758caf, csrc/kernels/legacy/internode_ll.cu,
 * logfmt_encode and decode_and_accumulate. x is bf16, v and w the group's
 * largest and smallest magnitude, RN one rounding to fp32, with the fused
 * multiply-adds that nvcc makes:
 *   low  = max(RN(log2 w), RN(log2 v - 32)), step = RN(RN(log2 v - low)/510)
 *   i    = RN(1/step), r = RN(2 - i RN(log2(RN(RN(1 + 2^step)/2))))
 *   code = floor(max(RN(i RN(log2 |x|) + RN(r - i low)), 0))
 * The kernels' lg2.approx and ex2.approx are rounded correctly here. A warp
 * that has a group with v >= 1 or v = w sends its 512 or 1024 columns as
 * bf16; here v >= 1 is coded like any other, v = w gives code 1 for all that
 * is not 0, and infinity in a group makes all of it infinite: ours. So is
 * what is finite but beyond bf16: its largest number.
 */
#include "ref/logfmt.h"
#include "ref/quantize_profile.h"

#include <mpfr.h>
#include <string.h>

#define GROUP     128
#define PIECE     16 /* columns */
#define PIECE_LEN 20 /* bytes */
#define CODE_BITS 9
#define STEPS     510.0f
#define OCTAVES   32.0f
#define SURE      0x1p-44 /* what libm may miss, and more */

/* value is known to SURE; where that does not settle the float, exact it. */
static float settled(double value, float x,
                     int (*exact)(mpfr_t, const mpfr_t, mpfr_rnd_t))
{
    float low = (float)(value * (1.0 - SURE));
    float high = (float)(value * (1.0 + SURE));
    mpfr_t y;

    if (!(low < high) && !(low > high)) {
        return low;
    }
    mpfr_init2(y, 200);
    mpfr_set_flt(y, x, MPFR_RNDN);
    exact(y, y, MPFR_RNDN);
    low = mpfr_get_flt(y, MPFR_RNDN);
    mpfr_clear(y);
    return low;
}

float moe_log2_f32(float x)
{
    return x < FLT_MIN ? -HUGE_VALF : settled(log2((double)x), x, mpfr_log2);
}

float moe_exp2_f32(float x)
{
    float y = settled(exp2((double)x), x, mpfr_exp2);

    return y < FLT_MIN ? 0.0f : y;
}

moe_logfmt_t moe_logfmt10_group(uint32_t word)
{
    moe_logfmt_t g;

    g.high = moe_log2_f32(moe_bf16_to_f32((uint16_t)word));
    g.low = moe_log2_f32(moe_bf16_to_f32((uint16_t)(word >> 16)));
    if (g.low < g.high - OCTAVES) {
        g.low = g.high - OCTAVES;
    }
    g.step = g.low < g.high ? (g.high - g.low) / STEPS : 0.0f;
    return g;
}

static uint32_t bit_of(const uint8_t *bytes, int i)
{
    return bytes[i / 8] >> (i % 8) & 1;
}

float moe_logfmt10_value(const uint8_t *codes, int64_t i, uint32_t word)
{
    const uint8_t *piece = codes + i / PIECE * PIECE_LEN;
    const moe_logfmt_t g = moe_logfmt10_group(word);
    const int at = (int)(i % PIECE);
    uint32_t code = 0;
    float value = 0.0f;

    for (int b = 0; b < CODE_BITS; b++) {
        code |= bit_of(piece, CODE_BITS * at + b) << b;
    }
    if (code > 0) {
        value = moe_exp2_f32(fmaf((float)(code - 1), g.step, g.low));
    }
    return bit_of(piece, CODE_BITS * PIECE + at) != 0 ? -value : value;
}

/* v and w of a group, NaN left out; w is infinite if all are NaN. */
static uint32_t magnitudes(const uint16_t *x)
{
    uint32_t v = 0;
    uint32_t w = 0x7f80;

    for (int i = 0; i < GROUP; i++) {
        uint32_t a = x[i] & 0x7fff;

        v = a <= 0x7f80 && a > v ? a : v;
        w = a < w ? a : w;
    }
    return v | w << 16;
}

/* bf16, in which what is finite stays so: infinity would spread. */
static uint16_t input_of(double x)
{
    const uint32_t bits = moe_round_f64(MOE_FORMAT_bf16, x);

    return (uint16_t)(isfinite(x) && (bits & 0x7fff) == 0x7f80 ? bits - 1
                                                               : bits);
}

static uint32_t code_of(float x, const moe_logfmt_t *g, float inverse,
                        float shift)
{
    float code;

    if (!(x >= FLT_MIN)) {
        return 0;
    }
    if (!(g->step > 0.0f)) {
        return 1;
    }
    code = fmaf(moe_log2_f32(x), inverse, shift);
    return code > 0.0f ? (uint32_t)code : 0;
}

static void put(uint8_t *piece, int at, uint32_t code, uint32_t sign)
{
    for (int b = 0; b < CODE_BITS; b++) {
        int bit = CODE_BITS * at + b;

        piece[bit / 8] |= (uint8_t)((code >> b & 1) << (bit % 8));
    }
    at += CODE_BITS * PIECE;
    piece[at / 8] |= (uint8_t)(sign << (at % 8));
}

static void quantize_group(const uint16_t *x, uint8_t *codes, uint32_t word)
{
    const moe_logfmt_t g = moe_logfmt10_group(word);
    float inverse = 1.0f / g.step;
    float middle = moe_log2_f32((1.0f + moe_exp2_f32(g.step)) * 0.5f);
    float shift = fmaf(-g.low, inverse, fmaf(-middle, inverse, 2.0f));

    memset(codes, 0, GROUP / PIECE * PIECE_LEN);
    for (int i = 0; i < GROUP; i++) {
        float a = moe_bf16_to_f32(x[i] & 0x7fff);

        put(codes + i / PIECE * PIECE_LEN, i % PIECE,
            code_of(a, &g, inverse, shift), x[i] >> 15);
    }
}

void moe_quantize_logfmt10(const double *x, int64_t n, float global,
                           uint8_t *codes, void *scales)
{
    uint32_t *words = scales;
    uint16_t bits[GROUP];

    (void)global;
    for (int64_t b = 0; b < n / GROUP; b++) {
        for (int i = 0; i < GROUP; i++) {
            bits[i] = input_of(*x++);
        }
        words[b] = magnitudes(bits);
        quantize_group(bits, codes, words[b]);
        codes += GROUP / PIECE * PIECE_LEN;
    }
}

const moe_quantiser_t moe_quantiser_logfmt10_deepep = {
    .blocks = moe_quantize_logfmt10};
