/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float64 with proven bounds; MPFR where an interval holds a boundary.
 * u = 2^-53; exp is known to 4 u (ref/exp.h).
 *
 * sigmoid: 1 + e adds u, the division u, widening the interval u: 7 u
 * relative, below SIGMOID_ERROR = 16 u. Clamping at 700 is innocent: the
 * results there are 2^-1010 and 1 - 2^-1010, far from any boundary.
 *
 * softmax: the difference to the largest logit may be rounded, by 2^-44
 * where it is above -700: at most 2^-43 in the quotient; exp adds 8 u, the
 * sum (n - 1) u, the division and widening 2 u: below 2^-43 + (n + 16) u.
 *
 * sqrt_softplus: exp adds 4 u, which log1p does not magnify (y / ((1 + y)
 * log(1 + y)) <= 1), log1p itself 2 u (glibc's manual: 2 ulp on x86_64 and
 * aarch64), and the square root halves them and adds u; below 8
 * u. SOFTPLUS_ERROR = 2^-45 leaves room for other C libraries. Beyond 40 the
 * logarithm is the logit but for 2^-62, and the root of a fp32 number is that
 * number's own, or 2^-51 from the middle of two: RN32 of it is right.
 */
#include "ref/score.h"

#include "ref/exact.h"
#include "ref/exp.h"
#include "base/hot.h"

#include <math.h>

#define SIGMOID_ERROR  0x1p-49
#define SOFTPLUS_ERROR 0x1p-45
#define SOFTPLUS_LARGE 40.0

enum {
    CHUNK = 256
};

/* Returns how many are undecided; those are NaN in score. */
MOE_HOT static int64_t sigmoid_chunk(const float *restrict logit, int64_t n,
                                     float *restrict score)
{
    int64_t undecided = 0;

    for (int64_t i = 0; i < n; i++) {
        double x = -(double)logit[i];
        double clamped = x > MOE_EXP_LIMIT    ? MOE_EXP_LIMIT
                         : x < -MOE_EXP_LIMIT ? -MOE_EXP_LIMIT
                                              : x;
        double v = 1.0 / (1.0 + moe_exp(clamped));
        float low = (float)(v * (1.0 - SIGMOID_ERROR));
        float high = (float)(v * (1.0 + SIGMOID_ERROR));

        score[i] = low == high ? low : NAN;
        undecided += low == high ? 0 : 1;
    }
    return undecided;
}

static void sigmoid_row(const float *logit, int64_t n, float *score,
                        moe_ref_stats_t *stats)
{
    if (sigmoid_chunk(logit, n, score) == 0) {
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (isnan(score[i])) {
            score[i] = moe_exact_sigmoid(logit[i]);
            stats->redone_exact++;
        }
    }
}

/* e[i] = exp(logit[i] - largest), at least exp(-700). */
MOE_HOT static void exp_chunk(const float *restrict logit, double largest,
                              int64_t n, double *restrict e)
{
    for (int64_t i = 0; i < n; i++) {
        double x = (double)logit[i] - largest;

        e[i] = moe_exp(x > -MOE_EXP_LIMIT ? x : -MOE_EXP_LIMIT);
    }
}

static double exp_sum(const float *logit, double largest, int64_t n)
{
    double e[CHUNK];
    double sum = 0.0;

    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;

        exp_chunk(logit + i, largest, m, e);
        for (int64_t j = 0; j < m; j++) {
            sum += e[j];
        }
    }
    return sum;
}

/* Softmax where the largest logit is infinite. */
static void share_infinity(const float *logit, float largest, int64_t n,
                           float *score)
{
    int64_t sharers = 0;

    for (int64_t i = 0; i < n; i++) {
        sharers += logit[i] == largest ? 1 : 0;
    }
    for (int64_t i = 0; i < n; i++) {
        score[i] = logit[i] == largest ? (float)(1.0 / (double)sharers) : 0.0f;
    }
}

static void softmax_finite(const float *logit, float largest, int64_t n,
                           float *score, moe_ref_stats_t *stats)
{
    const double bound = 0x1p-43 + (double)(n + 16) * 0x1p-53;
    const double sum = exp_sum(logit, (double)largest, n);
    double e[CHUNK];

    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t m = n - i < CHUNK ? n - i : CHUNK;

        exp_chunk(logit + i, (double)largest, m, e);
        for (int64_t j = 0; j < m; j++) {
            double v = e[j] / sum;
            float low = (float)(v * (1.0 - bound));

            if (low < (float)(v * (1.0 + bound))) {
                low = moe_exact_softmax(logit, n, i + j);
                stats->redone_exact++;
            }
            score[i + j] = low;
        }
    }
}

static float sqrt_softplus(float logit, moe_ref_stats_t *stats)
{
    double x = (double)logit;
    double v;
    float low;

    if (isinf(logit)) {
        return logit > 0.0f ? logit : 0.0f;
    }
    if (x > SOFTPLUS_LARGE) {
        return sqrtf(logit);
    }
    x = x > -MOE_EXP_LIMIT ? x : -MOE_EXP_LIMIT; /* the score is 0 there */
    v = sqrt(log1p(moe_exp(x)));
    low = (float)(v * (1.0 - SOFTPLUS_ERROR));
    if (low < (float)(v * (1.0 + SOFTPLUS_ERROR))) {
        stats->redone_exact++;
        low = moe_exact_sqrt_softplus(logit);
    }
    return low;
}

void moe_score_row(moe_score_t kind, const float *logit, int64_t n,
                   float *score, moe_ref_stats_t *stats)
{
    float largest = -INFINITY;

    stats->elements += n;
    if (kind == MOE_SCORE_sigmoid) {
        sigmoid_row(logit, n, score, stats);
        return;
    }
    if (kind == MOE_SCORE_sqrt_softplus) {
        for (int64_t i = 0; i < n; i++) {
            score[i] = sqrt_softplus(logit[i], stats);
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        largest = logit[i] > largest ? logit[i] : largest;
    }
    if (isinf(largest)) {
        share_infinity(logit, largest, n, score);
    } else {
        softmax_finite(logit, largest, n, score, stats);
    }
}
