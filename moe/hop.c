/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/hop.h"

#include <stddef.h>
#include <string.h>

enum {
    FIELDS = 3 /* x, ids, weights */
};

/* To each rank how many rows come. */
static void contribute(const moe_layer_t *layer, const int64_t *option,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    (void)option;
    moe_hop_count(layer, routing, rank, out);
}

void moe_hop_plan_flags(moe_ctx_t *c, moe_hop_t *hop)
{
    hop->group = MOE_GROUP_ep;
    hop->used = true;
    hop->send = moe_own_counts(c, moe_ctx_layer(c)->layout.ep, contribute);
    hop->recv = moe_agree_flags(c, MOE_GROUP_ep, MOE_DTYPE_i32, 1, contribute);
}

void moe_hop_go(moe_ctx_t *c, moe_hop_t *hop, int64_t stride, moe_gathered_t *g)
{
    moe_tensor_t *fields[FIELDS] = {g->x, g->ids, g->weights};
    moe_tensor_t *got[FIELDS] = {NULL};
    moe_tensor_t *records;
    moe_tensor_t *came;

    hop->index = hop->in_slots
                     ? moe_sort_first_slots(c, g->ids, hop->group, hop->send)
                     : moe_sort_members(c, g->ids, hop->group, hop->send);
    for (int i = 0; i < FIELDS; i++) {
        got[i] = moe_gather_rows(c, fields[i], hop->index);
    }
    records = moe_pack_rows(c, got, FIELDS, 1, stride);
    came = moe_alltoallv(c, hop->group, records, hop->send, hop->recv);
    moe_release(c, records);
    for (int i = 0; i < FIELDS; i++) {
        moe_release(c, got[i]);
    }
    moe_unpack_rows(c, came, fields, FIELDS, 1, got);
    moe_release(c, came);
    for (int i = 0; i < FIELDS; i++) {
        moe_release(c, fields[i]);
    }
    g->x = got[0];
    g->ids = got[1];
    g->weights = got[2];
}

void moe_hop_back(moe_ctx_t *c, moe_hop_t *hop, moe_gathered_t *g)
{
    moe_tensor_t *sums = moe_to_combine(c, g->y);
    moe_tensor_t *back = moe_alltoallv_records(c, hop->group, sums, hop->back,
                                               hop->recv, hop->send);

    moe_release(c, g->y);
    moe_release(c, sums);
    g->y = moe_sum_rows(c, back, hop->index);
    moe_release(c, back);
    moe_release(c, hop->index);
}

void moe_hop_finalize_stage(moe_ctx_t *c)
{
    moe_gathered_t *g = moe_ctx_plan(c);

    moe_output(c, g->y);
    moe_release(c, g->y);
}

void moe_hop_count(const moe_layer_t *layer, const moe_routing_t *routing,
                   int rank, int64_t *out)
{
    const moe_range_t own = moe_layer_tokens(layer, rank);
    const moe_holders_t holders =
        moe_layout_holders(&layer->layout, layer->model->experts);
    int holder[MOE_TOPK_MAX];

    memset(out, 0, (size_t)layer->layout.ep * sizeof(*out));
    for (int64_t t = own.begin; t < own.end; t++) {
        const int32_t *ids =
            routing->ids + (t - routing->first) * routing->topk;

        for (int s = 0; s < routing->topk; s++) {
            int before = 0;

            holder[s] = moe_holder_of(&holders, ids[s]);
            while (holder[before] != holder[s]) {
                before++;
            }
            out[holder[s]] += before == s;
        }
    }
}

int64_t moe_hop_rows(const moe_layer_t *layer, const moe_routing_t *routing,
                     int first, int stride, int to, int n_to)
{
    const moe_layout_t *l = &layer->layout;
    moe_range_t experts =
        moe_layout_experts_of(l, layer->model->experts, to, n_to);
    int64_t rows = 0;

    for (int s = first; s < l->ep; s += stride) {
        rows +=
            moe_routing_touching(routing, moe_layer_tokens(layer, s), experts);
    }
    return rows;
}

void moe_hop_payload(const moe_formula_t *f, int64_t message,
                     moe_format_t combine, int64_t *out)
{
    const moe_layer_t *layer = f->layer;
    const int n = layer->layout.ep;

    if (n == 1) {
        return;
    }
    out[MOE_STAGE_prepare] = 4 * n;
    for (int j = 0; j < n; j++) {
        out[MOE_STAGE_permute] +=
            moe_hop_rows(layer, f->routing, f->rank, n, j, 1) * message;
    }
    out[MOE_STAGE_unpermute] =
        moe_hop_rows(layer, f->routing, 0, 1, f->rank, 1) *
        moe_format_row_bytes(combine, layer->model->hidden);
}
