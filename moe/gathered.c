/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/gathered.h"

#include "moe/movement.h"
#include "moe/operations_collective.h"

/* Of the cards of families F0 and F1. */
enum {
    OPTION_DISPATCH,
    OPTION_COMBINE
};

void moe_gathered_plan(moe_ctx_t *c, moe_gathered_t *g, moe_group_t group,
                       int64_t n_pad)
{
    const moe_layer_t *layer = moe_ctx_layer(c);

    if (layer->mapping_rank < 0 || layer->mapping_rank == moe_ctx_rank(c)) {
        g->mapping = layer->mapping;
    }
    g->rows = moe_agree_expert_rows(c, group, g->mapping, n_pad);
}

void moe_own_prepare_stage(moe_ctx_t *c)
{
    moe_gathered_t *g = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *rows;

    moe_topk(c, logits, moe_ctx_own_span(c), 1, &g->ids, &g->weights);
    rows = moe_weigh_input(c, hidden, g->weights);
    g->x = moe_to(c, rows, MOE_ROLE_dispatch);
    moe_release(c, rows);
    moe_release(c, hidden);
    moe_release(c, logits);
}

void moe_along_own(moe_ctx_t *c, moe_along_t how, moe_tensor_t *logits,
                   moe_tensor_t *own[2])
{
    moe_tensor_t *ids;
    moe_tensor_t *weights;

    if (how == MOE_ALONG_logits) {
        own[0] = logits;
        own[1] = NULL;
        return;
    }
    moe_topk(c, logits, moe_ctx_own_span(c), 1, &ids, &weights);
    moe_release(c, logits);
    if (how == MOE_ALONG_topk) {
        own[0] = weights;
        own[1] = ids;
        return;
    }
    moe_map_choices(c, ids, weights, &own[1], &own[0]);
    moe_release(c, ids);
    moe_release(c, weights);
}

void moe_along_all(moe_ctx_t *c, moe_along_t how, moe_tensor_t *all[2],
                   moe_gathered_t *g)
{
    if (how == MOE_ALONG_topk) {
        g->weights = all[0];
        g->ids = all[1];
        return;
    }
    if (how == MOE_ALONG_logits) {
        moe_topk(c, all[0], moe_ctx_all_span(c), 1, &g->ids, &g->weights);
    } else {
        moe_list_choices(c, all[1], all[0], &g->ids, &g->weights);
        moe_release(c, all[1]);
    }
    moe_release(c, all[0]);
}

int64_t moe_along_bytes(const moe_model_t *model, moe_along_t how)
{
    return how == MOE_ALONG_topk     ? 8 * (int64_t)model->topk
           : how == MOE_ALONG_logits ? 4 * moe_model_choices(model)
                                     : 5 * (int64_t)model->experts;
}

void moe_gathered_permute(moe_ctx_t *c, moe_gathered_t *g)
{
    moe_tensor_t *in = moe_to(c, g->x, MOE_ROLE_expert_in);
    moe_tensor_t *tiled = moe_swizzle(c, in, g->scales);

    g->index = moe_group_rows(c, g->ids, g->mapping, g->rows);
    moe_release(c, g->x);
    moe_release(c, g->ids);
    g->x = moe_gather_rows(c, tiled, g->index);
    if (moe_ctx_weighs_activation(c)) {
        g->row_weights = moe_pair_weights(c, g->weights, g->index);
    }
    moe_release(c, in);
    moe_release(c, tiled);
}

void moe_gathered_permute_stage(moe_ctx_t *c)
{
    moe_gathered_permute(c, moe_ctx_plan(c));
}

void moe_gathered_experts_stage(moe_ctx_t *c)
{
    moe_gathered_t *g = moe_ctx_plan(c);

    g->y = moe_experts(c, g->x, g->index, g->row_weights);
    moe_release(c, g->x);
    moe_release(c, g->row_weights);
}

void moe_gathered_unpermute(moe_ctx_t *c, moe_gathered_t *g)
{
    moe_tensor_t *sums = g->rows_first
                             ? moe_weigh_grouped(c, g->y, g->index, g->weights)
                             : moe_weighted_sum(c, g->y, g->index, g->weights);

    moe_release(c, g->y);
    if (!g->rows_first) {
        moe_release(c, g->index);
    }
    moe_release(c, g->weights);
    g->y = sums;
}

void moe_gathered_unpermute_stage(moe_ctx_t *c)
{
    moe_gathered_unpermute(c, moe_ctx_plan(c));
}

void moe_gathered_allreduce(moe_ctx_t *c, moe_gathered_t *g, moe_group_t group,
                            int64_t row, int64_t n)
{
    moe_tensor_t *rows;
    moe_tensor_t *sums;

    if (!g->rows_first) {
        moe_gathered_output(c, g, moe_allreduce(c, group, g->y), row, n);
        return;
    }
    rows = moe_allreduce_terms(c, group, g->y);
    sums = moe_sum_rows(c, rows, g->index);
    moe_release(c, rows);
    moe_release(c, g->index);
    moe_gathered_output(c, g, sums, row, n);
}

void moe_gathered_output(moe_ctx_t *c, moe_gathered_t *g, moe_tensor_t *sums,
                         int64_t row, int64_t n)
{
    moe_tensor_t *own = moe_slice(c, sums, row, n);

    moe_release(c, g->y);
    moe_output(c, own);
    moe_release(c, own);
    moe_release(c, sums);
}

int moe_home_owner(const moe_formula_t *f, int64_t token, int slot)
{
    (void)slot;
    return moe_layer_owner(f->layer, token);
}

int moe_home_block(const moe_formula_t *f, int64_t token, int slot)
{
    (void)slot;
    return moe_layout_part_of(moe_layer_total_tokens(f->layer),
                              f->layer->layout.dp, token);
}

void moe_gathered_payload(const moe_formula_t *f, int64_t sent, int64_t routed,
                          int64_t summed, int64_t *out)
{
    const int64_t hidden = f->layer->model->hidden;
    const moe_format_t dispatch = (moe_format_t)f->options[OPTION_DISPATCH];
    const moe_format_t combine = (moe_format_t)f->options[OPTION_COMBINE];

    if (moe_layout_world(&f->layer->layout) == 1) {
        return;
    }
    out[MOE_STAGE_prepare] =
        sent * (moe_format_row_bytes(dispatch, hidden) + routed);
    out[MOE_STAGE_finalize] = summed * moe_format_row_bytes(combine, hidden);
}
