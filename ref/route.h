/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * From logits to experts and weights, by the named steps of doc/numerics.md.
 */
#ifndef REF_ROUTE_H
#define REF_ROUTE_H

#include "base/status.h"
#include "moe/model.h"
#include "ref/stats.h"

#include <stdint.h>

/**
 * Choose experts by the router of a model: its score, bias, groups and
 * renormalisation.
 *
 * s = RN32(score of the logit). choice = RN32(s + bias). Group score by
 * group_limit: RN32(top1 + top2) of the group's choices (of a group of one,
 * that choice), or their largest. Top-k is a total order: larger choice
 * first, equal choices by the lower id; ref/route_choose.h. sum = s_1 + ...
 * in slot order, RN32 after each addition, from 1e-20 on where each logit is
 * scored by itself (sigmoid, sqrt_softplus). weight = RN32(scaling * s_i /
 * sum), one rounding of the exact quotient; without renormalize RN32(scaling
 * * s_i).
 *
 * Shared experts: the router is that of moe_model_routed(), which reads the
 * first logits alone; their ids and weights of 1 follow in the last slots.
 *
 * softmax_chosen: choice = RN32(logit + bias), and s is the softmax over the
 * k chosen choices. Infinite logits: ref/score.h.
 *
 * @param[in]  logits  [n][E].
 * @param[in]  bias    [E]; NULL without.
 * @param[out] ids, weights  [n][k].
 * @param[out] bad     [2] row and expert of a NaN logit; else -1, -1.
 * @return MOE_OK; MOE_ERR_RANGE if a logit is NaN (without a message: the
 *         caller knows rank and token) or a bias is not finite;
 *         MOE_ERR_UNSUPPORTED for a router that this is not; MOE_ERR_NOMEM.
 */
moe_status_t moe_ref_route(const moe_model_t *model, const float *logits,
                           const float *bias, int64_t n, int32_t *ids,
                           float *weights, moe_ref_stats_t *stats,
                           int64_t bad[2]);

#endif
