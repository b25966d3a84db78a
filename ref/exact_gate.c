/* SPDX-License-Identifier: Apache-2.0 */
/* Ziv's loop, as in ref/exact.c: S from below and above by directed rounding,
 * more precision until both ends round to the same code. */
#include "ref/exact_gate.h"

#include "ref/exact.h"
#include "ref/odd.h"

#include <mpfr.h>
#include <stdbool.h>

enum {
    FIRST_BITS = 96
};

/* bound = sqrt(2), 2 / sqrt(pi) .. : 2 sqrt(2 / pi), rounded one way. */
static void tanh_factor(mpfr_t bound, mpfr_rnd_t way)
{
    mpfr_const_pi(bound, way == MPFR_RNDU ? MPFR_RNDD : MPFR_RNDU);
    mpfr_ui_div(bound, 8, bound, way);
    mpfr_sqrt(bound, bound, way);
}

/* x = the argument of the logistic function, rounded one way:
 * g; alpha g; 2 sqrt(2/pi) (g + 0.044715 g^3). */
static void argument(mpfr_t x, moe_activation_t activation, double g,
                     mpfr_rnd_t way)
{
    const mpfr_rnd_t size =
        (g < 0.0) == (way == MPFR_RNDU) ? MPFR_RNDD : MPFR_RNDU;
    mpfr_t factor;

    if (activation == MOE_ACTIVATION_swiglu) {
        mpfr_set_d(x, g, way);
        return;
    }
    if (activation == MOE_ACTIVATION_swiglu_oai) {
        mpfr_set_d(x, g * MOE_OAI_ALPHA, way); /* exact: 48 digits */
        return;
    }
    mpfr_init2(factor, mpfr_get_prec(x));
    mpfr_set_d(x, g, MPFR_RNDN); /* |g| (1 + 0.044715 g^2), size of it */
    mpfr_sqr(x, x, size);
    mpfr_mul_ui(x, x, 44715, size);
    mpfr_div_ui(x, x, 1000000, size);
    mpfr_add_ui(x, x, 1, size);
    tanh_factor(factor, size);
    mpfr_mul(x, x, factor, size);
    mpfr_mul_d(x, x, g, way);
    mpfr_clear(factor);
}

/* bound of Phi(g) = erfc(-g / sqrt(2)) / 2: rising in g. */
static void phi_bound(mpfr_t bound, double g, mpfr_rnd_t way)
{
    const mpfr_rnd_t inner = way == MPFR_RNDU ? MPFR_RNDD : MPFR_RNDU;
    /* -g / sqrt(2) towards inner; the root's own direction by the sign */
    const mpfr_rnd_t root =
        (-g > 0.0) == (inner == MPFR_RNDU) ? MPFR_RNDD : MPFR_RNDU;

    mpfr_sqrt_ui(bound, 2, root);
    mpfr_d_div(bound, -g, bound, inner);
    mpfr_erfc(bound, bound, way);
    mpfr_div_2ui(bound, bound, 1, way);
}

/* bound = S(g) from below or above. */
static void share_bound(mpfr_t bound, moe_activation_t activation, double g,
                        bool above)
{
    const mpfr_rnd_t way = above ? MPFR_RNDU : MPFR_RNDD;
    const mpfr_rnd_t inner = above ? MPFR_RNDD : MPFR_RNDU;

    if (activation == MOE_ACTIVATION_gelu) {
        phi_bound(bound, g, way);
        return;
    }
    argument(bound, activation, g, way);
    mpfr_neg(bound, bound, inner);
    mpfr_exp(bound, bound, inner);
    mpfr_add_ui(bound, bound, 1, inner);
    mpfr_ui_div(bound, 1, bound, way);
}

/* The code of g u times a bound of S; toward 0, or away. */
static uint32_t gate_bound(moe_activation_t activation, double g, double u,
                           moe_format_t format, mpfr_prec_t bits, bool above)
{
    mpfr_t bound;
    mpfr_t factor;
    uint32_t code;

    mpfr_init2(bound, bits);
    mpfr_init2(factor, 400); /* g (u + 1) is exact: 24 and 278 digits */
    share_bound(bound, activation, g, above);
    mpfr_set_d(factor, u, MPFR_RNDN);
    if (activation == MOE_ACTIVATION_swiglu_oai) {
        mpfr_add_ui(factor, factor, 1, MPFR_RNDN);
    }
    mpfr_mul_d(factor, factor, g, MPFR_RNDN);
    mpfr_mul(bound, bound, factor, above ? MPFR_RNDA : MPFR_RNDZ);
    code = moe_round_result(moe_exact_odd(bound), format);
    mpfr_clears(bound, factor, (mpfr_ptr)0);
    return code;
}

uint32_t moe_exact_gate(moe_activation_t activation, double g, double u,
                        moe_format_t format)
{
    mpfr_prec_t bits = FIRST_BITS;
    uint32_t low;
    uint32_t high;

    do {
        low = gate_bound(activation, g, u, format, bits, false);
        high = gate_bound(activation, g, u, format, bits, true);
        bits *= 2;
    } while (low != high);
    return low;
}
