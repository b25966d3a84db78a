/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/nvfp4_decode.h"

#include "ref/formats.h"

void moe_nvfp4_decode_plain(const uint8_t *codes, const uint8_t *scales,
                            int64_t blocks, double *out)
{
    static const double twice[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                     0, -1, -2, -3, -4, -6, -8, -12};

    for (int64_t b = 0; b < blocks; b++) {
        double unit = moe_e4m3_units(scales[b]);

        for (int j = 0; j < 8; j++) {
            *out++ = twice[*codes & 15] * unit;
            *out++ = twice[*codes++ >> 4] * unit;
        }
    }
}

static moe_nvfp4_decode_func_t *best_version(void)
{
    return moe_nvfp4_decode_has_avx512() ? moe_nvfp4_decode_avx512
           : moe_nvfp4_decode_has_avx2() ? moe_nvfp4_decode_avx2
                                         : moe_nvfp4_decode_plain;
}

void moe_nvfp4_decode(const uint8_t *codes, const uint8_t *scales,
                      int64_t blocks, double *out)
{
    best_version()(codes, scales, blocks, out);
}
