/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Scores of a router, correctly rounded to fp32.
 */
#ifndef REF_SCORE_H
#define REF_SCORE_H

#include "moe/model.h"
#include "ref/stats.h"

#include <stdint.h>

/**
 * Scores of one token's logits; no logit is NaN.
 *
 * sigmoid: of +-infinity 1 and +0. softmax: the largest logit is subtracted
 * first, which changes nothing; equal infinities share as equal numbers do,
 * so +infinity takes all, and all -infinity gives 1/n each. sqrt_softplus:
 * of +-infinity +infinity and +0. softmax_chosen is softmax, of the logits
 * that were chosen; dyadic has no scores of logits, and is none of these.
 *
 * @param[in]  logit  [n].
 * @param[out] score  [n].
 */
void moe_score_row(moe_score_t kind, const float *logit, int64_t n,
                   float *score, moe_ref_stats_t *stats);

#endif
