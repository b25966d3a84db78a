/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/padded.h"

#include "moe/needs.h"
#include "moe/operations_collective.h"

#include <stddef.h>

/* Of every card; one without the last is not sequence parallel. */
enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_SEQUENCE = 4
};

const char *moe_padded_check(const moe_layer_t *layer, const int64_t *options)
{
    const moe_layout_t *l = &layer->layout;
    const char *why = moe_needs_experts_over_all(layer);

    if (why == NULL && l->tp > 1 && options[OPTION_SEQUENCE] == 0 &&
        moe_format_is_coded((moe_format_t)options[OPTION_DISPATCH])) {
        why = "needs sequence_parallel: true with tp > 1, where rows are "
              "quantised before they are gathered";
    }
    return why != NULL ? why : moe_needs_weights_on_output(layer);
}

void moe_padded_amend(const moe_model_t *model, const int64_t *options,
                      moe_contract_t *contract)
{
    (void)model;
    if (options[OPTION_SEQUENCE] != 0) {
        contract->points &= ~MOE_ROUND(dp_partial);
    }
}

static bool is_sequence(const moe_layout_t *l, int64_t option)
{
    return option != 0 && l->tp > 1;
}

/* A rank's rows: its dp rank's, padded, or its part of them. */
static moe_tp_part_t part_of(const moe_layer_t *layer, bool sequence, int rank)
{
    const moe_range_t own =
        moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, rank));
    const int64_t longest = moe_layer_longest(layer);

    return sequence
               ? moe_tp_part_equal(layer, rank)
               : (moe_tp_part_t){.padded = longest,
                                 .rows = {0, longest},
                                 .tokens = {0, own.begin, own.end - own.begin}};
}

/* Rows that are routed by all ranks. */
static void lay_out(moe_ctx_t *c, moe_padded_t *p)
{
    const moe_layer_t *layer = moe_ctx_layer(c);
    const moe_layout_t *l = &layer->layout;
    const int64_t each = p->own.part.rows.end - p->own.part.rows.begin;

    p->group = p->sequence ? MOE_GROUP_ep : MOE_GROUP_dp;
    p->n = p->sequence ? l->ep : l->dp;
    p->spans = moe_ctx_spans(c, p->n);
    for (int i = 0; p->spans != NULL && i < p->n; i++) {
        p->spans[i] = part_of(layer, p->sequence,
                              moe_layout_group_member(l, p->group, 0, i))
                          .tokens;
        p->spans[i].row = i * each;
    }
    moe_gathered_plan(c, &p->own.rows, MOE_GROUP_ep,
                      p->n * each - moe_layer_total_tokens(layer));
}

void moe_padded_plan(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);
    const moe_layer_t *layer = moe_ctx_layer(c);

    if (moe_agree_tokens(c, MOE_GROUP_dp) != NULL) {
        p->sequence =
            is_sequence(&layer->layout, moe_ctx_option(c, OPTION_SEQUENCE));
        p->own.part = part_of(layer, p->sequence, moe_ctx_rank(c));
        lay_out(c, p);
    }
}

void moe_padded_prepare(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *own = moe_tp_part_cut(c, &p->own.part, hidden);
    moe_tensor_t *own_logits = moe_tp_part_cut(c, &p->own.part, logits);
    moe_tensor_t *x = moe_to(c, own, MOE_ROLE_dispatch);
    moe_tensor_t *all;

    p->own.rows.x = moe_allgather(c, p->group, x);
    all = moe_allgather(c, p->group, own_logits);
    moe_topk(c, all, p->spans, p->n, &p->own.rows.ids, &p->own.rows.weights);
    moe_release(c, hidden);
    moe_release(c, logits);
    moe_release(c, own);
    moe_release(c, own_logits);
    moe_release(c, x);
    moe_release(c, all);
}

/* Of own tokens, then over tp. */
static void sum_over_tp(moe_ctx_t *c, moe_padded_t *p, moe_tensor_t *sums)
{
    const int64_t n = p->own.part.tokens.n;

    p->own.rows.y = moe_slice(c, sums, 0, n);
    moe_release(c, sums);
    moe_gathered_allreduce(c, &p->own.rows, MOE_GROUP_tp, 0, n);
}

void moe_padded_finalize(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);
    moe_tensor_t *y = p->own.rows.y;
    const bool last = p->sequence || moe_ctx_group_size(c, MOE_GROUP_tp) == 1;
    moe_tensor_t *sums = last ? moe_reducescatter(c, p->group, y)
                              : moe_reducescatter_terms(c, p->group, y);

    moe_release(c, y);
    if (!p->sequence) {
        sum_over_tp(c, p, sums);
        return;
    }
    p->own.rows.y = sums;
    moe_tp_part_finalize_stage(c);
}

int moe_padded_home(const moe_formula_t *f, int64_t token, int slot)
{
    const moe_layer_t *layer = f->layer;
    const moe_layout_t *l = &layer->layout;
    const int owner = moe_layer_owner(layer, token);
    const bool sequence = is_sequence(l, f->options[OPTION_SEQUENCE]);
    const moe_tp_part_t part = part_of(layer, sequence, owner * l->tp);
    const int64_t rows = sequence ? part.padded : part.tokens.n;
    const int64_t row = token - moe_layer_tokens(layer, owner).begin;

    (void)slot;
    return owner * l->tp + moe_layout_part_of(rows, l->tp, row);
}

void moe_padded_payload(const moe_formula_t *f, int64_t *out)
{
    const moe_layer_t *layer = f->layer;
    const moe_layout_t *l = &layer->layout;
    const moe_model_t *m = layer->model;
    const moe_format_t dispatch = (moe_format_t)f->options[OPTION_DISPATCH];
    const int64_t row_bytes = moe_format_row_bytes(
        (moe_format_t)f->options[OPTION_COMBINE], m->hidden);
    const bool sequence = is_sequence(l, f->options[OPTION_SEQUENCE]);
    const moe_tp_part_t part = part_of(layer, sequence, f->rank);
    const int64_t each = part.rows.end - part.rows.begin;

    if (l->dp > 1 || sequence) {
        out[MOE_STAGE_prepare] =
            each * (moe_format_row_bytes(dispatch, m->hidden) +
                    4 * moe_model_choices(m));
        out[MOE_STAGE_finalize] = (sequence ? l->ep : l->dp) * each * row_bytes;
    }
    if (sequence) {
        out[MOE_STAGE_finalize] += moe_tp_part_payload(layer, &part);
    } else if (l->tp > 1) {
        out[MOE_STAGE_finalize] += part.tokens.n * row_bytes;
    }
}
