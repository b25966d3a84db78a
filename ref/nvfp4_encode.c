/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/nvfp4_encode.h"

#include "ref/elements.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 16,
    BF16_INFINITY = 0x7f80
};

static bool everywhere(void)
{
    return true;
}

static const moe_nvfp4_encoder_t plain = {"plain", everywhere,
                                          moe_nvfp4_encode_plain};

/* Best first. The last one is everywhere. */
static const moe_nvfp4_encoder_t *const encoders[] = {
    &moe_nvfp4_encoder_avx512,
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
    if (kernel != NULL && strcmp(kernel, "avx2") == 0) {
        i = 1;
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

void moe_nvfp4_encode_plain(const uint16_t *x, int64_t blocks, float global,
                            uint8_t *codes, uint8_t *scales)
{
    const float sixth = 1.0f / 6.0f;
    const float factor = global * sixth;
    const float inverse = 1.0f / global;

    for (int64_t b = 0; b < blocks; b++, x += BLOCK) {
        float os;

        scales[b] = moe_e4m3_from_f32(moe_bf16_to_f32(largest(x)) * factor);
        os = 1.0f / (moe_e4m3_to_f32(scales[b]) * inverse);
        os = os > FLT_MAX ? FLT_MAX : os;
        for (int i = 0; i < BLOCK; i += 2) {
            int low = moe_e2m1_from_f32(moe_bf16_to_f32(x[i]) * os);
            int high = moe_e2m1_from_f32(moe_bf16_to_f32(x[i + 1]) * os);

            *codes++ = (uint8_t)(low | high << 4);
        }
    }
}
