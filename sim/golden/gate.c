/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/golden/gate.h"

#include "moe/slots.h"
#include "ref/gating_routed.h"
#include "sim/golden/golden.h"

#include <stdlib.h>
#include <string.h>

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for a gate");
}

moe_status_t moe_golden_gate_init(const moe_scenario_t *scenario,
                                  const moe_method_use_t *use,
                                  const moe_routing_t *all,
                                  moe_golden_gate_t *gate_p)
{
    moe_golden_gate_t g = {.scenario = scenario};
    size_t counts;

    *gate_p = g;
    g.layer = moe_method_layer(&scenario->layer, use);
    if (!moe_method_gate(&g.layer, use, &g.rule)) {
        return MOE_OK;
    }
    g.use = use;
    g.capacity = moe_slots_capacity(&g.layer, &g.rule, all);
    counts = (size_t)(g.layer.layout.dp * scenario->model.experts);
    g.location = calloc((size_t)(all->n * all->topk) + 1, sizeof(*g.location));
    g.counts = calloc(counts + 1, sizeof(*g.counts));
    g.loss = calloc((size_t)g.layer.layout.dp, sizeof(*g.loss));
    *gate_p = g;
    return g.capacity >= 0 && g.location != NULL && g.counts != NULL &&
                   g.loss != NULL
               ? MOE_OK
               : no_memory();
}

void moe_golden_gate_fini(moe_golden_gate_t *gate)
{
    free(gate->location);
    free(gate->counts);
    free(gate->loss);
    *gate = (moe_golden_gate_t){0};
}

bool moe_golden_gate_drops(const moe_golden_gate_t *gate)
{
    return gate->use != NULL && gate->rule.drop != MOE_DROP_none;
}

static moe_ref_case_t case_of(const moe_golden_gate_t *gate, moe_range_t tokens)
{
    const moe_range_t none = {0, 0};

    return moe_layer_case(gate->scenario,
                          gate->use->chain.at[MOE_ROLE_dispatch].format, tokens,
                          none);
}

/* Logits of some tokens. */
static moe_status_t make_some(const moe_golden_gate_t *gate, moe_range_t tokens,
                              float *out)
{
    const moe_ref_case_t about = case_of(gate, tokens);
    const moe_rows_t rows = {.storage = {.format = MOE_FORMAT_fp32},
                             .rows = tokens.end - tokens.begin,
                             .cols = gate->scenario->model.experts,
                             .codes = out};
    moe_layer_feed_t feed = {0};
    moe_ref_layer_t layer;
    moe_status_t status = moe_ref_layer_init(&about, &layer);

    if (status != MOE_OK) {
        return status;
    }
    status = moe_layer_feed(gate->scenario, &layer, &feed);
    if (status == MOE_OK) {
        status = moe_ref_layer_compute(&layer, MOE_ROLE_logits, &rows);
    }
    moe_ref_layer_fini(&layer);
    moe_layer_feed_fini(&feed);
    return status;
}

/* [own][E]; the caller frees it. */
static moe_status_t make_logits(const moe_golden_gate_t *gate, moe_range_t own,
                                float **logits_p)
{
    const int64_t experts = gate->scenario->model.experts;
    float *out = calloc((size_t)((own.end - own.begin) * experts) + 1, 4);
    moe_status_t status = out == NULL ? no_memory() : MOE_OK;

    for (int64_t t = own.begin; status == MOE_OK && t < own.end;
         t += MOE_GOLDEN_TOKENS) {
        const int64_t end = t + MOE_GOLDEN_TOKENS;

        status =
            make_some(gate, (moe_range_t){t, end < own.end ? end : own.end},
                      out + (t - own.begin) * experts);
    }
    *logits_p = out;
    return status;
}

