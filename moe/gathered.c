/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/gathered.h"

#include "moe/movement.h"
#include "moe/operations_collective.h"

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
