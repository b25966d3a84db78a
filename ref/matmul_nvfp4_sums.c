/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of the integer grid as numbers: unrounded, or with a bias. */
#include "ref/combine.h"
#include "ref/formats.h"
#include "ref/matmul_nvfp4.h"

#include <math.h>

enum {
    UNIT_EXPONENT = -20 /* of a product of two elements */
};

/* At most 63 + 48 digits, of which two numbers hold 106. A sum of any K below
 * MOE_NVFP4_MAX_COLS has at most 57 + 48. */
moe_sum_t moe_nvfp4_unrounded(int64_t sum, double scale)
{
    enum {
        LOW_DIGITS = 53
    };
    const uint64_t below = ((uint64_t)1 << LOW_DIGITS) - 1;
    uint64_t magnitude = sum < 0 ? 0 - (uint64_t)sum : (uint64_t)sum;
    int exponent;
    uint64_t digits = (uint64_t)ldexp(frexp(scale, &exponent), 48);
    moe_u128_t product = (moe_u128_t)magnitude * digits;
    double sign = sum < 0 ? -1.0 : 1.0;
    double high = (double)(uint64_t)(product >> LOW_DIGITS);
    double low = (double)(uint64_t)(product & below);
    moe_sum_t out = {0.0, 0.0, 0.0};

    exponent += UNIT_EXPONENT - 48;
    moe_sum_add_value(&out, sign * ldexp(high, exponent + LOW_DIGITS));
    moe_sum_add_value(&out, sign * ldexp(low, exponent));
    return out;
}

uint32_t moe_nvfp4_round_biased(int64_t sum, double scale, double bias,
                                moe_format_t format, int64_t *redone_p)
{
    moe_sum_t s = moe_nvfp4_unrounded(sum, scale);
    const double term[] = {s.hi, s.lo, bias};
    uint32_t bits;

    moe_sum_add_value(&s, bias);
    if (!moe_sum_round(&s, format, &bits)) {
        ++*redone_p;
        bits = moe_ref_round_terms(term, 3, format);
    }
    return bits;
}
