/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/gating.h"

#include "base/philox.h"
#include "moe/needs.h"

#include <math.h>

enum {
    STREAM_GATE = 110 /* last counter word; moe/sampler.c uses others */
};

static const char *const drops[MOE_DROP_COUNT] = {
#define MOE_DROP(id, text) #id,
#include "moe/drop.def"
#undef MOE_DROP
};

static const char *const capacities[MOE_CAPACITY_COUNT] = {
#define MOE_CAPACITY(id, text, source) #id,
#include "moe/capacity.def"
#undef MOE_CAPACITY
};

const char *moe_drop_name(moe_drop_t drop)
{
    return (unsigned)drop < MOE_DROP_COUNT ? drops[drop] : "?";
}

const char *moe_capacity_name(moe_capacity_t rule)
{
    return (unsigned)rule < MOE_CAPACITY_COUNT ? capacities[rule] : "?";
}

moe_gate_rule_t moe_gating_of(const moe_model_t *model, moe_capacity_t capacity,
                              moe_drop_t drop, bool by_k)
{
    const bool deepspeed = capacity == MOE_CAPACITY_deepspeed;
    const bool tutel = capacity == MOE_CAPACITY_tutel;
    const int k = model->topk;

    return (moe_gate_rule_t){
        .capacity = capacity,
        .drop = drop,
        .by_k = by_k,
        .topk = k,
        .factor = 1.0,
        .min_capacity = 0,
        .choices_first = tutel || (deepspeed && by_k && k == 2),
        .first_loss = tutel || (deepspeed && by_k && k <= 2),
        .renormalize = deepspeed && k > 1 && model->renormalize,
        .scaling = model->routed_scaling,
    };
}

bool moe_gating_is_top1(const moe_gate_rule_t *gating)
{
    return gating->capacity == MOE_CAPACITY_deepspeed && gating->by_k &&
           gating->topk == 1;
}

const char *moe_gating_refuses(const moe_gate_rule_t *gating)
{
    const bool named =
        gating->capacity == MOE_CAPACITY_deepspeed && gating->by_k;

    const bool tutel = gating->capacity == MOE_CAPACITY_tutel;
    const bool below = gating->factor < 0.0;

    if (below && !(tutel && gating->drop == MOE_DROP_position)) {
        return "a capacity factor below 0 is Tutel's, dropping by position";
    }
    if (!(fabs(gating->factor) > 0.0) || !(fabs(gating->factor) <= 1e6) ||
        gating->min_capacity < 0) {
        return "needs a capacity factor above 0, at most 1e6, and a least "
               "capacity not below 0";
    }
    if (gating->drop == MOE_DROP_probs &&
        (gating->capacity == MOE_CAPACITY_tutel ||
         (named && gating->topk <= 2))) {
        return "dropping by probs: DeepSpeed's top-1 and top-2 gates and Tutel "
               "have it not";
    }
    if (gating->drop == MOE_DROP_random && !moe_gating_is_top1(gating)) {
        return "dropping at random: DeepSpeed's top-1 gate alone has it";
    }
    return NULL;
}

bool moe_gating_agrees(const moe_gate_rule_t *gating)
{
    return gating->drop == MOE_DROP_none || gating->factor < 0.0;
}

int64_t moe_gating_rows(const moe_gate_rule_t *gating, int64_t experts,
                        int64_t tokens)
{
    const double each = (double)tokens / (double)experts;
    const double k = (double)gating->topk;
    double rows = 0.0;

    switch (gating->capacity) {
    case MOE_CAPACITY_megatron:
        rows = ceil((double)tokens * k / (double)experts * gating->factor);
        break;
    case MOE_CAPACITY_tutel:
        rows = k * floor(fabs(gating->factor) * ceil(each));
        break;
    case MOE_CAPACITY_deepspeed:
    case MOE_CAPACITY_COUNT:
    default:
        rows = ceil(each * (gating->factor * k));
        break;
    }
    if (!(rows < 0x1p53)) {
        return INT64_MAX;
    }
    return (int64_t)rows > gating->min_capacity ? (int64_t)rows
                                                : gating->min_capacity;
}

int64_t moe_gating_bin(const moe_layer_t *layer, double factor, int rank)
{
    const moe_layout_t *l = &layer->layout;
    const moe_model_t *m = layer->model;
    const int64_t tokens = layer->tokens[moe_layout_dp_rank(l, rank)];

    return (int64_t)(factor *
                     ((double)(m->topk * tokens * l->ep) / (double)m->experts));
}

const char *moe_gating_bin_refuses(const moe_layer_t *layer, double factor)
{
    if (!(factor >= 0.0) || !(factor <= 1e6)) {
        return "needs a capacity factor of at least 0, at most 1e6";
    }
    return moe_needs_plain_experts(layer);
}

bool moe_gating_has_softmax(const moe_model_t *model)
{
    return model->score == MOE_SCORE_softmax && !model->bias &&
           model->n_group == 1;
}

float moe_gating_random(uint64_t seed, int64_t token, int64_t expert)
{
    const uint32_t counter[4] = {(uint32_t)token, (uint32_t)expert,
                                 (uint32_t)((uint64_t)token >> 32),
                                 STREAM_GATE};
    uint32_t word[4];

    moe_philox((uint32_t)seed, (uint32_t)(seed >> 32), counter, word);
    return (float)(word[0] >> 8) * 0x1p-24f;
}
