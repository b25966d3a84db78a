/* SPDX-License-Identifier: Apache-2.0 */
/* LogFMT-10 of the oracle, from doc/formats.md: every named step is MPFR's,
 * rounded to the 24 digits of fp32. */
#include "ref/oracle_logfmt.h"

#include <float.h>
#include <math.h>
#include <mpfr.h>

enum {
    GROUP = 128,
    DIGITS = 24
};

typedef int unary_t(mpfr_t, const mpfr_t, mpfr_rnd_t);

static double rounded_unary(unary_t *f, double x)
{
    double y;
    mpfr_t a;

    mpfr_init2(a, DIGITS);
    mpfr_set_d(a, x, MPFR_RNDN);
    (void)f(a, a, MPFR_RNDN);
    y = mpfr_get_d(a, MPFR_RNDN);
    mpfr_clear(a);
    return y;
}

/* Subnormal numbers count as 0, as on GPUs. */
static double log2_of(double x)
{
    return x < (double)FLT_MIN ? -HUGE_VAL : rounded_unary(mpfr_log2, x);
}

static double exp2_of(double x)
{
    const double y = rounded_unary(mpfr_exp2, x);

    return y < (double)FLT_MIN ? 0.0 : y;
}

/* RN(a b + c). */
static double fused(double a, double b, double c)
{
    mpfr_t x, y, z;
    double sum;

    mpfr_inits2(DIGITS, x, y, z, (mpfr_ptr)NULL);
    mpfr_set_d(x, a, MPFR_RNDN);
    mpfr_set_d(y, b, MPFR_RNDN);
    mpfr_set_d(z, c, MPFR_RNDN);
    (void)mpfr_fma(x, x, y, z, MPFR_RNDN);
    sum = mpfr_get_d(x, MPFR_RNDN);
    mpfr_clears(x, y, z, (mpfr_ptr)NULL);
    return sum;
}

/* Logarithms of a group, and what turns that of an element into its code. */
typedef struct {
    double low;
    double step; /* 0: one magnitude, code 1 */
    double inverse;
    double shift;
} group_t;

static group_t group_of(const double *x)
{
    double most = 0.0;
    double least = HUGE_VAL; /* if all are NaN */
    group_t g = {0};
    double high, middle;

    for (int i = 0; i < GROUP; i++) {
        most = fabs(x[i]) > most ? fabs(x[i]) : most;
        least = fabs(x[i]) < least ? fabs(x[i]) : least;
    }
    high = log2_of(most);
    g.low = fmax(log2_of(least), (double)(float)(high - 32.0));
    if (g.low < high) {
        g.step = (double)((float)(high - g.low) / 510.0f);
        g.inverse = (double)(1.0f / (float)g.step);
        middle = log2_of((double)(1.0f + (float)exp2_of(g.step)) / 2.0);
        g.shift = fused(-g.low, g.inverse, fused(-middle, g.inverse, 2.0));
    }
    return g;
}

static double value_of(const group_t *g, double x)
{
    double code = 1.0;

    if (!(fabs(x) >= (double)FLT_MIN)) {
        return 0.0;
    }
    if (g->step > 0.0) {
        code = floor(fused(log2_of(fabs(x)), g->inverse, g->shift));
    }
    return code < 1.0
               ? 0.0
               : copysign(exp2_of(fused(code - 1.0, g->step, g->low)), x);
}

void oracle_logfmt(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += GROUP) {
        const group_t g = group_of(x + i);

        for (int j = 0; j < GROUP; j++) {
            x[i + j] = value_of(&g, x[i + j]);
        }
    }
}
