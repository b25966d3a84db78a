/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/pairs.h"

#include "moe/routing.h"

#include <stddef.h>
#include <string.h>

int64_t moe_pairs_numbers(const moe_layer_t *layer)
{
    const int64_t ep = layer->layout.ep;

    return (layer->model->experts + ep - 1) / ep;
}

/* To each rank the rows for each of its experts. */
static void contribute(const moe_layer_t *layer, const int64_t *option,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    const moe_layout_t *l = &layer->layout;
    const moe_holders_t holders = moe_layout_holders(l, layer->model->experts);
    const int64_t each = moe_pairs_numbers(layer);
    const moe_span_t own = moe_tp_part_equal(layer, rank).tokens;
    const int32_t *id =
        routing->ids + (own.token - routing->first) * routing->topk;

    (void)option;
    memset(out, 0, (size_t)(l->ep * each) * sizeof(*out));
    for (int64_t i = 0; i < own.n * routing->topk; i++) {
        const int j = moe_holder_of(&holders, id[i]);

        out[j * each + id[i] - moe_holder_first(&holders, j)]++;
    }
}

void moe_pairs_plan(moe_ctx_t *c, const int64_t *own, const int64_t *told,
                    int64_t each, moe_pairs_t *p)
{
    const moe_layer_t *layer = moe_ctx_layer(c);
    const int64_t experts = layer->model->experts;
    const int n = layer->layout.ep;
    const moe_range_t local = moe_ctx_experts(c);
    int64_t *send = moe_ctx_array(c, n);
    int64_t *recv = moe_ctx_array(c, n);
    int64_t *chunks = moe_ctx_array(c, n * (local.end - local.begin));

    *p =
        (moe_pairs_t){.own = own, .send = send, .recv = recv, .chunks = chunks};
    for (int64_t e = 0; chunks != NULL && own != NULL && e < experts; e++) {
        send[moe_layout_holder(&layer->layout, experts, e)] += own[e];
    }
    for (int s = 0; chunks != NULL && told != NULL && s < n; s++) {
        for (int64_t e = 0; e < local.end - local.begin; e++) {
            *chunks++ = told[s * each + e];
            recv[s] += told[s * each + e];
        }
    }
}

/* Rows of own tokens for each expert. */
static void count_own(const moe_layer_t *layer, const int64_t *option, int rank,
                      const moe_routing_t *routing, int64_t *out)
{
    const moe_span_t own = moe_tp_part_equal(layer, rank).tokens;

    (void)option;
    moe_routing_count(routing, own.token, own.token + own.n, out);
}

void moe_pairs_plan_flags(moe_ctx_t *c, moe_pairs_t *p)
{
    const int64_t each = moe_pairs_numbers(moe_ctx_layer(c));
    const int64_t *own =
        moe_own_counts(c, moe_ctx_model(c)->experts, count_own);

    moe_pairs_plan(
        c, own,
        moe_agree_flags(c, MOE_GROUP_ep, MOE_DTYPE_i32, (int)each, contribute),
        each, p);
}

/* Where padding of the parts is not sent. */
static void cut_masked(moe_ctx_t *c, moe_pair_plan_t *p)
{
    p->own.part = moe_tp_part_equal(moe_ctx_layer(c), moe_ctx_rank(c));
    p->own.part.masked = true;
}

void moe_pairs_plan_masked(moe_ctx_t *c, moe_pair_plan_t *p)
{
    cut_masked(c, p);
    moe_pairs_plan_flags(c, &p->pairs);
}

int64_t moe_pairs_table(const moe_layer_t *layer)
{
    return moe_align(layer->model->experts + 1, 128);
}

/* To each rank the rows for every expert. */
static void contribute_table(const moe_layer_t *layer, const int64_t *option,
                             int rank, const moe_routing_t *routing,
                             int64_t *out)
{
    const int64_t each = moe_pairs_table(layer);

    memset(out, 0, (size_t)(layer->layout.ep * each) * sizeof(*out));
    for (int r = 0; r < layer->layout.ep; r++) {
        count_own(layer, option, rank, routing, out + r * each);
    }
}

void moe_pairs_plan_table(moe_ctx_t *c, moe_pair_plan_t *p)
{
    const int64_t each = moe_pairs_table(moe_ctx_layer(c));
    const int64_t *told = moe_agree_flags(c, MOE_GROUP_ep, MOE_DTYPE_i32,
                                          (int)each, contribute_table);

    cut_masked(c, p);
    if (told != NULL) {
        moe_pairs_plan(c,
                       moe_own_counts(c, moe_ctx_model(c)->experts, count_own),
                       told + moe_ctx_experts(c).begin, each, &p->pairs);
    }
}

/* Rows there, as they are or one record each; and whose they are. */
static void move(moe_ctx_t *c, moe_pairs_t *p, moe_tensor_t *rows,
                 moe_tensor_t **came_p)
{
    const int n = p->by_origin ? 2 : 1;
    moe_tensor_t *fields[2] = {rows, NULL};
    moe_tensor_t *got[2] = {NULL};
    moe_tensor_t *records;
    moe_tensor_t *came;

    if (p->message == 0) {
        *came_p = moe_alltoallv(c, MOE_GROUP_ep, rows, p->send, p->recv);
        return;
    }
    fields[1] = p->by_origin ? moe_origins(c, p->by_rank) : NULL;
    records = moe_pack_rows(c, fields, n, 1, p->message);
    came = moe_alltoallv(c, MOE_GROUP_ep, records, p->send, p->recv);
    moe_release(c, records);
    moe_unpack_rows(c, came, fields, n, 1, got);
    moe_release(c, came);
    moe_release(c, fields[1]);
    *came_p = got[0];
    p->origins = got[1];
}

