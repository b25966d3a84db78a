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
    const int64_t experts = layer->model->experts;
    const int64_t each = moe_pairs_numbers(layer);
    const moe_range_t own = moe_layer_tokens(layer, rank);
    const int32_t *id =
        routing->ids + (own.begin - routing->first) * routing->topk;

    (void)option;
    memset(out, 0, (size_t)(l->ep * each) * sizeof(*out));
    for (int64_t i = 0; i < (own.end - own.begin) * routing->topk; i++) {
        const int j = moe_layout_holder(l, experts, id[i]);

        out[j * each + id[i] - moe_layout_experts(l, experts, j).begin]++;
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
    const moe_range_t own = moe_layer_tokens(layer, rank);

    (void)option;
    moe_routing_count(routing, own.begin, own.end, out);
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

/* Rows there: as they are, or one record each. */
static moe_tensor_t *move(moe_ctx_t *c, const moe_pairs_t *p, int64_t stride,
                          moe_tensor_t *rows)
{
    moe_tensor_t *records;
    moe_tensor_t *came;
    moe_tensor_t *got;

    if (stride == 0) {
        return moe_alltoallv(c, MOE_GROUP_ep, rows, p->send, p->recv);
    }
    records = moe_pack_rows(c, &rows, 1, 1, stride);
    came = moe_alltoallv(c, MOE_GROUP_ep, records, p->send, p->recv);
    moe_release(c, records);
    moe_unpack_rows(c, came, &rows, 1, 1, &got);
    moe_release(c, came);
    return got;
}

void moe_pairs_go(moe_ctx_t *c, moe_pairs_t *p, int64_t stride,
                  moe_gathered_t *g)
{
    moe_tensor_t *rows;
    moe_tensor_t *came;
    moe_tensor_t *in;

    p->by_rank = moe_sort_pairs(c, g->ids, p->own);
    rows = moe_gather_rows(c, g->x, p->by_rank);
    came = move(c, p, stride, rows);
    g->index =
        moe_sort_chunks(c, p->chunks, moe_ctx_group_size(c, MOE_GROUP_ep), 0);
    in = moe_to(c, came, MOE_ROLE_expert_in);
    moe_release(c, g->x);
    moe_release(c, g->ids);
    moe_release(c, rows);
    g->x = moe_gather_rows(c, in, g->index);
    moe_release(c, came);
    moe_release(c, in);
}

void moe_pairs_back(moe_ctx_t *c, moe_pairs_t *p, moe_gathered_t *g)
{
    moe_tensor_t *as_came = moe_scatter_rows(c, g->y, g->index);
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
