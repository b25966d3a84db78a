/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes of ref/fault.def in a run: the result of an operation is replaced
 * by what ref/fault*.c makes of its inputs. */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include "ref/fault_inside.h"
#include "ref/mpi/world.h"

#include <stdlib.h>
#include <string.h>

/* Places of a run that mistakes are made in, the first that fits. */
static const moe_role_t places[] = {MOE_ROLE_topk_weights, MOE_ROLE_dispatch,
                                    MOE_ROLE_gemm1_out,    MOE_ROLE_act_out,
                                    MOE_ROLE_gemm2_in,     MOE_ROLE_gemm2_out,
                                    MOE_ROLE_combine};

enum {
    PLACES = sizeof(places) / sizeof(places[0])
};

/* The place that an operation makes; none if no mistake is made there. */
static moe_role_t place_of(const moe_call_t *call)
{
    switch (call->op) {
    case MOE_OP_topk:
        return MOE_ROLE_topk_weights;
    case MOE_OP_quantize:
        return call->out[0]->role == MOE_ROLE_gemm2_in ? MOE_ROLE_gemm2_in
                                                       : MOE_ROLE_dispatch;
    case MOE_OP_grouped_matmul:
        return call->halves != MOE_HALVES_both ? MOE_ROLE_none
               : call->weight == MOE_W13       ? MOE_ROLE_gemm1_out
                                               : MOE_ROLE_gemm2_out;
    case MOE_OP_activation: /* a mistake is of gate and up in one */
        return call->n_in > 2 ? MOE_ROLE_none : MOE_ROLE_act_out;
    default:
        return MOE_ROLE_none;
    }
}

/* Where a run makes a mistake. Sums stay unrounded until they are home: what
 * changes their weights is done where these are made. */
static moe_role_t place_for(const moe_ref_backend_t *be, moe_fault_kind_t kind)
{
    const bool quantises =
        moe_format_is_coded(be->in.layer->chain.at[MOE_ROLE_expert_in].format);

    if (kind == MOE_FAULT_shared_per_rank) {
        return be->in.layer->model->shared > 0 ? MOE_ROLE_topk_weights
                                               : MOE_ROLE_none;
    }
    for (int i = 0; i < PLACES; i++) {
        if (moe_fault_is_at(kind, places[i]) &&
            (quantises || places[i] != MOE_ROLE_dispatch)) {
            return places[i] == MOE_ROLE_combine ? MOE_ROLE_topk_weights
                                                 : places[i];
        }
    }
    return MOE_ROLE_none;
}

/* Routing weights: of another router, or changed one by one. */
static moe_status_t weigh(moe_ref_backend_t *be, const moe_call_t *call,
                          moe_ref_layer_t *layer)
{
    const int64_t rows = call->out[1]->valid_rows;
    const int64_t n = rows * call->out[1]->dim[1];
    float *weights = call->out[1]->data;
    int64_t bad[2];
    int32_t *ids;
    moe_status_t status;

    if (layer->fault.kind != MOE_FAULT_bias_in_weights &&
        layer->fault.kind != MOE_FAULT_not_renormalised) {
        for (int64_t i = 0; i < n; i++) {
            weights[i] = moe_ref_fault_weight(
                layer, (int)(i % call->out[1]->dim[1]), weights[i]);
        }
        return MOE_OK;
    }
    if (be->in.impose_routing) {
        return moe_ref_fault_none(layer); /* no router chose them */
    }
    ids = malloc((size_t)n * sizeof(*ids) + 1);
    if (ids == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for ids");
    }
    status =
        moe_ref_fault_route(layer, call->in[0]->data, rows, ids, weights, bad);
    free(ids);
    return status;
}

