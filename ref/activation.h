/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * SwiGLU, correctly rounded.
 */
#ifndef REF_ACTIVATION_H
#define REF_ACTIVATION_H

#include "base/status.h"
#include "ref/rows.h"
#include "ref/stats.h"

/**
 * out[i][j] = RN(g * sigma(g) * u), g = x[i][j], u = x[i][I + j]: float64
 * with a proven bound, MPFR where that cannot decide.
 *
 * Where g or u is not finite the result is the limit of the real function:
 * silu(-infinity) = 0, silu(+infinity) = +infinity, then times u; NaN if g or
 * u is NaN, or a zero meets an infinity. Zero is +0.
 *
 * @param[in] x    [n][2 I], a float format.
 * @param[in] out  [n][I], a float format.
 * @return MOE_OK; MOE_ERR_UNSUPPORTED for other formats; MOE_ERR_INTERNAL if
 *         the shapes do not fit.
 */
moe_status_t moe_ref_swiglu(const moe_rows_t *x, const moe_rows_t *out,
                            moe_ref_stats_t *stats);

#endif
