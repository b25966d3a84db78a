/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/padded.h"

#include "moe/needs.h"
#include "moe/operations_collective.h"

#include <stddef.h>

/* Of every card. */
enum {
    OPTION_DISPATCH,
    OPTION_COMBINE
};

const char *moe_padded_check(const moe_layer_t *layer, const int64_t *options)
{
    const char *why = moe_needs_experts_over_all(layer);

    (void)options;
    return why != NULL ? why : moe_needs_weights_on_output(layer);
}

const char *moe_padded_check_seed(const moe_layer_t *layer,
                                  const int64_t *options)
{
    return layer->layout.dp > 1 && layer->layout.tp > 1
               ? "needs dp = 1 or tp = 1: sums are rounded once on their way"
               : moe_padded_check(layer, options);
}

/* Rows that are routed by all ranks: parts of all of them, or with dp = 1 the
 * tokens, which all have. */
static void lay_out(moe_ctx_t *c, moe_padded_t *p)
{
    const moe_layer_t *layer = moe_ctx_layer(c);
    const int64_t all = moe_layer_total_tokens(layer);
    const bool whole = layer->layout.dp == 1;
    const int64_t each = p->own.part.rows.end - p->own.part.rows.begin;

    p->group = layer->layout.tp == 1 ? MOE_GROUP_dp : MOE_GROUP_ep;
    p->n = whole ? 1 : layer->layout.ep;
    p->spans = moe_ctx_spans(c, p->n);
    for (int r = 0; p->spans != NULL && r < p->n; r++) {
        p->spans[r] = whole ? (moe_span_t){0, 0, all}
                            : moe_tp_part_equal(layer, r).tokens;
        p->spans[r].row = r * each;
    }
    p->own.rows.rows =
        moe_agree_expert_rows(c, MOE_GROUP_ep, whole ? 0 : p->n * each - all);
}

void moe_padded_plan(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);

    if (moe_agree_tokens(c, MOE_GROUP_dp) != NULL) {
        p->own.part = moe_tp_part_equal(moe_ctx_layer(c), moe_ctx_rank(c));
        lay_out(c, p);
    }
}

/* What every rank has of its own, of all. */
static moe_tensor_t *gather(moe_ctx_t *c, const moe_padded_t *p,
                            moe_tensor_t *own)
{
    return p->n == 1 ? moe_pad_rows(c, own, p->spans[0].n)
                     : moe_allgather(c, p->group, own);
}

void moe_padded_prepare(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);
    const bool whole = p->n == 1;
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *own = whole ? moe_pad_rows(c, hidden, p->spans[0].n)
                              : moe_tp_part_cut(c, &p->own.part, hidden);
    moe_tensor_t *own_logits = whole ? moe_pad_rows(c, logits, p->spans[0].n)
                                     : moe_tp_part_cut(c, &p->own.part, logits);
    moe_tensor_t *x = moe_to(c, own, MOE_ROLE_dispatch);
    moe_tensor_t *all;

    p->own.rows.x = gather(c, p, x);
    all = gather(c, p, own_logits);
    moe_topk(c, all, p->spans, p->n, &p->own.rows.ids, &p->own.rows.weights);
    moe_release(c, hidden);
    moe_release(c, logits);
    moe_release(c, own);
    moe_release(c, own_logits);
    moe_release(c, x);
    moe_release(c, all);
}

void moe_padded_finalize(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);
    moe_gathered_t *g = &p->own.rows;
    moe_tensor_t *sums;

    if (p->n == 1) {
        moe_gathered_allreduce(c, g, MOE_GROUP_tp, 0, p->spans[0].n);
        return;
    }
    sums = moe_reducescatter(c, p->group, g->y);
    moe_release(c, g->y);
    g->y = sums;
    moe_tp_part_finalize_stage(c);
}

int moe_padded_home(const moe_formula_t *f, int64_t token, int slot)
{
    const moe_layer_t *layer = f->layer;
    const moe_layout_t *l = &layer->layout;
    const int owner = moe_layer_owner(layer, token);
    const moe_tp_part_t part = moe_tp_part_equal(layer, owner * l->tp);
    const int64_t row = token - moe_layer_tokens(layer, owner).begin;

    (void)slot;
    return l->dp > 1
               ? owner * l->tp + moe_layout_part_of(part.padded, l->tp, row)
               : moe_layout_part_of(layer->tokens[0], l->tp, token);
}

void moe_padded_payload(const moe_formula_t *f, int64_t *out)
{
    const moe_layer_t *layer = f->layer;
    const moe_layout_t *l = &layer->layout;
    const moe_model_t *m = layer->model;
    moe_format_t dispatch = (moe_format_t)f->options[OPTION_DISPATCH];
    moe_format_t combine = (moe_format_t)f->options[OPTION_COMBINE];
    const moe_tp_part_t part = moe_tp_part_equal(layer, f->rank);
    const int64_t each = part.rows.end - part.rows.begin;

    if (l->dp > 1) {
        out[MOE_STAGE_prepare] =
            each * (moe_format_row_bytes(dispatch, m->hidden) +
                    4 * moe_model_choices(m));
        out[MOE_STAGE_finalize] =
            l->ep * each * moe_format_row_bytes(combine, m->hidden) +
            moe_tp_part_payload(layer, &part);
    } else if (l->tp > 1) {
        out[MOE_STAGE_finalize] =
            layer->tokens[0] * moe_format_row_bytes(combine, m->hidden);
    }
}