/* Of tokens whose logits, if they count, are there. */
static moe_status_t gate_tokens(moe_golden_gate_t *gate, int dp,
                                const float *logits, int32_t *ids,
                                float *weights)
{
    const moe_range_t own = moe_layer_tokens(&gate->layer, dp);
    const int64_t experts = gate->scenario->model.experts;
    const int64_t pairs = (own.end - own.begin) * gate->rule.topk;
    const moe_gate_routed_t in = {.rule = &gate->rule,
                                  .tokens = own.end - own.begin,
                                  .experts = experts,
                                  .first = own.begin,
                                  .seed = gate->layer.seed,
                                  .logits = logits};
    int64_t *room = calloc((size_t)(pairs + experts) + 1, sizeof(*room));
    moe_gated_t out = {.ids = ids,
                       .location = room,
                       .weights = weights,
                       .counts = room + pairs,
                       .capacity = gate->capacity};
    moe_ref_stats_t ignored = {0, 0, 0};
    moe_status_t status =
        room == NULL ? no_memory() : moe_ref_gate_routed(&in, &out, &ignored);

    if (status == MOE_OK) {
        moe_gated_narrow(out.location, pairs,
                         gate->location + own.begin * gate->rule.topk);
        moe_gated_narrow(out.counts, experts, gate->counts + dp * experts);
        gate->loss[dp] = out.aux_loss;
    }
    free(room);
    return status;
}

moe_status_t moe_golden_gate_part(moe_golden_gate_t *gate, int dp,
                                  const float *logits, int32_t *ids,
                                  float *weights)
{
    const bool has_scores = gate->scenario->router == MOE_ROUTER_data &&
                            moe_gating_has_softmax(&gate->scenario->model);
    float *made = NULL;
    moe_status_t status = MOE_OK;

    if (has_scores && logits == NULL) {
        status = make_logits(gate, moe_layer_tokens(&gate->layer, dp), &made);
        logits = made;
    }
    if (status == MOE_OK) {
        status =
            gate_tokens(gate, dp, has_scores ? logits : NULL, ids, weights);
    }
    free(made);
    return status;
}

moe_status_t moe_golden_gate_all(moe_golden_gate_t *gate, moe_routing_t *all)
{
    moe_status_t status = MOE_OK;

    for (int dp = 0; status == MOE_OK && dp < gate->layer.layout.dp; dp++) {
        const int64_t first =
            moe_layer_tokens(&gate->layer, dp).begin * all->topk;

        status = moe_golden_gate_part(gate, dp, NULL, all->ids + first,
                                      all->weights + first);
    }
    return status;
}

moe_status_t moe_golden_gate_again(moe_golden_gate_t *gate, int dp,
                                   const float *logits, int32_t *ids,
                                   float *weights)
{
    const moe_range_t own = moe_layer_tokens(&gate->layer, dp);
    const moe_ref_case_t about = case_of(gate, own);
    moe_rows_t rows = {.storage = {.format = MOE_FORMAT_fp32},
                       .rows = own.end - own.begin,
                       .cols = gate->scenario->model.experts,
                       .codes = (void *)(uintptr_t)logits};
    moe_ref_layer_t layer = {0};
    moe_status_t status = moe_ref_layer_init(&about, &layer);

    if (status == MOE_OK) {
        status = moe_ref_layer_give(&layer, MOE_ROLE_logits, &rows);
    }
    if (status == MOE_OK) {
        status = moe_ref_layer_make(&layer, MOE_ROLE_topk_ids);
    }
    if (status == MOE_OK) {
        status = moe_ref_layer_make(&layer, MOE_ROLE_topk_weights);
    }
    if (status == MOE_OK) {
        const size_t bytes = (size_t)(rows.rows * gate->rule.topk) * 4;

        memcpy(ids, layer.at[MOE_ROLE_topk_ids].codes, bytes);
        memcpy(weights, layer.at[MOE_ROLE_topk_weights].codes, bytes);
    }
    moe_ref_layer_fini(&layer);
    return status == MOE_OK
               ? moe_golden_gate_part(gate, dp, logits, ids, weights)
               : status;
}
