/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/dot.h"

#include "base/hot.h"
#include "ref/formats.h"

#include <math.h>
#include <string.h>

enum {
    LANES = MOE_DOT_LANES /* GCC 12 takes loops of 16 apart before it vectorises
                             them */
};

double moe_dot_gamma(int64_t n)
{
    double nu = (double)n * 0x1p-53;

    return nu / (1.0 - nu) * (1.0 + 0x1p-48);
}

/* Sum of squares, and least magnitude but 0 (infinity if all are 0). */
MOE_HOT static void row_facts(const double *restrict x, int64_t n,
                              double *restrict square, double *restrict least)
{
    double sum[LANES] = {0.0};
    double low[LANES];
    int64_t i = 0;

    for (int j = 0; j < LANES; j++) {
        low[j] = HUGE_VAL;
    }
    for (; i + LANES <= n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            double a = fabs(x[i + j]);
            double b = a > 0.0 ? a : HUGE_VAL;

            sum[j] += a * a;
            low[j] = b < low[j] ? b : low[j];
        }
    }
    for (; i < n; i++) {
        double a = fabs(x[i]);

        sum[0] += a * a;
        low[0] = a > 0.0 && a < low[0] ? a : low[0];
    }
    for (int j = 1; j < LANES; j++) {
        sum[0] += sum[j];
        low[0] = low[j] < low[0] ? low[j] : low[0];
    }
    *square = sum[0];
    *least = low[0];
}

void moe_dot_facts(const double *x, int64_t n, double *norm_p, double *least_p)
{
    double square;

    row_facts(x, n, &square, least_p);
    /* n + 2 roundings of u each, and the square root's */
    *norm_p = sqrt(square) * (1.0 + moe_dot_gamma(n + 8));
}

/* Sums of squares in fp32, lane by lane. */
MOE_HOT static void squares_bf16(const uint16_t *restrict x, int64_t n,
                                 float *restrict sum)
{
    for (int64_t i = 0; i < n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            const float a = moe_f32_of_bits((uint32_t)x[i + j] << 16);

            sum[j] += a * a;
        }
    }
}

/* Codes of the least magnitude but 0, less 1, and of the largest. */
MOE_HOT static void range_bf16(const uint16_t *restrict x, int64_t n,
                               uint16_t *restrict low, uint16_t *restrict high)
{
    for (int64_t i = 0; i < n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            const uint16_t size = x[i + j] & 0x7fff;
            const uint16_t less = (uint16_t)(size - 1);

            low[j] = less < low[j] ? less : low[j];
            high[j] = size > high[j] ? size : high[j];
        }
    }
}

/* Squares of magnitudes in the range are exact in fp32, so a lane loses what
 * its additions do: less than n / 32 + 1 times 2^-24 of it, each. */
bool moe_dot_facts_bf16(const uint16_t *x, int64_t n, double *norm_p,
                        double *least_p)
{
    const int64_t whole = n / LANES * LANES;
    const double loss = (double)(n / LANES + 2) * 0x1p-24;
    float sum[LANES] = {0.0f};
    uint16_t low[LANES];
    uint16_t high[LANES] = {0};
    uint16_t rest[LANES] = {0};
    double square = 0.0;

    memset(low, 0xff, sizeof(low));
    squares_bf16(x, whole, sum);
    range_bf16(x, whole, low, high);
    if (whole < n) {
        memcpy(rest, x + whole, (size_t)(n - whole) * sizeof(*rest));
        squares_bf16(rest, LANES, sum);
        range_bf16(rest, LANES, low, high);
    }
    for (int j = 0; j < LANES; j++) {
        square += (double)sum[j];
        low[0] = low[j] < low[0] ? low[j] : low[0];
        high[0] = high[j] > high[0] ? high[j] : high[0];
    }
    *least_p = low[0] == UINT16_MAX
                   ? HUGE_VAL
                   : (double)moe_bf16_to_f32((uint16_t)(low[0] + 1));
    *norm_p = sqrt(square) * (1.0 + loss);
    return loss < 0x1p-8 && moe_bf16_to_f32(high[0]) <= 0x1p40f &&
           *least_p >= 0x1p-40;
}

MOE_HOT static void dot_lanes(const double *restrict x,
                              const double *restrict w, int64_t n,
                              double *restrict hi, double *restrict lo)
{
    for (int64_t i = 0; i < n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            double p = x[i + j] * w[i + j];
            double s = hi[j] + p;
            double z = s - hi[j];

            lo[j] += (hi[j] - (s - z)) + (p - z);
            hi[j] = s;
        }
    }
}

/* The multiple of unit nearest to sum, if it must be the truth. */
static void snap(moe_sum_t *sum, double unit)
{
    moe_sum_t at = {0.0, 0.0, 0.0};
    moe_sum_t rest = *sum;
    double part[2];

    for (int i = 0; i < 2; i++) { /* the second: what the first left */
        part[i] = rest.hi;
        if (fabs(rest.hi) < unit * 0x1p52) {
            part[i] = rint(rest.hi / unit) * unit;
        }
        moe_sum_add_value(&at, part[i]);
        moe_sum_add_value(&rest, -part[i]);
    }
    if (fabs(rest.hi) + fabs(rest.lo) + rest.err < unit * 0.99 &&
        !(at.err > 0.0)) {
        *sum = at;
    }
}

void moe_dot_add(const double *x, const double *w, int64_t n, moe_dot_t *dot)
{
    const int64_t whole = n / LANES * LANES;

    dot_lanes(x, w, whole, dot->hi, dot->lo);
    for (int64_t i = whole; i < n; i++) {
        moe_sum_add_value(&dot->rest, x[i] * w[i]);
    }
    dot->terms += whole / LANES;
}

moe_sum_t moe_dot_sum(const moe_dot_t *dot, double norms, double unit)
{
    const double gamma = moe_dot_gamma(dot->terms + 1);
    moe_sum_t sum = dot->rest;

    for (int j = 0; j < LANES; j++) {
        moe_sum_add_value(&sum, dot->hi[j]);
        moe_sum_add_value(&sum, dot->lo[j]);
    }
    sum.err += gamma * gamma * norms;
    sum.err *= 1.0 + 0x1p-48;
    snap(&sum, unit);
    return sum;
}

moe_sum_t moe_dot_two_sum(const double *x, const double *w, int64_t n,
                          double norms, double unit)
{
    moe_dot_t dot = {.terms = 0};

    moe_dot_add(x, w, n, &dot);
    return moe_dot_sum(&dot, norms, unit);
}
