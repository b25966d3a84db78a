/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/gathered.h"

#include "moe/movement.h"
#include "moe/operations_collective.h"

/* Of the cards of families F0 and F1. */
enum {
    OPTION_DISPATCH,
    OPTION_COMBINE
};

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

void moe_gathered_permute(moe_ctx_t *c, moe_gathered_t *g)
{
    moe_tensor_t *in = moe_to(c, g->x, MOE_ROLE_expert_in);
    moe_tensor_t *tiled = moe_swizzle(c, in, g->scales);

    g->index = moe_group_rows(c, g->ids, g->rows);
    moe_release(c, g->x);
    moe_release(c, g->ids);
    g->x = moe_gather_rows(c, tiled, g->index);
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

    g->y = moe_experts(c, g->x, g->index);
    moe_release(c, g->x);
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
