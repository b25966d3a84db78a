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
 * Choose experts. Sigmoid: s = RN32(sigma(logit)); choice = RN32(s + bias);
 * group score = RN32(top1 + top2); sum = 1e-20 + s_1 + ... in slot order,
 * RN32 after each addition; weight = RN32(scaling * s_i / sum), one rounding
 * of the exact quotient. Top-k is a total order: larger choice first, equal
 * choices by the lower id. Groups that are not kept do not take part; the
 * score of a group of one expert is that expert's choice.
 *
 * Softmax: s = RN32(softmax), without groups; no 1e-20 in the sum. Without
 * renormalize, weight = RN32(scaling * s_i). Infinite logits: ref/score.h.
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
