/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One token's way through a router, step by step: what the fast way
 * (ref/route_fast.h) must agree with, and where it leaves off.
 */
#ifndef REF_ROUTE_ROW_H
#define REF_ROUTE_ROW_H

#include "base/status.h"
#include "ref/route_choose.h"
#include "ref/stats.h"

#include <stdint.h>

/** Added to the sum of a router that scores each logit by itself, as SGLang,
 * vLLM and Megatron do. */
#define MOE_ROUTE_EPSILON 1e-20f

/** Memory for a token of this model. */
moe_status_t moe_route_row_init(moe_route_row_t *row, const moe_model_t *model);

/** Frees what moe_route_row_init() took, or nothing. */
void moe_route_row_fini(moe_route_row_t *row);

/**
 * A token's experts and weights; ref/route.h says the steps. A model without
 * shared experts, no NaN.
 * @param[in]  logits, bias  [E]; bias NULL without.
 * @param[out] ids, weights  [k].
 */
void moe_route_row(const moe_model_t *model, const float *logits,
                   const float *bias, const moe_route_row_t *row, int32_t *ids,
                   float *weights, moe_ref_stats_t *stats);

/** RN32(p / q), q >= 0, or 0 if q is; p is a product of two fp32 numbers. */
float moe_route_divide(double p, double q);

#endif
