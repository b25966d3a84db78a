/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All are p S with p = g u, exact in float64 (at most 48 bits), and S between
 * 0 and 1: sigma(a), a = g, 1.702 g or the cubic of gelu_tanh, or Phi(g).
 * swiglu_oai has p = g (u + 1), which is rounded twice. With u = 2^-53:
 *   sigma  exp is known to 4 u (ref/exp.h), 1 + e adds u, the division u,
 *          widening the interval u, the two roundings of p 2 u: 9 u relative;
 *          ERROR = 16 u
 *   cubic  a is known to 5 u relative; where |a| <= 700 that is 3500 u in
 *          exp's argument: CUBIC_ERROR = 2^-40
 *   Phi    erfc of glibc errs by at most 5 ulp (its manual); its argument,
 *          rounded twice, is worth 2 x^2 times that, with x^2 <= 676 as far as
 *          erfc is a normal number: CUBIC_ERROR too. Below that the result is
 *          less than 2^-700 and rounds to 0.
 * Where the ends of the interval round to two codes, MPFR decides. Three
 * ranges need no function at all, and MPFR would need thousands of bits there:
 *   |g| < 2^-60  S is 1/2, a little more if g > 0, less if g < 0
 *   a > 45       S is 1 less up to 2^-64
 *   a < -700     |p S| < 2^-700 rounds to 0
 * In the first two p / 2 and p have at most 48 bits, so that rounding them to
 * odd with the sign of the difference is right. swiglu_oai has g <= 7, and its
 * p more bits: MPFR does the first range too.
 */
#include "ref/activation.h"

#include "base/hot.h"
#include "ref/exact.h"
#include "ref/exact_gate.h"
#include "ref/exp.h"
#include "ref/odd.h"

#include <math.h>

#define ERROR       0x1p-49
#define CUBIC_ERROR 0x1p-40
#define SMALL_GATE  0x1p-60
#define LARGE_GATE  45.0
/* 2 sqrt(2/pi), and that times 0.044715 */
#define CUBIC_FIRST 1.5957691216057308
#define CUBIC_THIRD 0.07135481627260025

enum {
    CHUNK = 256
};

/* A piece of a row on its way. */
typedef struct {
    double g[CHUNK];
    double u[CHUNK]; /* swiglu_oai: u + 1 */
    double a[CHUNK]; /* argument of sigma */
    double low[CHUNK];
    double high[CHUNK];
} chunk_t;

/* The interval of g u sigma(a). */
MOE_HOT static void bracket(const double *restrict g, const double *restrict u,
                            const double *restrict a, double error, int64_t n,
                            double *restrict low, double *restrict high)
{
    for (int64_t i = 0; i < n; i++) {
        double x = -a[i];
        double clamped = x > MOE_EXP_LIMIT    ? MOE_EXP_LIMIT
                         : x < -MOE_EXP_LIMIT ? -MOE_EXP_LIMIT
                                              : x;
        double v = g[i] * u[i] / (1.0 + moe_exp(clamped));

        low[i] = v * (1.0 - error);
        high[i] = v * (1.0 + error);
    }
}

static void bracket_phi(chunk_t *c, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double phi = 0.5 * erfc(-c->g[i] * 0.70710678118654752);
        double v = c->g[i] * c->u[i] * phi;

        c->low[i] = v * (1.0 - CUBIC_ERROR);
        c->high[i] = v * (1.0 + CUBIC_ERROR);
    }
}

/* NaN stays. */
static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void bracket_chunk(moe_activation_t activation, chunk_t *c, int64_t n)
{
    double error = ERROR;

    if (activation == MOE_ACTIVATION_gelu) {
        bracket_phi(c, n);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        double g = c->g[i];

        if (activation == MOE_ACTIVATION_swiglu_oai) {
            c->g[i] = clamp(g, -HUGE_VAL, MOE_OAI_LIMIT);
            c->u[i] = clamp(c->u[i], -MOE_OAI_LIMIT, MOE_OAI_LIMIT) + 1.0;
            c->a[i] = c->g[i] * MOE_OAI_ALPHA;
        } else if (activation == MOE_ACTIVATION_gelu_tanh) {
            c->a[i] = g * (CUBIC_FIRST + CUBIC_THIRD * g * g);
            error = CUBIC_ERROR;
        } else {
            c->a[i] = g;
        }
    }
    bracket(c->g, c->u, c->a, error, n, c->low, c->high);
}

/* The limit of g S(g) u where g or u is not finite. */
static double limit_value(double g, double u)
{
    double silu = isinf(g) && g < 0.0 ? 0.0 : g;

    return silu * u;
}

/* One element that the interval leaves open, or that has none. u is what x
 * holds. */
static uint32_t redo(moe_activation_t activation, const chunk_t *c, int64_t i,
                     double u, moe_format_t format, moe_ref_stats_t *stats)
{
    const bool oai = activation == MOE_ACTIVATION_swiglu_oai;
    const double g = c->g[i];
    const double a = activation == MOE_ACTIVATION_gelu ? g : c->a[i];
    const double p = g * c->u[i];

    if (!isfinite(g) || !isfinite(c->u[i]) || !(fabs(p) > 0.0)) {
        return moe_round_result(limit_value(g, c->u[i]), format);
    }
    if (a < -MOE_EXP_LIMIT) {
        return 0;
    }
    if (a > LARGE_GATE && !oai) {
        return moe_round_result(moe_odd_nudge(p, -p), format);
    }
    if (fabs(g) < SMALL_GATE && !oai) {
        return moe_round_result(moe_odd_nudge(p / 2.0, p * g), format);
    }
    stats->redone_exact++;
    return moe_exact_gate(activation, g,
                          oai ? clamp(u, -MOE_OAI_LIMIT, MOE_OAI_LIMIT) : u,
                          format);
}

