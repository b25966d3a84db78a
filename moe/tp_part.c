/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/tp_part.h"

#include "base/checked.h"
#include "moe/operations_collective.h"

#include <stddef.h>

static int64_t at_most(int64_t n, int64_t most)
{
    return n < most ? n : most;
}

moe_tp_part_t moe_tp_part(const moe_layer_t *layer, int rank, int64_t padded)
{
    const moe_layout_t *l = &layer->layout;
    const moe_range_t own =
        moe_layer_tokens(layer, moe_layout_dp_rank(l, rank));
    const int64_t n = own.end - own.begin;
    const moe_range_t rows = moe_layout_part(
        padded, l->tp, moe_layout_group_index(l, MOE_GROUP_tp, rank));
    const int64_t first = at_most(rows.begin, n);

    return (moe_tp_part_t){
        .padded = padded,
        .rows = rows,
        .tokens = {0, own.begin + first, at_most(rows.end, n) - first}};
}

moe_tp_part_t moe_tp_part_equal(const moe_layer_t *layer, int rank)
{
    const moe_layout_t *l = &layer->layout;
    const int64_t each = moe_div_up(moe_layer_longest(layer), l->tp);
    moe_tp_part_t part = moe_tp_part(layer, rank, each * l->tp);

    part.equal = true;
    return part;
}

moe_tensor_t *moe_tp_part_cut(moe_ctx_t *c, const moe_tp_part_t *part,
                              moe_tensor_t *all)
{
    moe_tensor_t *padded = moe_pad_rows(c, all, part->padded);
    moe_tensor_t *own = moe_slice(c, padded, part->rows.begin,
                                  part->rows.end - part->rows.begin);

    moe_release(c, padded);
    return own;
}

/* The first n rows; the argument ends. */
static moe_tensor_t *first_rows(moe_ctx_t *c, moe_tensor_t *t, int64_t n)
{
    moe_tensor_t *rows = moe_slice(c, t, 0, n);

    moe_release(c, t);
    return rows;
}

void moe_tp_part_prepare_stage(moe_ctx_t *c)
{
    moe_tp_plan_t *p = moe_ctx_plan(c);
    const moe_tp_part_t *part = &p->part;
    moe_gathered_t *g = &p->rows;
    const int64_t n =
        part->masked ? part->tokens.n : part->rows.end - part->rows.begin;
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *own = moe_tp_part_cut(c, part, hidden);
    moe_tensor_t *own_logits = moe_tp_part_cut(c, part, logits);
    moe_tensor_t *rows;

    moe_topk(c, own_logits, &part->tokens, 1, &g->ids, &g->weights);
    own = first_rows(c, own, n);
    g->ids = first_rows(c, g->ids, n);
    g->weights = first_rows(c, g->weights, n);
    rows = moe_weigh_input(c, own, g->weights);
    g->x = moe_to(c, rows, MOE_ROLE_dispatch);
    moe_release(c, rows);
    moe_release(c, own);
    moe_release(c, hidden);
    moe_release(c, logits);
    moe_release(c, own_logits);
}

/* Parts of all tp ranks. */
static moe_tensor_t *gather(moe_ctx_t *c, const moe_tp_part_t *part,
                            moe_tensor_t *own)
{
    const int n = moe_ctx_group_size(c, MOE_GROUP_tp);
    int64_t *rows;

    if (part->equal) {
        return moe_allgather(c, MOE_GROUP_tp, own);
    }
    rows = moe_ctx_array(c, n);
    for (int i = 0; rows != NULL && i < n; i++) {
        const moe_range_t of = moe_layout_part(part->padded, n, i);

        rows[i] = of.end - of.begin;
    }
    return moe_allgatherv(c, MOE_GROUP_tp, own, rows);
}

void moe_tp_part_finalize_stage(moe_ctx_t *c)
{
    moe_tp_plan_t *p = moe_ctx_plan(c);
    const moe_tp_part_t *part = &p->part;
    moe_gathered_t *g = &p->rows;
    const moe_layout_t *l = &moe_ctx_layer(c)->layout;
    const int64_t n =
        moe_ctx_layer(c)->tokens[moe_layout_dp_rank(l, moe_ctx_rank(c))];
    moe_tensor_t *sums;
    moe_tensor_t *own;

    if (l->tp == 1) {
        moe_gathered_output(c, g, moe_slice(c, g->y, 0, n), 0, n);
        return;
    }
    sums = moe_to(c, g->y, MOE_ROLE_output);
    own = moe_pad_rows(c, sums, part->rows.end - part->rows.begin);
    moe_release(c, sums);
    moe_gathered_output(c, g, gather(c, part, own), 0, n);
    moe_release(c, own);
}

int64_t moe_tp_part_payload(const moe_layer_t *layer, const moe_tp_part_t *part)
{
    const moe_format_t output = layer->chain.at[MOE_ROLE_output].format;

    return layer->layout.tp == 1
               ? 0
               : (part->rows.end - part->rows.begin) *
                     moe_format_row_bytes(output, layer->model->hidden);
}
