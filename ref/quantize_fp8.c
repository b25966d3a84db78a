/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile deepep of FP8 E4M3, groups of 1 x 128, an fp32 scale each.
 *
 * Source: deepseek-ai/DeepEP dd758caf, csrc/kernels/legacy/internode_ll.cu.
 * v is the group's largest magnitude, at least 1e-4, every RN one rounding to
 * fp32:
 *   scale = RN(v * RN(1/448)), m = RN(448 / v), code = E4M3(RN(x * m))
 */
#include "ref/quantize_profile.h"

#define BLOCK            128
#define E4M3_MAX         448.0
#define SMALLEST         1e-4f
#define E4M3_MAX_INVERSE (1.0f / 448.0f)

/* RN(448 / v): rounded to odd to float64 first, for v may have more digits
 * than a float. */
static float multiplier(double v)
{
    double q = E4M3_MAX / v;
    double rest = fma(-q, v, E4M3_MAX);
    uint64_t bits = moe_f64_bits(q);

    if (rest < 0.0) {
        bits = (bits - 1) | 1;
    } else if (rest > 0.0) {
        bits |= 1;
    }
    return (float)moe_f64_of_bits(bits);
}

void moe_quantize_deepep(const double *x, int64_t n, float global,
                         uint8_t *codes, void *scales)
{
    float *scale = scales;

    (void)global;
    for (int64_t b = 0; b < n / BLOCK; b++, x += BLOCK) {
        double v = moe_largest_magnitude(x, BLOCK);
        double m;

        v = v < (double)SMALLEST ? (double)SMALLEST : v;
        scale[b] = moe_product_f32(v, (double)E4M3_MAX_INVERSE);
        m = (double)multiplier(v);
        for (int i = 0; i < BLOCK; i++) {
            *codes++ = moe_e4m3_from_f32(moe_product_f32(x[i], m));
        }
    }
}
