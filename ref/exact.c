/* SPDX-License-Identifier: Apache-2.0 */
/* Sums: an MPFR number so wide that every sum of 2^64 float64 numbers is
 * exact in it. Functions: Ziv's loop; a lower and an upper bound by directed
 * rounding, more precision until both round to the same code. It ends: by
 * Lindemann's theorem exp of an algebraic number other than 0 is
 * transcendental, so no result lies on a rounding boundary. */
#include "ref/exact.h"

#include "ref/odd.h"

#include <mpfr.h>
#include <stdbool.h>

enum {
    WIDE_BITS = 2304, /* 2^-1074 to 2^1024, and 2^64 terms */
    FIRST_BITS = 96,
    SPAN_BITS = 256 /* a product of two unrounded numbers */
};

/* Above it 1 - sigma(g) is less than SPAN_BITS can tell. */
#define NO_EXP 1000.0

double moe_exact_odd(mpfr_srcptr x)
{
    double d = mpfr_get_d(x, MPFR_RNDZ);

    if (mpfr_number_p(x) && mpfr_cmp_d(x, d) != 0) {
        return moe_odd_nudge(d, mpfr_sgn(x) < 0 ? -1.0 : 1.0);
    }
    return d;
}

double moe_exact_sum(const double *x, const double *y, int64_t n)
{
    mpfr_t sum;
    double odd;

    mpfr_init2(sum, WIDE_BITS);
    mpfr_set_zero(sum, 1);
    for (int64_t i = 0; i < n; i++) {
        mpfr_add_d(sum, sum, y == NULL ? x[i] : x[i] * y[i], MPFR_RNDN);
    }
    odd = moe_exact_odd(sum);
    mpfr_clear(sum);
    return odd;
}

double moe_exact_dot(const double *x, const double *y, int64_t n, double factor,
                     double bias)
{
    mpfr_t sum;
    mpfr_t term;
    double odd;

    mpfr_init2(sum, 2 * WIDE_BITS); /* and its product with factor */
    mpfr_init2(term, 128);
    mpfr_set_zero(sum, 1);
    for (int64_t i = 0; i < n; i++) {
        mpfr_set_d(term, x[i], MPFR_RNDN);
        mpfr_mul_d(term, term, y[i], MPFR_RNDN);
        mpfr_add(sum, sum, term, MPFR_RNDN);
    }
    mpfr_mul_d(sum, sum, factor, MPFR_RNDN);
    mpfr_add_d(sum, sum, bias, MPFR_RNDN);
    odd = moe_exact_odd(sum);
    mpfr_clears(sum, term, (mpfr_ptr)0);
    return odd;
}

/* bound = 1 / (1 + exp(-x)) from below or above. */
static void sigma_bound(mpfr_t bound, double x, bool above)
{
    mpfr_rnd_t inner = above ? MPFR_RNDD : MPFR_RNDU;

    mpfr_set_d(bound, -x, inner);
    mpfr_exp(bound, bound, inner);
    mpfr_add_ui(bound, bound, 1, inner);
    mpfr_ui_div(bound, 1, bound, above ? MPFR_RNDU : MPFR_RNDD);
}

float moe_exact_sigmoid(float x)
{
    float low;
    float high;
    mpfr_prec_t bits = FIRST_BITS;

    do {
        mpfr_t bound;

        mpfr_init2(bound, bits);
        sigma_bound(bound, (double)x, false);
        low = (float)moe_exact_odd(bound);
        sigma_bound(bound, (double)x, true);
        high = (float)moe_exact_odd(bound);
        mpfr_clear(bound);
        bits *= 2;
    } while (low < high);
    return low;
}

/* bound = sqrt(log(1 + exp(x))), all of it by one directed rounding. */
static void softplus_bound(mpfr_t bound, double x, mpfr_rnd_t way)
{
    mpfr_set_d(bound, x, way);
    mpfr_exp(bound, bound, way);
    mpfr_log1p(bound, bound, way);
    mpfr_sqrt(bound, bound, way);
}

