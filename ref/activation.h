/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The non-linearity between the two matmuls, correctly rounded.
 */
#ifndef REF_ACTIVATION_H
#define REF_ACTIVATION_H

#include "base/status.h"
#include "moe/model.h"
#include "ref/rows.h"
#include "ref/stats.h"

/** Which function (moe/activation.def), and where its arguments lie. */
typedef struct {
    moe_activation_t activation;
    moe_gate_up_t gate_up;
} moe_ref_gate_t;

/**
 * out[i][j] = RN of the function of g and u, one rounding of the exact real
 * value: float64 with a proven bound, MPFR where that cannot decide. gate_up
 * says where in x[i] g and u lie; if x is as wide as out, x[i][j] is g, and u
 * is 1.
 *
 * Where g or u is not finite the result is the limit of the real function:
 * silu(-infinity) = 0, silu(+infinity) = +infinity, then times u; NaN if g or
 * u is NaN, or a zero meets an infinity. swiglu_oai clamps first. Zero is +0.
 *
 * @param[in] x    [n][2 I] or [n][I], a float format.
 * @param[in] out  [n][I], a float format.
 * @return MOE_OK; MOE_ERR_UNSUPPORTED for other formats; MOE_ERR_INTERNAL if
 *         the shapes do not fit.
 */
moe_status_t moe_ref_activate(moe_ref_gate_t gate, const moe_rows_t *x,
                              const moe_rows_t *out, moe_ref_stats_t *stats);

/** SwiGLU of halves. */
moe_status_t moe_ref_swiglu(const moe_rows_t *x, const moe_rows_t *out,
                            moe_ref_stats_t *stats);

#endif
