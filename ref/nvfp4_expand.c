/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/nvfp4_expand.h"

#include "ref/formats.h"

#include <stdlib.h>

enum {
    BLOCK = 16
};

void moe_nvfp4_expand_plain(const moe_nvfp4_planes_t *planes,
                            const uint8_t *codes, int bytes, uint8_t *out)
{
    for (int i = 0; i < BLOCK; i++) {
        int code = codes[i / 2] >> 4 * (i % 2) & 15;

        for (int b = 0; b < bytes; b++) {
            *out++ = planes->of[b][code];
        }
    }
}

static moe_nvfp4_expand_func_t *best_version(void)
{
    const char *kernel = getenv("MOESIM_KERNEL");
    bool asked = kernel != NULL && strcmp(kernel, "blas") == 0;

    return !asked && moe_nvfp4_expand_has_ssse3() ? moe_nvfp4_expand_ssse3
                                                  : moe_nvfp4_expand_plain;
}

/* Bytes of an element in memory, the first first. */
static void make_planes(uint8_t scale, float global, moe_format_t format,
                        int bytes, moe_nvfp4_planes_t *planes)
{
    double factor = (double)moe_e4m3_to_f32(scale) * (double)global;

    for (int code = 0; code < BLOCK; code++) {
        double value = (double)moe_e2m1_to_f32((uint8_t)code) * factor;
        uint8_t element[4];

        moe_float_store(format, element, 0, moe_round_f64(format, value));
        for (int b = 0; b < bytes; b++) {
            planes->of[b][code] = element[b];
        }
    }
}

void moe_nvfp4_expand(const uint8_t *codes, const uint8_t *scales,
                      int64_t blocks, float global, moe_format_t format,
                      void *out)
{
    moe_nvfp4_expand_func_t *expand = best_version();
    const int bytes = (int)moe_format_code_bytes(format, 1);
    moe_nvfp4_planes_t planes[256];
    bool made[256] = {false};
    uint8_t *to = out;

    for (int64_t b = 0; b < blocks; b++) {
        uint8_t scale = scales[b];

        if (!made[scale]) {
            make_planes(scale, global, format, bytes, &planes[scale]);
            made[scale] = true;
        }
        expand(&planes[scale], codes + b * (BLOCK / 2), bytes, to);
        to += BLOCK * bytes;
    }
}