float moe_exact_sqrt_softplus(float x)
{
    float low;
    float high;
    mpfr_prec_t bits = FIRST_BITS;

    do {
        mpfr_t bound;

        mpfr_init2(bound, bits);
        softplus_bound(bound, (double)x, MPFR_RNDD);
        low = (float)moe_exact_odd(bound);
        softplus_bound(bound, (double)x, MPFR_RNDU);
        high = (float)moe_exact_odd(bound);
        mpfr_clear(bound);
        bits *= 2;
    } while (low < high);
    return low;
}

/* bound = 1 / sum over j of exp(x[j] - x[i]), from below or above. Terms
 * below 2^-1442 of the largest count only in the bound from below. */
static void softmax_bound(mpfr_t bound, const float *x, int64_t n, int64_t i,
                          bool above)
{
    mpfr_rnd_t inner = above ? MPFR_RNDD : MPFR_RNDU;
    mpfr_t term;

    mpfr_init2(term, mpfr_get_prec(bound));
    mpfr_set_zero(bound, 1);
    for (int64_t j = 0; j < n; j++) {
        mpfr_set_d(term, (double)x[j], inner);
        mpfr_sub_d(term, term, (double)x[i], inner);
        mpfr_exp(term, term, inner);
        mpfr_add(bound, bound, term, inner);
    }
    mpfr_ui_div(bound, 1, bound, above ? MPFR_RNDU : MPFR_RNDD);
    mpfr_clear(term);
}

float moe_exact_softmax(const float *x, int64_t n, int64_t i)
{
    float low;
    float high;
    mpfr_prec_t bits = FIRST_BITS;

    do {
        mpfr_t bound;

        mpfr_init2(bound, bits);
        softmax_bound(bound, x, n, i, false);
        low = (float)moe_exact_odd(bound);
        softmax_bound(bound, x, n, i, true);
        high = (float)moe_exact_odd(bound);
        mpfr_clear(bound);
        bits *= 2;
    } while (low < high);
    return low;
}

/* Both numbers, and their product, exactly: hi and lo span 108 digits. */
static void set_product(mpfr_t g, mpfr_t product, const moe_sum_t *a,
                        const moe_sum_t *b)
{
    mpfr_set_d(product, b->hi, MPFR_RNDN);
    mpfr_add_d(product, product, b->lo, MPFR_RNDN);
    mpfr_set_d(g, a->hi, MPFR_RNDN);
    mpfr_add_d(g, g, a->lo, MPFR_RNDN);
    mpfr_mul(product, product, g, MPFR_RNDN);
}

/* The code of the product times a bound of sigma(g); toward 0, or away. */
static uint32_t product_bound(mpfr_srcptr g, mpfr_srcptr product,
                              moe_format_t format, mpfr_prec_t bits, bool above)
{
    mpfr_rnd_t inner = above ? MPFR_RNDD : MPFR_RNDU;
    mpfr_t bound;
    double odd;

    mpfr_init2(bound, bits);
    mpfr_neg(bound, g, inner);
    mpfr_exp(bound, bound, inner);
    mpfr_add_ui(bound, bound, 1, inner);
    mpfr_ui_div(bound, 1, bound, above ? MPFR_RNDU : MPFR_RNDD);
    mpfr_mul(bound, bound, product, above ? MPFR_RNDA : MPFR_RNDZ);
    odd = moe_exact_odd(bound);
    mpfr_clear(bound);
    return moe_round_result(odd, format);
}

uint32_t moe_exact_swiglu_sums(const moe_sum_t *g, const moe_sum_t *u,
                               moe_format_t format)
{
    mpfr_prec_t bits = FIRST_BITS;
    mpfr_t gate;
    mpfr_t product;
    uint32_t low = 0;
    uint32_t high = 0;

    mpfr_inits2(SPAN_BITS, gate, product, (mpfr_ptr)0);
    set_product(gate, product, g, u);
    if (!mpfr_zero_p(product) && mpfr_cmp_d(gate, NO_EXP) > 0) {
        double p = moe_exact_odd(product); /* sigma is 1, a little less */

        low = moe_round_result(
            mpfr_cmp_d(product, p) == 0 ? moe_odd_nudge(p, -p) : p, format);
    } else if (!mpfr_zero_p(product)) {
        do {
            low = product_bound(gate, product, format, bits, false);
            high = product_bound(gate, product, format, bits, true);
            bits *= 2;
        } while (low != high);
    }
    mpfr_clears(gate, product, (mpfr_ptr)0);
    return low;
}
