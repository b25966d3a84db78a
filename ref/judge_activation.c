/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a correct kernel's activation may be from the exact one: by what the
 * doubt about its gate and up projection moves, by a relative error, and by
 * what fp32 loses where its formula has no digits left.
 *
 *   sigma  1 / (1 + exp(-a)) is below 2^-126 for a < -87.3, which is flushed,
 *          and exp overflows for a < -88.7: 0 for up to 87.4 x 2^-126
 *   Phi    1 + erf and 1 + tanh cancel for g < 0, to 2^-24 and what erf and
 *          tanh err by; below -6 both are 0
 */
#include "ref/judge_inside.h"

#include "ref/exact_gate.h"

#include <math.h>
#include <stdlib.h>

#define RELATIVE  0x1p-20
#define LIPSCHITZ 1.13 /* of silu, gelu and their like */

#define FLUSHED   (-80.0) /* arguments of sigma from here on */
#define FLUSH     (89.0 * 0x1p-126)
#define CANCELLED (-1.0) /* gates from here on */
#define CANCEL    0x1p-23
#define NOTHING   6.0

/* What fp32 may lose of f(g) u. */
static double lost(moe_activation_t activation, double g, double u)
{
    const double a =
        activation == MOE_ACTIVATION_swiglu_oai ? g * MOE_OAI_ALPHA : g;

    if (!isfinite(u)) {
        return 0.0;
    }
    switch (activation) {
    case MOE_ACTIVATION_swiglu:
    case MOE_ACTIVATION_swiglu_oai:
        return a < FLUSHED ? FLUSH * (fabs(u) + 1.0) : 0.0;
    case MOE_ACTIVATION_gelu:
    case MOE_ACTIVATION_gelu_tanh:
        return g < CANCELLED ? CANCEL * fmin(-g, NOTHING) * fabs(u) : 0.0;
    default:
        return 0.0;
    }
}

/* act = f(g) u, or f(g) (u + 1): |f'| <= 1.13. */
static double moved(double g, double u, double width_g, double width_u)
{
    return LIPSCHITZ * width_g * (fabs(u) + 1.0 + width_u) + fabs(g) * width_u;
}

static void widen_row(const moe_judge_t *judge, const moe_widths_t *from,
                      int64_t row, const double *in, moe_widths_t *widths)
{
    const moe_model_t *m = judge->layer.about.model;
    const bool halves = m->gate_up == MOE_GATE_UP_halves;
    const int64_t n = judge->fine.cols;
    const float *x = (const float *)judge->fine.codes + row * n;

    for (int64_t c = 0; c < n; c++) {
        const int64_t at_g = halves ? c : 2 * c;
        const int64_t at_u = halves ? n + c : 2 * c + 1;
        const double own = RELATIVE * fabs((double)x[c]) +
                           lost(m->activation, in[at_g], in[at_u]);
        double width = own;

        for (int w = 0; w < MOE_WIDTHS; w++) {
            const float *of =
                from->at[w] != NULL ? from->at[w] + row * 2 * n : NULL;

            width = own;
            if (of != NULL && (of[at_g] > 0.0f || of[at_u] > 0.0f)) {
                width += moved(in[at_g], in[at_u], (double)of[at_g],
                               (double)of[at_u]);
            }
            widths->at[w][row * n + c] = (float)width;
        }
        /* of the last, the likely one */
        widths->energy[row] += (double)(float)width * (double)(float)width;
    }
}

moe_status_t moe_judge_widen_activation(const moe_judge_t *judge,
                                        const moe_widths_t *from,
                                        moe_widths_t *widths)
{
    const moe_rows_t *in = &judge->layer.at[MOE_ROLE_gemm1_out];
    double *values = malloc((size_t)in->cols * sizeof(*values) + 1);

    if (values == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a row of gates");
    }
    for (int64_t i = 0; i < judge->fine.rows; i++) {
        moe_rows_values(in, i, 0, in->cols, values);
        widen_row(judge, from, i, values, widths);
    }
    free(values);
    return MOE_OK;
}
