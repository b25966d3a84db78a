/* SPDX-License-Identifier: Apache-2.0 */
/*
 * g u is exact in float64 (at most 48 bits). With u = 2^-53, exp known to
 * 4 u (ref/exp.h), 1 + e adds u, the division u, widening the interval u: 7 u
 * relative; the interval takes ERROR = 16 u. Where its ends round to two
 * codes, MPFR decides. Three ranges need no exp at all, and MPFR would need
 * thousands of bits there:
 *   |g| < 2^-60  sigma(g) is 1/2, a little more if g > 0, less if g < 0
 *   g > 45       sigma(g) is 1 less up to 2^-64
 *   g < -MOE_EXP_LIMIT    |g u sigma(g)| < 2^-700 rounds to 0
 * In the first two g u / 2 and g u have at most 48 bits, so that rounding
 * them to odd with the sign of the difference is right.
 */
#include "ref/activation.h"

#include "ref/exact.h"
#include "ref/exp.h"
#include "base/hot.h"
#include "ref/odd.h"

#include <math.h>

#define ERROR      0x1p-49
#define SMALL_GATE 0x1p-60
#define LARGE_GATE 45.0

enum {
    CHUNK = 256
};

/* The interval of g u sigma(g) for finite g, u. */
MOE_HOT static void bracket(const double *restrict g, const double *restrict u,
                            int64_t n, double *restrict low,
                            double *restrict high)
{
    for (int64_t i = 0; i < n; i++) {
        double x = -g[i];
        double clamped = x > MOE_EXP_LIMIT    ? MOE_EXP_LIMIT
                         : x < -MOE_EXP_LIMIT ? -MOE_EXP_LIMIT
                                              : x;
        double v = g[i] * u[i] / (1.0 + moe_exp(clamped));

        low[i] = v * (1.0 - ERROR);
        high[i] = v * (1.0 + ERROR);
    }
}

/* The limit of g sigma(g) u where g or u is not finite. */
static double limit_value(double g, double u)
{
    double silu = isinf(g) && g < 0.0 ? 0.0 : g;

    return silu * u;
}

/* One element that the interval leaves open, or that has none. */
static uint32_t redo(double g, double u, moe_format_t format,
                     moe_ref_stats_t *stats)
{
    double p = g * u;

    if (!isfinite(p)) {
        return moe_round_result(limit_value(g, u), format);
    }
    if (g > LARGE_GATE) {
        return moe_round_result(moe_odd_nudge(p, -p), format);
    }
    if (fabs(g) < SMALL_GATE) {
        return moe_round_result(moe_odd_nudge(p / 2.0, p * g), format);
    }
    stats->redone_exact++;
    return moe_exact_swiglu(g, u, format);
}

static void put_code(const moe_rows_t *rows, int64_t at, uint32_t code)
{
    if (rows->storage.format == MOE_FORMAT_fp32) {
        ((uint32_t *)rows->codes)[at] = code;
    } else {
        ((uint16_t *)rows->codes)[at] = (uint16_t)code;
    }
}

static void swiglu_chunk(const moe_rows_t *x, const moe_rows_t *out,
                         int64_t row, int64_t col, int64_t n,
                         moe_ref_stats_t *stats)
{
    const moe_format_t format = out->storage.format;
    double g[CHUNK];
    double u[CHUNK];
    double low[CHUNK];
    double high[CHUNK];

    moe_rows_values(x, row, col, n, g);
    moe_rows_values(x, row, out->cols + col, n, u);
    bracket(g, u, n, low, high);
    for (int64_t i = 0; i < n; i++) {
        uint32_t code = moe_round_result(low[i], format);

        if (code != moe_round_result(high[i], format) || !isfinite(low[i])) {
            code = redo(g[i], u[i], format, stats);
        }
        put_code(out, row * out->cols + col + i, code);
    }
}

moe_status_t moe_ref_swiglu(const moe_rows_t *x, const moe_rows_t *out,
                            moe_ref_stats_t *stats)
{
    if (!moe_format_is_float(x->storage.format) ||
        !moe_format_is_float(out->storage.format)) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "activation of %s to %s",
                        moe_format_name(x->storage.format),
                        moe_format_name(out->storage.format));
    }
    if (x->rows != out->rows || x->cols != 2 * out->cols) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "activation of %lld x %lld to %lld x %lld",
                        (long long)x->rows, (long long)x->cols,
                        (long long)out->rows, (long long)out->cols);
    }
    for (int64_t i = 0; i < x->rows; i++) {
        for (int64_t c = 0; c < out->cols; c += CHUNK) {
            int64_t n = out->cols - c < CHUNK ? out->cols - c : CHUNK;

            swiglu_chunk(x, out, i, c, n, stats);
        }
    }
    stats->elements += out->rows * out->cols;
    return MOE_OK;
}
