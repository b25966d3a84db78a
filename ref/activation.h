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
 * @param[in] x    [n][2 I], a float format.
 * @param[in] out  [n][I], a float format.
 */
moe_status_t moe_ref_swiglu(const moe_rows_t *x, const moe_rows_t *out,
                            moe_ref_stats_t *stats);

#endif
