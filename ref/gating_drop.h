/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a gate with capacity does when the experts of each token are chosen:
 * counts, loss, which pairs stay, where their rows are, what they weigh. Every
 * expert takes at most C rows; ties go to the lower index.
 */
#ifndef REF_GATING_DROP_H
#define REF_GATING_DROP_H

#include "base/status.h"
#include "moe/gating.h"

#include <stdint.h>

typedef struct {
    const moe_gate_rule_t *rule;
    int64_t tokens;
    int64_t experts;
    const float *score;  /* [S][E] */
    const float *random; /* [S][E] in [0, 1): of `random`; else NULL */
} moe_gate_case_t;

/** What a token got. Caller's arrays. */
typedef struct {
    int32_t *ids;      /* [S][k] expert; -1 dropped */
    int64_t *location; /* [S][k] row of C of the expert; -1 dropped */
    float *weights;    /* [S][k] 0 if dropped */
    int64_t *counts;   /* [E] tokens of each expert before dropping */
    int64_t capacity;  /* C */
    float aux_loss;    /* before dropping, without a coefficient */
} moe_gated_t;

/** Weights from the scores of the chosen ids: RN32(score / max(sum, 2^-23)),
 * the sum in slot order, RN32 after each addition, times the rule's scaling in
 * fp32; the scores where the rule does not renormalise. */
void moe_ref_gate_weigh(const moe_gate_case_t *about, moe_gated_t *gated);

/** Counts of the chosen ids. */
void moe_ref_gate_count(const moe_gate_case_t *about, moe_gated_t *gated);

/**
 * Drop, give rows, weigh.
 *
 * aux_loss = E / (k S^2) x sum over e of (sum of scores) x count, in float64,
 * then RN32; of first choices alone, without k, if the rule says so. A token
 * that loses nothing keeps its weights; of one that loses some the others are
 * weighed anew, if the rule renormalises.
 *
 * @param[in,out] gated  On entry ids and weights as chosen, counts, capacity.
 * @return MOE_OK; MOE_ERR_NOMEM.
 */
moe_status_t moe_ref_gate_drop(const moe_gate_case_t *about,
                               moe_gated_t *gated);

#endif
