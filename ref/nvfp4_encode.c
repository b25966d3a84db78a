/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/nvfp4_encode.h"

#include "ref/elements.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 16,
    BF16_INFINITY = 0x7f80,
    FEW = 128 /* blocks: to find borders takes as long */
};

static bool everywhere(void)
{
    return true;
}

static const moe_nvfp4_encoder_t plain = {"plain", everywhere,
                                          moe_nvfp4_encode_plain};

/* Best first. The last one is everywhere. */
static const moe_nvfp4_encoder_t *const encoders[] = {
    &moe_nvfp4_encoder_avx2,
    &plain,
};

const moe_nvfp4_encoder_t *moe_nvfp4_encoder_at(int i)
{
    return i < (int)(sizeof(encoders) / sizeof(encoders[0])) ? encoders[i]
                                                             : NULL;
}

const moe_nvfp4_encoder_t *moe_nvfp4_encoder(void)
{
    const char *kernel = getenv("MOESIM_KERNEL");
    int i = 0;

    if (kernel != NULL && strcmp(kernel, "blas") == 0) {
        return &plain;
    }
    while (!encoders[i]->available()) {
        i++;
    }
    return encoders[i];
}

/* Bits of the largest magnitude; NaN counts nothing. */
static uint16_t largest(const uint16_t *x)
{
    uint16_t most = 0;

    for (int i = 0; i < BLOCK; i++) {
        uint16_t a = x[i] & 0x7fff;

        most = a > most && a <= BF16_INFINITY ? a : most;
    }
    return most;
}

static float multiplier(uint8_t scale, float inverse)
{
    float os = 1.0f / (moe_e4m3_to_f32(scale) * inverse);

    return os > FLT_MAX ? FLT_MAX : os;
}

static float scale_factor(float global)
{
    const float sixth = 1.0f / 6.0f;

    return global * sixth;
}

void moe_nvfp4_encode_few(const uint16_t *x, int64_t blocks, float global,
                          uint8_t *codes, uint8_t *scales)
{
    const float factor = scale_factor(global);
    const float inverse = 1.0f / global;

    for (int64_t b = 0; b < blocks; b++, x += BLOCK) {
        float os;

        scales[b] = moe_e4m3_from_f32(moe_bf16_to_f32(largest(x)) * factor);
        os = multiplier(scales[b], inverse);
        for (int i = 0; i < BLOCK; i += 2) {
            int low = moe_e2m1_from_f32(moe_bf16_to_f32(x[i]) * os);
            int high = moe_e2m1_from_f32(moe_bf16_to_f32(x[i + 1]) * os);

            *codes++ = (uint8_t)(low | high << 4);
        }
    }
}

bool moe_nvfp4_has_borders(float global, int64_t blocks)
{
    return blocks >= FEW && global >= 0x1p-100f && global <= 0x1p100f;
}

/* Has a magnitude of these bits passed border i? */
static bool passes(int bits, float os, int i)
{
    float y = moe_bf16_to_f32((uint16_t)bits) * os;

    return moe_e2m1_from_f32(y) > i;
}

/* Guessed by a division, then the bits beside it are tried. */
static int16_t find_border(float os, int i)
{
    static const float border[MOE_NVFP4_BORDERS] = {0.25f, 0.75f, 1.25f, 1.75f,
                                                    2.5f,  3.5f,  5.0f};
    int bits = (int)(moe_f32_bits(border[i] / os) >> 16);

    while (passes(bits, os, i)) {
        bits--;
    }
    while (!passes(bits + 1, os, i)) {
        bits++;
    }
    return (int16_t)bits;
}

void moe_nvfp4_borders(float global, moe_nvfp4_borders_t borders)
{
    const float inverse = 1.0f / global;

    for (int scale = 0; scale < MOE_NVFP4_SCALES; scale++) {
        float os = multiplier((uint8_t)scale, inverse);

        for (int i = 0; i < MOE_NVFP4_BORDERS; i++) {
            borders[scale][i] = find_border(os, i);
        }
    }
}

/* Code of a number that may be NaN. */
static int code_of(uint16_t x, const int16_t *border)
{
    int a = x & 0x7fff;
    int code = (a > border[0]) + (a > border[1]) + (a > border[2]) +
               (a > border[3]) + (a > border[4]) + (a > border[5]) +
               (a > border[6]);

    return a > BF16_INFINITY ? 7 : (x >> 12 & 8) | code;
}

void moe_nvfp4_encode_plain(const uint16_t *x, int64_t blocks, float global,
                            uint8_t *codes, uint8_t *scales)
{
    const float factor = scale_factor(global);
    moe_nvfp4_borders_t borders;

    if (!moe_nvfp4_has_borders(global, blocks)) {
        moe_nvfp4_encode_few(x, blocks, global, codes, scales);
        return;
    }
    moe_nvfp4_borders(global, borders);
    for (int64_t b = 0; b < blocks; b++, x += BLOCK) {
        float v = moe_bf16_to_f32(largest(x));
        const int16_t *border;

        scales[b] = moe_e4m3_from_f32(v * factor);
        border = borders[scales[b]];
        for (int i = 0; i < BLOCK; i += 2) {
            *codes++ = (uint8_t)(code_of(x[i], border) |
                                 code_of(x[i + 1], border) << 4);
        }
    }
}
