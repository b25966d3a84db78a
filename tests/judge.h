/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a correctly rounded result is, by MPFR's own means alone: numbers of
 * JUDGE_BITS bits, then one rounding in the exponent range of a format.
 */
#ifndef TESTS_JUDGE_H
#define TESTS_JUDGE_H

#include "ref/formats.h"

#include <mpfr.h>

enum {
    JUDGE_BITS = 700
};

/** Value of x in a format: nearest even, subnormals and infinity as IEEE. */
static inline double judge_round(mpfr_srcptr x, moe_format_t format)
{
    const mpfr_exp_t emin = mpfr_get_emin();
    const mpfr_exp_t emax = mpfr_get_emax();
    mpfr_t y;
    double value;
    int inexact;

    mpfr_init2(y, format == MOE_FORMAT_bf16   ? 8
                  : format == MOE_FORMAT_fp16 ? 11
                                              : 24);
    inexact = mpfr_set(y, x, MPFR_RNDN);
    mpfr_set_emin(format == MOE_FORMAT_bf16   ? -132
                  : format == MOE_FORMAT_fp16 ? -23
                                              : -148);
    mpfr_set_emax(format == MOE_FORMAT_fp16 ? 16 : 128);
    inexact = mpfr_check_range(y, inexact, MPFR_RNDN);
    (void)mpfr_subnormalize(y, inexact, MPFR_RNDN);
    mpfr_set_emin(emin);
    mpfr_set_emax(emax);
    value = mpfr_get_d(y, MPFR_RNDN);
    mpfr_clear(y);
    return value;
}

/** Sum of n float64 numbers, or products, rounded once to a format. */
static inline double judge_sum(const double *x, const double *y, int64_t n,
                               moe_format_t format)
{
    mpfr_t sum;
    mpfr_t term;
    double value;

    mpfr_inits2(JUDGE_BITS, sum, term, (mpfr_ptr)0);
    mpfr_set_zero(sum, 1);
    for (int64_t i = 0; i < n; i++) {
        mpfr_set_d(term, x[i], MPFR_RNDN);
        if (y != NULL) {
            mpfr_mul_d(term, term, y[i], MPFR_RNDN);
        }
        mpfr_add(sum, sum, term, MPFR_RNDN);
    }
    value = judge_round(sum, format);
    mpfr_clears(sum, term, (mpfr_ptr)0);
    return value;
}

/** sigma(x) from below, so close that no format sees it. */
static inline void judge_sigma(mpfr_t sigma, double x)
{
    mpfr_set_d(sigma, -x, MPFR_RNDU);
    mpfr_exp(sigma, sigma, MPFR_RNDU);
    mpfr_add_ui(sigma, sigma, 1, MPFR_RNDU);
    mpfr_ui_div(sigma, 1, sigma, MPFR_RNDD);
}

/** A deterministic generator for tests (xorshift64). */
static inline uint64_t judge_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/** A random number of either sign whose exponent lies in [low, high] and
 * whose significand has `digits` bits. */
static inline double judge_number(uint64_t *state, int digits, int low,
                                  int high)
{
    uint64_t r = judge_random(state);
    uint64_t m = (r >> 11 | (uint64_t)1 << 52) >> (53 - digits);
    int e = low + (int)(judge_random(state) >> 40) % (high - low + 1);
    double x = (double)m;

    for (e -= digits - 1; e > 0; e--) {
        x *= 2.0;
    }
    for (; e < 0; e++) {
        x /= 2.0;
    }
    return (r & 1) != 0 ? -x : x;
}

#endif
