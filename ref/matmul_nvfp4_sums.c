/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and the integer grid: which have a place on it, and what its sums
 * are unrounded or with a bias. */
#include "ref/combine.h"
#include "ref/formats.h"
#include "ref/matmul_nvfp4.h"
#include "ref/swizzle.h"

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

moe_status_t moe_nvfp4_check_scales(const moe_rows_t *x, int64_t first,
                                    int64_t end)
{
    int64_t blocks = x->cols / MOE_NVFP4_BLOCK;
    const uint8_t *scales = x->scales;

    for (int64_t i = first; i < end; i++) {
        for (int64_t b = 0; b < blocks; b++) {
            int64_t at = moe_scales_offset(x->layout, blocks, i, b);

            if ((scales[at] & 0x7f) == 0x7f) {
                return moe_fail(MOE_ERR_RANGE,
                                "matmul: row %lld, block %lld: the scale is "
                                "NaN",
                                (long long)i, (long long)b);
            }
        }
    }
    return MOE_OK;
}
