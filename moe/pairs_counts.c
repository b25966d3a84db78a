/* SPDX-License-Identifier: Apache-2.0 */
/* Rows whose counts for every expert ranks gather, or tell each other, before
 * they are cut and sent. */
#include "moe/pairs.h"

#include "moe/routing.h"

#include <stddef.h>
#include <string.h>

/* vLLM-Ascend pads to tp rows at least, and cuts what may be unequal parts. */
static moe_tp_part_t part_of(const moe_layer_t *layer, int rank)
{
    const moe_layout_t *l = &layer->layout;
    const int64_t n = layer->tokens[moe_layout_dp_rank(l, rank)];

    return moe_tp_part(layer, rank, l->tp > 1 && n < l->tp ? l->tp : n);
}

static int64_t rows_of(const moe_tp_part_t *part)
{
    return part->rows.end - part->rows.begin;
}

static void contribute(const moe_layer_t *layer, const int64_t *option,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    const moe_tp_part_t part = part_of(layer, rank);
    const moe_span_t *own = &part.tokens;

    (void)option;
    for (int64_t e = 0; e < layer->model->experts; e++) {
        out[e] = 0;
    }
    moe_routing_count(routing, own->token, own->token + own->n, out);
    for (int i = 0; i < routing->topk; i++) {
        out[routing->pad_ids[i]] += rows_of(&part) - own->n;
    }
}

/* The same by the ranks that have the experts, [R][ceil(E / R)]. */
static void contribute_told(const moe_layer_t *layer, const int64_t *option,
                            int rank, const moe_routing_t *routing,
                            int64_t *out)
{
    const int64_t experts = layer->model->experts;
    const int64_t each = moe_pairs_numbers(layer);
    const moe_layout_t *l = &layer->layout;

    contribute(layer, option, rank, routing, out);
    for (int r = l->ep - 1; r >= 0; r--) {
        const moe_range_t local = moe_layout_experts(l, experts, r);
        const int64_t n = local.end - local.begin;

        memmove(out + r * each, out + local.begin, (size_t)n * sizeof(*out));
        memset(out + r * each + n, 0, (size_t)(each - n) * sizeof(*out));
    }
}

void moe_pairs_plan_counts(moe_ctx_t *c, bool told, moe_pair_plan_t *p)
{
    const int64_t experts = moe_ctx_model(c)->experts;
    const int64_t each = moe_pairs_numbers(moe_ctx_layer(c));
    const int64_t *counts =
        told ? moe_agree_told(c, MOE_GROUP_ep, MOE_DTYPE_i64, (int)each,
                              contribute_told)
             : moe_agree(c, MOE_GROUP_ep, MOE_AGREE_allgather, MOE_DTYPE_i64,
                         (int)experts, contribute);

    p->own.part = part_of(moe_ctx_layer(c), moe_ctx_rank(c));
    if (counts != NULL) {
        moe_pairs_plan(c, moe_own_counts(c, experts, contribute),
                       told ? counts : counts + moe_ctx_experts(c).begin,
                       told ? each : experts, &p->pairs);
    }
}

void moe_pairs_payload_counts(const moe_formula_t *f, bool told,
                              int64_t message, moe_format_t combine,
                              int64_t *out)
{
    const int ep = f->layer->layout.ep;
    const moe_tp_part_t own = part_of(f->layer, f->rank);
    int64_t padding = 0;

    for (int r = 0; r < ep; r++) {
        const moe_tp_part_t part = part_of(f->layer, r);

        padding += rows_of(&part) - part.tokens.n;
    }
    moe_pairs_payload_of(f, &own, rows_of(&own), padding, message, combine,
                         out);
    if (ep > 1) {
        out[MOE_STAGE_prepare] = told ? 8 * ep * moe_pairs_numbers(f->layer)
                                      : 8 * f->layer->model->experts;
    }
}
