/* SPDX-License-Identifier: Apache-2.0 */
/* Front-ends of gates with capacity, and of choices in other forms. */
#include "moe/ctx.h"

#include <stddef.h>

void moe_gate_own_most(const moe_layer_t *layer, const int64_t *options,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    const moe_range_t own =
        moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, rank));

    (void)options;
    *out = moe_routing_most(routing, own, layer->model->experts);
}

static void make_results(moe_ctx_t *c, const moe_tensor_t *ids, moe_gate_t *g)
{
    const int64_t n = ids->dim[0];
    const int64_t k = ids->dim[1];

    g->ids = moe_ctx_numbers(c, MOE_ROLE_topk_ids, MOE_FORMAT_i32, n, k,
                             ids->valid_rows);
    g->location = moe_ctx_numbers(c, MOE_ROLE_location, MOE_FORMAT_i32, n, k,
                                  ids->valid_rows);
    g->weights = moe_ctx_numbers(c, MOE_ROLE_topk_weights, MOE_FORMAT_fp32, n,
                                 k, ids->valid_rows);
    g->counts = moe_ctx_numbers(c, MOE_ROLE_expert_counts, MOE_FORMAT_i32, 1,
                                moe_ctx_model(c)->experts, 1);
    g->loss = moe_ctx_numbers(c, MOE_ROLE_aux_loss, MOE_FORMAT_fp32, 1, 1, 1);
}

moe_gate_t moe_gate(moe_ctx_t *c, moe_tensor_t *logits, moe_tensor_t *ids,
                    moe_tensor_t *weights, const moe_gate_rule_t *rule,
                    int64_t capacity, const moe_span_t *span)
{
    moe_gate_t g = {NULL, NULL, NULL, NULL, NULL};
    moe_call_t call = {.op = MOE_OP_gate, .root = -1};

    if (c->status != MOE_OK) {
        return g;
    }
    make_results(c, ids, &g);
    call.in[0] = logits;
    call.in[1] = ids;
    call.in[2] = weights;
    call.n_in = 3;
    call.out[0] = g.ids;
    call.out[1] = g.location;
    call.out[2] = g.weights;
    call.out[3] = g.counts;
    call.out[4] = g.loss;
    call.n_out = 5;
    call.spans = span;
    call.n_spans = 1;
    call.gate = rule;
    call.capacity = capacity;
    moe_ctx_do(c, &call, g.ids);
    return g;
}

void moe_gate_release(moe_ctx_t *c, moe_gate_t *gate)
{
    moe_release(c, gate->ids);
    moe_release(c, gate->location);
    moe_release(c, gate->weights);
    moe_release(c, gate->counts);
    moe_release(c, gate->loss);
    *gate = (moe_gate_t){NULL, NULL, NULL, NULL, NULL};
}

static moe_tensor_t *converted(moe_ctx_t *c, moe_tensor_t *t,
                               moe_format_t format)
{
    const moe_tensor_spec_t spec = {.role = t->role,
                                    .storage = {.format = format},
                                    .rows = t->dim[0],
                                    .cols = t->dim[1],
                                    .valid_rows = t->valid_rows};

    return moe_ctx_make_of(c, MOE_OP_convert, t, &spec);
}

moe_tensor_t *moe_round_weights(moe_ctx_t *c, moe_tensor_t *weights)
{
    moe_tensor_t *narrow;
    moe_tensor_t *wide;

    if (c->status != MOE_OK) {
        return NULL;
    }
    narrow = converted(c, weights, moe_ctx_storage(c, MOE_ROLE_hidden)->format);
    wide = converted(c, narrow, MOE_FORMAT_fp32);
    moe_release(c, narrow);
    return wide;
}

/* Choices in another form, of so many columns. */
static void restate(moe_ctx_t *c, moe_op_t op, moe_tensor_t *const in[2],
                    moe_format_t ids, int64_t cols, moe_tensor_t **out[2])
{
    moe_call_t call = {.op = op, .root = -1, .n_in = 2, .n_out = 2};

    *out[0] = *out[1] = NULL;
    if (c->status != MOE_OK) {
        return;
    }
    *out[0] = moe_ctx_numbers(c, MOE_ROLE_topk_ids, ids, in[0]->dim[0], cols,
                              in[0]->valid_rows);
    *out[1] = moe_ctx_numbers(c, MOE_ROLE_topk_weights, MOE_FORMAT_fp32,
                              in[0]->dim[0], cols, in[0]->valid_rows);
    for (int i = 0; i < 2; i++) {
        call.in[i] = in[i];
        call.out[i] = *out[i];
    }
    moe_ctx_do(c, &call, *out[0]);
}

void moe_map_choices(moe_ctx_t *c, moe_tensor_t *ids, moe_tensor_t *weights,
                     moe_tensor_t **map_p, moe_tensor_t **probs_p)
{
    moe_tensor_t *const in[2] = {ids, weights};
    moe_tensor_t **out[2] = {map_p, probs_p};

    restate(c, MOE_OP_map_choices, in, MOE_FORMAT_u8, moe_ctx_model(c)->experts,
            out);
}

void moe_list_choices(moe_ctx_t *c, moe_tensor_t *map, moe_tensor_t *probs,
                      moe_tensor_t **ids_p, moe_tensor_t **weights_p)
{
    moe_tensor_t *const in[2] = {map, probs};
    moe_tensor_t **out[2] = {ids_p, weights_p};

    restate(c, MOE_OP_list_choices, in, MOE_FORMAT_i32, moe_ctx_model(c)->topk,
            out);
}