/* Weights of the pairs, for the experts. */
static void send_weights(moe_ctx_t *c, const moe_pairs_t *p, moe_gathered_t *g)
{
    moe_tensor_t *own = moe_pair_weights(c, g->weights, p->by_rank);
    moe_tensor_t *came = moe_alltoallv(c, MOE_GROUP_ep, own, p->send, p->recv);

    g->row_weights = moe_gather_rows(c, came, g->index);
    moe_release(c, own);
    moe_release(c, came);
}

static void go(moe_ctx_t *c, moe_pairs_t *p, moe_gathered_t *g)
{
    moe_tensor_t *rows;
    moe_tensor_t *came;
    moe_tensor_t *in;

    p->by_rank = moe_sort_pairs(c, g->ids, p->own);
    rows = moe_gather_rows(c, g->x, p->by_rank);
    move(c, p, rows, &came);
    g->index =
        moe_sort_chunks(c, p->chunks, moe_ctx_group_size(c, MOE_GROUP_ep), 0);
    in = moe_to(c, came, MOE_ROLE_expert_in);
    if (moe_ctx_weighs_activation(c)) {
        send_weights(c, p, g);
    }
    moe_release(c, g->x);
    moe_release(c, g->ids);
    moe_release(c, rows);
    g->x = moe_gather_rows(c, in, g->index);
    moe_release(c, came);
    moe_release(c, in);
    if (p->by_origin) {
        came = p->origins;
        p->origins = moe_gather_rows(c, came, g->index);
        moe_release(c, came);
    }
}

/* The experts' rows in the order in which they came. */
static moe_tensor_t *as_they_came(moe_ctx_t *c, moe_pairs_t *p,
                                  const moe_gathered_t *g)
{
    moe_tensor_t *index;
    moe_tensor_t *rows;

    if (!p->by_origin) {
        return moe_scatter_rows(c, g->y, g->index);
    }
    index = moe_sort_sources(c, p->origins, MOE_GROUP_ep, p->recv);
    rows = moe_gather_rows(c, g->y, index);
    moe_release(c, index);
    moe_release(c, p->origins);
    return rows;
}

void moe_pairs_permute_stage(moe_ctx_t *c)
{
    moe_pair_plan_t *p = moe_ctx_plan(c);

    if (p->pairs.dispatch == NULL) {
        go(c, &p->pairs, &p->own.rows);
        return;
    }
    moe_group_begin(c, true, p->pairs.dispatch);
    go(c, &p->pairs, &p->own.rows);
    moe_group_end(c);
}

static void back(moe_ctx_t *c, moe_pairs_t *p, moe_gathered_t *g)
{
    moe_tensor_t *as_came = as_they_came(c, p, g);
    moe_tensor_t *rows = moe_to_combine(c, as_came);
    moe_tensor_t *home = moe_alltoallv(c, MOE_GROUP_ep, rows, p->recv, p->send);

    moe_release(c, g->y);
    moe_release(c, g->index);
    moe_release(c, as_came);
    moe_release(c, rows);
    g->y = moe_weighted_sum(c, home, p->by_rank, g->weights);
    moe_release(c, home);
    moe_release(c, p->by_rank);
    moe_release(c, g->weights);
}

void moe_pairs_unpermute_stage(moe_ctx_t *c)
{
    moe_pair_plan_t *p = moe_ctx_plan(c);

    if (p->pairs.combine == NULL) {
        back(c, &p->pairs, &p->own.rows);
        return;
    }
    moe_group_begin(c, true, p->pairs.combine);
    back(c, &p->pairs, &p->own.rows);
    moe_group_end(c);
}

void moe_pairs_payload_of(const moe_formula_t *f, const moe_tp_part_t *part,
                          int64_t rows, int64_t padding, int64_t message,
                          moe_format_t combine, int64_t *out)
{
    const moe_layout_t *l = &f->layer->layout;
    const moe_model_t *m = f->layer->model;
    const moe_range_t all = {0, moe_layer_total_tokens(f->layer)};
    const int place = moe_layout_group_index(l, MOE_GROUP_ep, f->rank);
    const moe_range_t local = moe_layout_experts(l, m->experts, place);
    int64_t pairs = moe_routing_pairs(f->routing, all, local);

    if (l->ep == 1) {
        return;
    }
    for (int i = 0; i < f->routing->topk && padding > 0; i++) {
        const int32_t e = f->routing->pad_ids[i];

        pairs += e >= local.begin && e < local.end ? padding : 0;
    }
    out[MOE_STAGE_prepare] = 4 * l->ep * moe_pairs_numbers(f->layer);
    out[MOE_STAGE_permute] = rows * m->topk * message;
    out[MOE_STAGE_unpermute] = moe_format_row_bytes(combine, m->hidden) * pairs;
    out[MOE_STAGE_finalize] = moe_tp_part_payload(f->layer, part);
}

void moe_pairs_payload(const moe_formula_t *f, int64_t message,
                       moe_format_t combine, int64_t *out)
{
    const moe_tp_part_t part = moe_tp_part_equal(f->layer, f->rank);

    moe_pairs_payload_of(f, &part, part.tokens.n, 0, message, combine, out);
}
