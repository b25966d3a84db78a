/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/rank_setup.h"

#include <stdlib.h>
#include <string.h>

void rank_setup_inputs(rank_setup_t *s, const moe_change_t *changes, size_t n)
{
    memset(s, 0, sizeof(*s));
    s->scenario =
        moe_load_good(moe_test_source("scenarios/tutorial/first.yaml"), changes,
                      n, test_ranks);
    ck_assert_int_eq(
        moe_inputs_make(s->scenario, test_rank, MOE_FAULT_none, -1, &s->inputs),
        MOE_OK);
}

/* The routing source, as a run shares it. */
static void share_routing(rank_setup_t *s)
{
    const moe_layer_t *layer = &s->scenario->layer;
    const size_t size = moe_routing_pack_size(&s->inputs.routing);
    void *own = malloc(size + 1);
    moe_blob_t *parts = NULL;

    ck_assert_ptr_nonnull(own);
    moe_routing_pack(&s->inputs.routing, own);
    ck_assert_int_eq(moe_world_share(test_world, own, (int64_t)size, &parts),
                     MOE_OK);
    ck_assert_int_eq(moe_routing_join(layer, test_ranks, parts,
                                      &s->inputs.routing, &s->routing),
                     MOE_OK);
    moe_blobs_free(parts);
    free(own);
}

static void make_backend(rank_setup_t *s)
{
    const moe_layer_t *layer = &s->scenario->layer;
    moe_ref_inputs_t in = {.world = test_world,
                           .layer = layer,
                           .routing = &s->routing,
                           .hidden = s->inputs.hidden,
                           .router = s->inputs.router,
                           .bias = s->inputs.bias};

    ck_assert_int_eq(moe_world_set_layout(test_world, &layer->layout), MOE_OK);
    ck_assert_int_eq(moe_agreement_create(test_world, true, &s->agreement),
                     MOE_OK);
    ck_assert_int_eq(moe_ledger_create(test_rank, &s->ledger), MOE_OK);
    in.agreement = s->agreement;
    in.ledger = s->ledger;
    ck_assert_int_eq(moe_ref_backend_create(&in, &s->backend), MOE_OK);
}

void rank_setup_backend(rank_setup_t *s)
{
    share_routing(s);
    make_backend(s);
}

void rank_setup_free(rank_setup_t *s)
{
    moe_ref_backend_free(s->backend);
    moe_ledger_free(s->ledger);
    moe_agreement_free(s->agreement);
    moe_routing_fini(&s->routing);
    moe_inputs_fini(&s->inputs);
    moe_scenario_free(s->scenario);
}

uint16_t *rank_setup_hidden(const rank_setup_t *s, const moe_method_use_t *use)
{
    const moe_layer_t own = moe_method_layer(&s->scenario->layer, use);
    moe_range_t tokens =
        moe_layer_tokens(&own, moe_layout_dp_rank(&own.layout, test_rank));
    uint16_t *hidden =
        calloc((size_t)((tokens.end - tokens.begin) * own.model->hidden) + 1,
               sizeof(*hidden));

    ck_assert_ptr_nonnull(hidden);
    ck_assert_int_eq(moe_inputs_hidden(&s->inputs, tokens.begin,
                                       tokens.end - tokens.begin, hidden),
                     MOE_OK);
    return hidden;
}

void rank_setup_run(const rank_setup_t *s, const moe_method_use_t *use,
                    const uint16_t *hidden, const rank_setup_told_t *told)
{
    moe_run_t run = {.layer = &s->scenario->layer,
                     .use = use,
                     .rank = test_rank,
                     .routing = &s->routing,
                     .backend = s->backend,
                     .stages = ~0U};
    moe_status_t status;

    if (told != NULL) {
        run.on_output = told->func;
        run.on_output_self = told->self;
    }
    moe_ref_backend_hidden(s->backend, hidden);
    status = moe_ref_backend_begin(s->backend, use);
    if (status == MOE_OK) {
        status = moe_run_method(&run);
    }
    ck_assert_msg(status == MOE_OK, "%s: %s", use->label, moe_error_text());
}
