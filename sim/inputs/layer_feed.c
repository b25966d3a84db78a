/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/inputs/layer_feed.h"

#include "base/safetensors.h"
#include "sim/inputs/inputs.h"

#include <stdlib.h>

moe_ref_case_t moe_layer_case(const moe_scenario_t *scenario,
                              moe_format_t dispatch, moe_range_t tokens,
                              moe_range_t experts)
{
    moe_ref_case_t about = {.model = &scenario->model,
                            .chain = scenario->layer.chain,
                            .seed = scenario->seed,
                            .data = scenario->layer.data,
                            .tokens = tokens,
                            .experts = experts,
                            .placed = scenario->layer.placed};
    moe_storage_t *at = about.chain.at;
    moe_storage_t *sent = &at[MOE_ROLE_dispatch];

    /* as a method's own chain has it, sim/scenario/methods.c */
    *sent = (moe_storage_t){.format = dispatch};
    if (dispatch == at[MOE_ROLE_expert_in].format) {
        *sent = at[MOE_ROLE_expert_in];
    } else if (dispatch == at[MOE_ROLE_hidden].format) {
        *sent = at[MOE_ROLE_hidden];
    }
    moe_chain_default(
        &about.chain, sent,
        moe_data_bound(scenario->layer.data, MOE_FILL_HIDDEN_BOUND));
    return about;
}

static moe_status_t give_hidden(const moe_scenario_t *scenario,
                                moe_ref_layer_t *layer, moe_layer_feed_t *feed)
{
    const moe_storage_t bf16 = {.format = MOE_FORMAT_bf16};
    const moe_range_t tokens = layer->about.tokens;
    moe_inputs_t in = {.scenario = scenario, .rank = -1};
    uint16_t *row;
    moe_status_t status =
        moe_ref_rows_alloc(&bf16, tokens.end - tokens.begin,
                           scenario->model.hidden, &feed->hidden);

    if (status == MOE_OK) {
        status = moe_safetensors_open(scenario->hidden_file, &in.hidden_file);
    }
    row = feed->hidden.codes;
    for (int64_t t = tokens.begin; status == MOE_OK && t < tokens.end; t++) {
        status = moe_inputs_token(&in, t, row);
        row += scenario->model.hidden;
    }
    moe_safetensors_close(in.hidden_file);
    return status == MOE_OK
               ? moe_ref_layer_give(layer, MOE_ROLE_hidden, &feed->hidden)
               : status;
}

static moe_status_t give_router(const moe_scenario_t *scenario,
                                moe_ref_layer_t *layer)
{
    const int64_t n = scenario->model.experts * scenario->model.hidden;

    layer->router = malloc((size_t)n * 2 + 1);
    if (layer->router == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the router");
    }
    return moe_inputs_gate(scenario, layer->router);
}

static moe_status_t make_routing(const moe_scenario_t *scenario,
                                 moe_range_t tokens, moe_routing_t *routing)
{
    const int64_t n = tokens.end - tokens.begin;

    return scenario->router == MOE_ROUTER_trace
               ? moe_routing_read(scenario, tokens.begin, n, routing)
               : moe_routing_sample(&scenario->model, &scenario->sampler,
                                    scenario->seed, tokens.begin, n, routing);
}

static moe_status_t give_routing(const moe_scenario_t *scenario,
                                 moe_ref_layer_t *layer, moe_layer_feed_t *feed)
{
    moe_status_t status =
        make_routing(scenario, layer->about.tokens, &feed->routing);
    moe_rows_t rows = {.storage = {.format = MOE_FORMAT_i32},
                       .rows = feed->routing.n,
                       .cols = scenario->model.topk,
                       .codes = feed->routing.ids};

    if (status == MOE_OK) {
        status = moe_ref_layer_give(layer, MOE_ROLE_topk_ids, &rows);
    }
    rows.storage.format = MOE_FORMAT_fp32;
    rows.codes = feed->routing.weights;
    return status == MOE_OK
               ? moe_ref_layer_give(layer, MOE_ROLE_topk_weights, &rows)
               : status;
}

moe_status_t moe_layer_feed(const moe_scenario_t *scenario,
                            moe_ref_layer_t *layer, moe_layer_feed_t *feed_p)
{
    moe_status_t status = MOE_OK;

    *feed_p = (moe_layer_feed_t){0};
    if (scenario->hidden_file != NULL) {
        status = give_hidden(scenario, layer, feed_p);
    }
    if (status == MOE_OK && scenario->gate_file != NULL) {
        status = give_router(scenario, layer);
    }
    if (status == MOE_OK && scenario->router != MOE_ROUTER_data) {
        status = give_routing(scenario, layer, feed_p);
    }
    return status;
}

void moe_layer_feed_fini(moe_layer_feed_t *feed)
{
    moe_ref_rows_free(&feed->hidden);
    moe_routing_fini(&feed->routing);
}
