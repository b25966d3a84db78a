/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/compare.h"

#include <math.h>
#include <string.h>

/* A float of any width: its bits, how many, and those of the fraction. */
typedef struct {
    int bits;
    int fraction;
} width_t;

static width_t width_of(moe_format_t format)
{
    width_t w = {32, 23};

    if (format == MOE_FORMAT_bf16) {
        w = (width_t){16, 7};
    } else if (format == MOE_FORMAT_fp16) {
        w = (width_t){16, 10};
    }
    return w;
}

static uint32_t code_at(const void *codes, width_t w, int64_t i)
{
    uint32_t wide;
    uint16_t narrow;

    if (w.bits == 32) {
        memcpy(&wide, (const char *)codes + 4 * i, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, (const char *)codes + 2 * i, sizeof(narrow));
    return narrow;
}

/* Place of a code on the number line: -0 and +0 are both 0. */
static int64_t place(uint32_t code, width_t w)
{
    uint32_t sign = 1u << (w.bits - 1);
    int64_t magnitude = (int64_t)(code & (sign - 1));

    return (code & sign) != 0 ? -magnitude : magnitude;
}

static bool is_finite(uint32_t code, width_t w)
{
    uint32_t exponent_ones =
        ((1u << (w.bits - 1)) - 1) & ~((1u << w.fraction) - 1);

    return (code & exponent_ones) != exponent_ones;
}

static bool is_nan(uint32_t code, width_t w)
{
    return !is_finite(code, w) && (code & ((1u << w.fraction) - 1)) != 0;
}

/* One of two numbers is infinite. */
static bool is_infinity(uint32_t a, uint32_t b, width_t w)
{
    return !is_nan(a, w) && !is_nan(b, w) &&
           (!is_finite(a, w) || !is_finite(b, w));
}

static double value(uint32_t code, width_t w)
{
    int exponent_bits = w.bits - 1 - w.fraction;
    int bias = (1 << (exponent_bits - 1)) - 1;
    uint32_t sign = 1u << (w.bits - 1);
    uint32_t fraction = code & ((1u << w.fraction) - 1);
    int exponent = (int)((code & (sign - 1)) >> w.fraction);
    double m = exponent == 0 ? fraction : fraction + (1u << w.fraction);
    double v = ldexp(m, (exponent == 0 ? 1 : exponent) - bias - w.fraction);

    return (code & sign) != 0 ? -v : v;
}

static int64_t distance(uint32_t a, uint32_t b, width_t w)
{
    int64_t d;

    if (is_nan(a, w) || is_nan(b, w)) {
        return is_nan(a, w) && is_nan(b, w) ? 0 : INT64_MAX;
    }
    d = place(a, w) - place(b, w);
    return d < 0 ? -d : d;
}

void moe_compare_add(moe_compare_t *compare, moe_format_t format, int64_t n,
                     const void *ref, const void *got)
{
    width_t w = width_of(format);

    compare->elements += n;
    for (int64_t i = 0; i < n; i++) {
        uint32_t a = code_at(ref, w, i);
        uint32_t b = code_at(got, w, i);
        int64_t d = distance(a, b, w);

        compare->mismatching += a != b;
        compare->nans += is_nan(a, w) != is_nan(b, w);
        compare->infinities += a != b && is_infinity(a, b, w);
        compare->max_ulp = d > compare->max_ulp ? d : compare->max_ulp;
        if (is_finite(a, w) && is_finite(b, w)) {
            double x = value(a, w);
            double diff = value(b, w) - x;

            compare->sum_diff2 += diff * diff;
            compare->sum_ref2 += x * x;
            compare->finite_ulp =
                d > compare->finite_ulp ? d : compare->finite_ulp;
        }
    }
}

void moe_compare_join(moe_compare_t *compare, const moe_compare_t *other)
{
    compare->elements += other->elements;
    compare->mismatching += other->mismatching;
    if (other->max_ulp > compare->max_ulp) {
        compare->max_ulp = other->max_ulp;
    }
    if (other->finite_ulp > compare->finite_ulp) {
        compare->finite_ulp = other->finite_ulp;
    }
    compare->nans += other->nans;
    compare->infinities += other->infinities;
    compare->sum_diff2 += other->sum_diff2;
    compare->sum_ref2 += other->sum_ref2;
}

double moe_compare_l2(const moe_compare_t *compare)
{
    if (compare->sum_ref2 > 0.0) {
        return sqrt(compare->sum_diff2 / compare->sum_ref2);
    }
    return compare->sum_diff2 > 0.0 ? (double)INFINITY : 0.0;
}
