/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/gating_routed.h"

#include "ref/score.h"

#include <stdlib.h>

static void set_scores(const moe_gate_routed_t *in, const moe_gated_t *gated,
                       float *score, moe_ref_stats_t *stats)
{
    const int64_t k = in->rule->topk;

    for (int64_t i = 0; in->logits != NULL && i < in->tokens; i++) {
        moe_score_row(MOE_SCORE_softmax, in->logits + i * in->experts,
                      in->experts, score + i * in->experts, stats);
    }
    for (int64_t p = 0; in->logits == NULL && p < in->tokens * k; p++) {
        score[p / k * in->experts + gated->ids[p]] = gated->weights[p];
    }
}

/* Numbers of the chosen pairs; of the others nobody asks. */
static void set_random(const moe_gate_routed_t *in, const moe_gated_t *gated,
                       float *random)
{
    const int64_t k = in->rule->topk;

    for (int64_t p = 0; p < in->tokens * k; p++) {
        random[p / k * in->experts + gated->ids[p]] =
            moe_gating_random(in->seed, in->first + p / k, gated->ids[p]);
    }
}

moe_status_t moe_ref_gate_routed(const moe_gate_routed_t *in,
                                 moe_gated_t *gated, moe_ref_stats_t *stats)
{
    const bool is_random = in->rule->drop == MOE_DROP_random;
    const size_t n = (size_t)(in->tokens * in->experts) + 1;
    float *score = calloc(n, sizeof(*score));
    float *random = is_random ? calloc(n, sizeof(*random)) : NULL;
    const moe_gate_case_t about = {.rule = in->rule,
                                   .tokens = in->tokens,
                                   .experts = in->experts,
                                   .score = score,
                                   .random = random};
    moe_status_t status;

    if (score == NULL || (is_random && random == NULL)) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory to gate %lld tokens",
                          (long long)in->tokens);
    } else {
        set_scores(in, gated, score, stats);
        if (is_random) {
            set_random(in, gated, random);
        }
        moe_ref_gate_count(&about, gated);
        status = moe_ref_gate_drop(&about, gated);
    }
    free(score);
    free(random);
    return status;
}

int64_t moe_ref_gate_routed_bytes(const moe_gate_rule_t *rule, int64_t tokens,
                                  int64_t experts)
{
    const int64_t random = rule->drop == MOE_DROP_random;

    return tokens * experts * (1 + random) * (int64_t)sizeof(float) +
           tokens * rule->topk * 16 + experts * 2 * 8; /* to sort pairs */
}

void moe_gated_narrow(const int64_t *from, int64_t n, int32_t *to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = (int32_t)from[i];
    }
}
