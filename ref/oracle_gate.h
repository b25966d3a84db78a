/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The oracle's activations: each from its formula in moe/activation.def, with
 * libm, trusted to 2^-40, else with MPFR and enough digits for every format.
 */
#ifndef REF_ORACLE_GATE_H
#define REF_ORACLE_GATE_H

#include "moe/model.h"
#include "ref/oracle_numbers.h"

#include <float.h>

/** S(g) of value = p S(g). */
static inline double oracle_gate_share(moe_activation_t activation, double g)
{
    const double cubic = 2.0 * sqrt(2.0 / acos(-1.0));

    switch (activation) {
    case MOE_ACTIVATION_swiglu_oai:
        return 1.0 / (1.0 + exp(-(double)1.702f * g));
    case MOE_ACTIVATION_gelu:
        return erfc(-g / sqrt(2.0)) / 2.0;
    case MOE_ACTIVATION_gelu_tanh:
        return 1.0 / (1.0 + exp(-cubic * (g + 0.044715 * g * g * g)));
    case MOE_ACTIVATION_relu_glu:
        return g > 0.0 ? 1.0 : 0.0;
    default:
        return 1.0 / (1.0 + exp(-g));
    }
}

/* The same from below. */
static inline void oracle_gate_mpfr(moe_activation_t activation, double g,
                                    mpfr_t s)
{
    mpfr_t t;

    mpfr_init2(t, ORACLE_BITS);
    mpfr_set_d(s, -g, MPFR_RNDU);
    if (activation == MOE_ACTIVATION_gelu) {
        mpfr_sqrt_ui(t, 2, MPFR_RNDN);
        mpfr_div(s, s, t, MPFR_RNDU);
        mpfr_erfc(s, s, MPFR_RNDD);
        mpfr_div_ui(s, s, 2, MPFR_RNDD);
        mpfr_clear(t);
        return;
    }
    if (activation == MOE_ACTIVATION_swiglu_oai) {
        mpfr_mul_d(s, s, (double)1.702f, MPFR_RNDU);
    } else if (activation == MOE_ACTIVATION_gelu_tanh) {
        mpfr_mul(t, s, s, MPFR_RNDN);
        mpfr_mul(t, t, s, MPFR_RNDN);
        mpfr_mul_ui(t, t, 44715, MPFR_RNDN);
        mpfr_div_ui(t, t, 1000000, MPFR_RNDN);
        mpfr_add(s, s, t, MPFR_RNDU);
        mpfr_const_pi(t, MPFR_RNDN);
        mpfr_ui_div(t, 8, t, MPFR_RNDN);
        mpfr_sqrt(t, t, MPFR_RNDN);
        mpfr_mul(s, s, t, MPFR_RNDU);
    }
    mpfr_exp(s, s, MPFR_RNDU);
    mpfr_add_ui(s, s, 1, MPFR_RNDU);
    mpfr_ui_div(s, 1, s, MPFR_RNDD);
    mpfr_clear(t);
}

/* The function of g and u, rounded to a format; sum is room to work. */
static inline double oracle_gate(moe_activation_t activation, mpfr_t sum,
                                 double g, double u, moe_format_t format)
{
    const bool oai = activation == MOE_ACTIVATION_swiglu_oai;
    double v, low;
    mpfr_t s;

    if (oai) {
        g = g > 7.0 ? 7.0 : g;
        u = u > 7.0 ? 7.0 : u < -7.0 ? -7.0 : u;
    }
    v = (g < -DBL_MAX ? 0.0 : g) * (oai ? u + 1.0 : u); /* the limit */
    if (activation == MOE_ACTIVATION_relu_glu && !isnan(v)) {
        return oracle_rounded(format, g > 0.0 ? v : 0.0 * u) + 0.0;
    }
    if (!isfinite(v) || !(fabs(v) > 0.0)) {
        return oracle_rounded(format, v) + 0.0;
    }
    v *= oracle_gate_share(activation, g);
    low = oracle_rounded(format, v * (1.0 - 0x1p-40));
    if (!(fabs(low) < fabs(oracle_rounded(format, v * (1.0 + 0x1p-40))))) {
        return low + 0.0;
    }
    mpfr_init2(s, ORACLE_BITS);
    oracle_gate_mpfr(activation, g, s);
    mpfr_set_d(sum, u, MPFR_RNDN);
    mpfr_add_ui(sum, sum, oai ? 1 : 0, MPFR_RNDN); /* exact: 278 digits */
    mpfr_mul_d(sum, sum, g, MPFR_RNDN);
    mpfr_mul(sum, sum, s, MPFR_RNDZ);
    mpfr_clear(s);
    v = mpfr_get_d(sum, MPFR_RNDZ);
    return oracle_rounded(format, oracle_odd(v)) + 0.0;
}

#endif
