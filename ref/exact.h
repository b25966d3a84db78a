/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What float64 could not decide, by MPFR.
 */
#ifndef REF_EXACT_H
#define REF_EXACT_H

#include "moe/format.h"
#include "ref/rows.h"

#include <mpfr.h>
#include <stdint.h>

/** sum of x[i] y[i], or of x[i] if y is NULL, rounded to odd. Products must
 * be exact in float64. NaN and infinities as IEEE sums have them. */
double moe_exact_sum(const double *x, const double *y, int64_t n);

/** (sum of x[i] y[i]) factor + bias, rounded to odd; finite numbers, of which
 * no product need be exact. */
double moe_exact_dot(const double *x, const double *y, int64_t n, double factor,
                     double bias);

/** RN32(1 / (1 + exp(-x))). */
float moe_exact_sigmoid(float x);

/** RN32(sqrt(log(1 + exp(x)))), |x| <= 1000. */
float moe_exact_sqrt_softplus(float x);

/**
 * RN32 of exp(x[i]) / sum of exp(x[j]) over n: finite x, of which one is
 * above x[i] - 1000.
 */
float moe_exact_softmax(const float *x, int64_t n, int64_t i);

/** x rounded to odd (ref/odd.h); exponents beyond float64 clamp to its odd
 * extremes. */
double moe_exact_odd(mpfr_srcptr x);

/** Code of RN(g sigma(g) u) of finite unrounded g and u with err 0. */
uint32_t moe_exact_swiglu_sums(const moe_sum_t *g, const moe_sum_t *u,
                               moe_format_t format);

#endif
