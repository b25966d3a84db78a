/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Dot products of float64 rows whose products are exact: what float64 says,
 * how far that may be off, and what two-sums say.
 */
#ifndef REF_DOT_H
#define REF_DOT_H

#include "ref/combine.h"

#include <stdbool.h>
#include <stdint.h>

/** n u / (1 - n u), u = 2^-53, rounded upwards. */
double moe_dot_gamma(int64_t n);

/**
 * What bounds need to know of a row of n numbers.
 * @param[out] norm_p   Euclidean norm, from above; not finite if an element
 *                      is not.
 * @param[out] least_p  Least magnitude but 0; infinity if all are 0.
 */
void moe_dot_facts(const double *x, int64_t n, double *norm_p, double *least_p);

/** The same from bf16 codes, without their values. The norm is from above by
 * n 2^-29 at most, more than that of moe_dot_facts().
 * @return false if an element but 0 is not within 2^-40 to 2^40 in magnitude,
 *         or there are too many. */
bool moe_dot_facts_bf16(const uint16_t *x, int64_t n, double *norm_p,
                        double *least_p);

#define MOE_DOT_LANES 32

/** A dot product by two-sums, begun as {0}. */
typedef struct {
    double hi[MOE_DOT_LANES];
    double lo[MOE_DOT_LANES];
    moe_sum_t rest; /* of ends that fill no lanes */
    int64_t terms;  /* of a lane */
} moe_dot_t;

/** Add n products of finite numbers. */
void moe_dot_add(const double *x, const double *w, int64_t n, moe_dot_t *dot);

/**
 * The sum, as near as two-sums know it.
 *
 * With m terms a lane: a lane's hi and the errors e_j are exact together;
 * sum|e_j| <= gamma_m sum|p|, and adding them up loses at most gamma_m of that
 * (Ogita, Rump, Oishi: Accurate sum and dot product, SIAM J. Sci. Comput.
 * 26(6), 2005). So all lanes together lie within gamma_m^2 |x| |w| of the
 * truth. The truth is a multiple of a unit, the product of the rows' units:
 * where less than a unit is open, the nearest multiple is the exact sum. So
 * ties, which really happen on a grid, are settled.
 *
 * @param[in] norms  |x| |w|, from above.
 * @param[in] unit   A power of two; all x[i] w[i] are multiples.
 */
moe_sum_t moe_dot_sum(const moe_dot_t *dot, double norms, double unit);

/** The same of two rows at once. */
moe_sum_t moe_dot_two_sum(const double *x, const double *w, int64_t n,
                          double norms, double unit);

#endif
