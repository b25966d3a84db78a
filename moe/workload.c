/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/workload.h"

enum {
    EIGHTHS = 8 /* parts of the experts, one of which is hot or idle */
};

bool moe_sampler_is_workload(moe_sampler_kind_t kind)
{
    return kind >= MOE_SAMPLER_W0_balanced && kind <= MOE_SAMPLER_W7_burst;
}

bool moe_workload_is_balanced(const moe_sampler_t *sampler)
{
    return sampler->kind == MOE_SAMPLER_W0_balanced ||
           (sampler->kind == MOE_SAMPLER_W7_burst &&
            sampler->step % MOE_WORKLOAD_PERIOD != MOE_WORKLOAD_PERIOD - 1);
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Place i of a fixed order of n experts in which neighbours are far apart:
 * steps of about 0.618 n, so that any stretch of it is spread over all. */
static int64_t spread(int64_t i, int64_t n)
{
    int64_t step = n * 618 / 1000 + 1;

    while (common_divisor(step, n) != 1) {
        step++;
    }
    return i % n * step % n;
}

void moe_workload_balanced(const moe_model_t *model, int64_t offset,
                           int64_t token, int32_t *ids)
{
    const int groups = model->n_group;
    const bool each = model->group_limit == MOE_GROUP_LIMIT_each;
    const int open = each ? groups : model->topk_group;
    const int64_t size = model->experts / groups;
    const int rows = (model->topk + open - 1) / open; /* of a visit */

    for (int j = 0; j < model->topk; j++) {
        const int nth = each ? j / rows : j % open;
        const int row = each ? j % rows : j / open;
        const int64_t visit = token * open + nth;
        const int64_t group = visit % groups;
        const int64_t at = visit / groups * rows + row + offset;

        ids[j] = (int32_t)(group * size + spread(at, size));
    }
}

static int64_t eighth(int64_t experts)
{
    return (experts + EIGHTHS - 1) / EIGHTHS;
}

void moe_workload_weights(const moe_sampler_t *sampler, int64_t experts,
                          const int32_t *by_chance, uint64_t *weight)
{
    const int64_t hot = eighth(experts);
    const bool none = sampler->kind == MOE_SAMPLER_W5_zero_expert_rank;
    const int64_t stride =
        sampler->kind == MOE_SAMPLER_W3_spread_hot_experts ? experts / hot : 1;
    const bool chance = sampler->kind == MOE_SAMPLER_W1_hot_expert_set;

    for (int64_t e = 0; e < experts; e++) {
        /* an idle eighth, and an expert of each other one */
        bool idle = e >= experts - hot || e % EIGHTHS == EIGHTHS - 1;

        weight[e] = none ? !idle : (uint64_t)hot;
    }
    for (int64_t i = 0; i < hot && !none && hot < experts; i++) {
        weight[chance ? by_chance[i] : i * stride] = (uint64_t)(experts - hot);
    }
}

int64_t moe_workload_shift(const moe_sampler_t *sampler,
                           const moe_model_t *model, int64_t token)
{
    const int64_t unit = model->n_group > 1 ? model->experts / model->n_group
                                            : eighth(model->experts);
    int64_t turns = 0;

    if (sampler->kind == MOE_SAMPLER_W4_source_ragged) {
        turns = token / MOE_WORKLOAD_STRETCH;
    } else if (sampler->kind == MOE_SAMPLER_W6_rotating_hotspot) {
        turns = sampler->step;
    }
    return turns % model->experts * unit % model->experts;
}