static void read_chunk(moe_ref_gate_t gate, const moe_rows_t *x, int64_t row,
                       int64_t col, int64_t n, bool both, chunk_t *c)
{
    double pair[2 * CHUNK];
    const int64_t width = both ? x->cols / 2 : x->cols;

    if (both && gate.gate_up == MOE_GATE_UP_interleaved) {
        moe_rows_values(x, row, 2 * col, 2 * n, pair);
        for (int64_t i = 0; i < n; i++) {
            c->g[i] = pair[2 * i];
            c->u[i] = pair[2 * i + 1];
        }
        return;
    }
    moe_rows_values(x, row, col, n, c->g);
    if (both) {
        moe_rows_values(x, row, width + col, n, c->u);
    }
    for (int64_t i = 0; !both && i < n; i++) {
        c->u[i] = 1.0;
    }
}

static uint32_t relu_glu(double g, double u, moe_format_t format)
{
    return moe_round_result((g < 0.0 ? 0.0 : g) * u, format);
}

/* Unrounded g and u: their float64 are off by 2^-52, which moves g sigma(g)
 * by (1 + |g|) of that; the interval takes four times as much. MPFR decides
 * from the whole numbers. */
static void unrounded_chunk(const moe_rows_t *x, const moe_rows_t *out,
                            int64_t row, int64_t col, int64_t n,
                            moe_ref_stats_t *stats)
{
    const moe_format_t format = out->storage.format;
    const moe_sum_t *gate = moe_rows_sums(x, row, col);
    const moe_sum_t *up = moe_rows_sums(x, row, out->cols + col);
    uint8_t *codes = moe_rows_codes(out, row);
    chunk_t c;

    moe_rows_values(x, row, col, n, c.g);
    moe_rows_values(x, row, out->cols + col, n, c.u);
    bracket(c.g, c.u, c.g, ERROR, n, c.low, c.high);
    for (int64_t i = 0; i < n; i++) {
        double wider = 0x1p-50 * (2.0 + fabs(c.g[i]));
        uint32_t code = moe_round_result(c.low[i] * (1.0 - wider), format);

        if (code != moe_round_result(c.high[i] * (1.0 + wider), format)) {
            stats->redone_exact++;
            code = moe_exact_swiglu_sums(&gate[i], &up[i], format);
        }
        moe_float_store(format, codes, col + i, code);
    }
}

static void activate_chunk(moe_ref_gate_t gate, const moe_rows_t *x,
                           const moe_rows_t *out, int64_t row, int64_t col,
                           int64_t n, moe_ref_stats_t *stats)
{
    const moe_format_t format = out->storage.format;
    uint8_t *codes = moe_rows_codes(out, row);
    double up[CHUNK];
    chunk_t c;

    if (x->storage.format == MOE_FORMAT_exact) {
        unrounded_chunk(x, out, row, col, n, stats);
        return;
    }
    read_chunk(gate, x, row, col, n, x->cols != out->cols, &c);
    for (int64_t i = 0; i < n; i++) {
        up[i] = c.u[i];
    }
    if (gate.activation != MOE_ACTIVATION_relu_glu) {
        bracket_chunk(gate.activation, &c, n);
    }
    for (int64_t i = 0; i < n; i++) {
        uint32_t code;

        if (gate.activation == MOE_ACTIVATION_relu_glu) {
            code = relu_glu(c.g[i], up[i], format);
        } else {
            code = moe_round_result(c.low[i], format);
            if (code != moe_round_result(c.high[i], format) ||
                !isfinite(c.low[i])) {
                code = redo(gate.activation, &c, i, up[i], format, stats);
            }
        }
        moe_float_store(format, codes, col + i, code);
    }
}

moe_status_t moe_ref_activate(moe_ref_gate_t gate, const moe_rows_t *x,
                              const moe_rows_t *out, moe_ref_stats_t *stats)
{
    const bool unrounded = x->storage.format == MOE_FORMAT_exact &&
                           gate.activation == MOE_ACTIVATION_swiglu &&
                           gate.gate_up == MOE_GATE_UP_halves;

    if ((!moe_format_is_float(x->storage.format) && !unrounded) ||
        !moe_format_is_float(out->storage.format)) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "activation of %s to %s",
                        moe_format_name(x->storage.format),
                        moe_format_name(out->storage.format));
    }
    if (x->rows != out->rows ||
        (x->cols != 2 * out->cols && x->cols != out->cols)) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "activation of %lld x %lld to %lld x %lld",
                        (long long)x->rows, (long long)x->cols,
                        (long long)out->rows, (long long)out->cols);
    }
    for (int64_t i = 0; i < x->rows; i++) {
        for (int64_t c = 0; c < out->cols; c += CHUNK) {
            int64_t n = out->cols - c < CHUNK ? out->cols - c : CHUNK;

            activate_chunk(gate, x, out, i, c, n, stats);
        }
    }
    stats->elements += out->rows * out->cols;
    return MOE_OK;
}

moe_status_t moe_ref_swiglu(const moe_rows_t *x, const moe_rows_t *out,
                            moe_ref_stats_t *stats)
{
    const moe_ref_gate_t swiglu = {MOE_ACTIVATION_swiglu, MOE_GATE_UP_halves};

    return moe_ref_activate(swiglu, x, out, stats);
}