/* A layer of this operation's inputs. */
static void lay(const moe_ref_backend_t *be, const moe_call_t *call,
                moe_role_t role, moe_ref_layer_t *layer)
{
    const moe_role_t source = role == MOE_ROLE_dispatch    ? MOE_ROLE_hidden
                              : role == MOE_ROLE_gemm1_out ? MOE_ROLE_expert_in
                              : role == MOE_ROLE_act_out   ? MOE_ROLE_gemm1_out
                              : role == MOE_ROLE_gemm2_in  ? MOE_ROLE_act_out
                                                           : MOE_ROLE_gemm2_in;

    layer->bias = (float *)(uintptr_t)be->in.bias;
    if (role == MOE_ROLE_topk_weights) {
        return;
    }
    layer->about.chain.at[role] = call->out[0]->storage;
    layer->at[source] = moe_ref_rows(call->in[0]);
    layer->held[source] = true;
    if (call->n_in > 1 && moe_ref_index_of(call->in[1]) != NULL) {
        layer->index = *moe_ref_index_of(call->in[1]);
    }
    for (int w = MOE_W13; w <= MOE_W2; w++) {
        layer->weights[w].part = call->share;
        layer->weights[w].parts = call->shares;
    }
}

/* Own tokens, where rows are those. */
static moe_range_t tokens_of(const moe_ref_backend_t *be, int64_t rows)
{
    const moe_layer_t *l = be->in.layer;
    const int me = moe_layout_dp_rank(&l->layout, moe_world_rank(be->in.world));
    int64_t begin = 0;

    for (int i = 0; i < me; i++) {
        begin += l->tokens[i];
    }
    begin = l->tokens[me] == rows ? begin : 0;
    return (moe_range_t){begin, begin + rows};
}

static moe_status_t spoil(moe_ref_backend_t *be, const moe_call_t *call,
                          moe_role_t role, moe_injection_t *injection)
{
    const moe_layer_t *l = be->in.layer;
    const moe_model_t model = moe_model_unplaced(l->model);
    const moe_tensor_t *t = call->out[role == MOE_ROLE_topk_weights ? 1 : 0];
    const moe_rows_t out = moe_ref_rows(t);
    const int64_t first = call->n_in > 1 ? call->in[1]->first_expert : 0;
    const int64_t experts = call->n_in > 1 ? call->in[1]->n_experts : 0;
    moe_ref_case_t about = {
        .model = &model,
        .placed = l->placed,
        .chain = l->chain,
        .seed = l->seed,
        .tokens = injection->fault == MOE_FAULT_stale_padding
                      ? (moe_range_t){0, moe_layer_total_tokens(l)}
                      : tokens_of(be, out.rows),
        .experts = {first, first + experts}};
    moe_rows_t right;
    moe_ref_layer_t layer;
    moe_status_t status = moe_ref_fault_copy(&out, &right);

    if (status != MOE_OK || moe_ref_layer_init(&about, &layer) != MOE_OK) {
        moe_ref_rows_free(&right);
        return MOE_ERR_NOMEM;
    }
    layer.fault = (moe_fault_t){.kind = injection->fault, .role = role};
    lay(be, call, role, &layer);
    status = role == MOE_ROLE_topk_weights
                 ? weigh(be, call, &layer)
                 : moe_ref_fault_compute(&layer, role, &out);
    if (status == MOE_ERR_UNSUPPORTED) {
        moe_error_clear(); /* it means nothing here: the run says so */
        status = MOE_OK;
    } else if (!moe_ref_fault_same(&right, &out)) {
        injection->fired = true;
    }
    moe_ref_rows_free(&right);
    return status;
}

moe_status_t moe_ref_inject(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_role_t role = place_of(call);
    moe_status_t status = MOE_OK;

    if (role == MOE_ROLE_none || call->out[0]->carried_exact ||
        call->in[0]->carried_exact) {
        return MOE_OK;
    }
    for (size_t i = 0; status == MOE_OK && i < be->in.n_injections; i++) {
        moe_injection_t *injection = &be->in.injections[i];

        if (injection->fault != MOE_FAULT_none &&
            !moe_fault_is_of_inputs(injection->fault) &&
            moe_fault_mapping(injection->fault) == MOE_MAPPING_right &&
            (injection->rank < 0 ||
             injection->rank == moe_world_rank(be->in.world)) &&
            place_for(be, injection->fault) == role) {
            status = spoil(be, call, role, injection);
        }
    }
    return status;
}
