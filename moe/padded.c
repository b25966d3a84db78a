/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/padded.h"

#include "moe/operations_collective.h"

#include <stddef.h>

/* Of every card. */
enum {
    OPTION_DISPATCH,
    OPTION_COMBINE
};

const char *moe_padded_check(const moe_layer_t *layer, const int64_t *options)
{
    const moe_layout_t *l = &layer->layout;

    (void)options;
    if (l->ep != moe_layout_world(l)) {
        return "needs ep = dp x tp: experts lie over all ranks";
    }
    if (layer->model->weight_on_input) {
        return "needs weights on the experts' output: rows are sent before "
               "they have any";
    }
    return l->dp > 1 && l->tp > 1
               ? "needs dp = 1 or tp = 1: sums are rounded once on their way"
               : NULL;
}

static int64_t longest(const int64_t *tokens, int n)
{
    int64_t each = 0;

    for (int i = 0; i < n; i++) {
        each = tokens[i] > each ? tokens[i] : each;
    }
    return each;
}

void moe_padded_plan(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);
    const int64_t *tokens = moe_agree_tokens(c, MOE_GROUP_dp);
    int64_t token = 0;

    p->n = moe_ctx_group_size(c, MOE_GROUP_dp);
    p->spans = moe_ctx_spans(c, p->n);
    if (tokens == NULL || p->spans == NULL) {
        return;
    }
    p->each = longest(tokens, p->n);
    p->own = tokens[moe_ctx_group_index(c, MOE_GROUP_dp)];
    for (int i = 0; i < p->n; i++) {
        p->spans[i] = (moe_span_t){i * p->each, token, tokens[i]};
        token += tokens[i];
    }
    p->all.rows =
        moe_agree_expert_rows(c, MOE_GROUP_ep, p->n * p->each - token);
}

void moe_padded_prepare(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *own = moe_logits(c, hidden);
    moe_tensor_t *rows = moe_pad_rows(c, hidden, p->each);
    moe_tensor_t *own_rows = moe_pad_rows(c, own, p->each);
    moe_tensor_t *x = moe_to(c, rows, MOE_ROLE_dispatch);
    moe_tensor_t *logits;

    p->all.x = moe_allgather(c, MOE_GROUP_dp, x);
    logits = moe_allgather(c, MOE_GROUP_dp, own_rows);
    moe_topk(c, logits, p->spans, p->n, &p->all.ids, &p->all.weights);
    moe_release(c, hidden);
    moe_release(c, own);
    moe_release(c, rows);
    moe_release(c, own_rows);
    moe_release(c, x);
    moe_release(c, logits);
}

void moe_padded_finalize(moe_ctx_t *c)
{
    moe_padded_t *p = moe_ctx_plan(c);
    moe_tensor_t *sums = p->n > 1 ? moe_reducescatter(c, MOE_GROUP_dp, p->all.y)
                                  : moe_allreduce(c, MOE_GROUP_tp, p->all.y);

    moe_gathered_output(c, &p->all, sums, 0, p->own);
}

int moe_padded_home(const moe_formula_t *f, int64_t token)
{
    const moe_layer_t *layer = f->layer;

    return layer->layout.dp > 1
               ? moe_layer_owner(layer, token)
               : moe_layout_part_of(layer->tokens[0], layer->layout.tp, token);
}

void moe_padded_payload(const moe_formula_t *f, int64_t *out)
{
    const moe_layer_t *layer = f->layer;
    const moe_layout_t *l = &layer->layout;
    const moe_model_t *m = layer->model;
    moe_format_t dispatch = (moe_format_t)f->options[OPTION_DISPATCH];
    moe_format_t combine = (moe_format_t)f->options[OPTION_COMBINE];
    int64_t each = longest(layer->tokens, l->dp);

    if (l->dp > 1) {
        out[MOE_STAGE_prepare] =
            each * (moe_format_row_bytes(dispatch, m->hidden) +
                    4 * (int64_t)m->experts);
    }
    if (moe_layout_world(l) > 1) {
        out[MOE_STAGE_finalize] =
            l->dp * each * moe_format_row_bytes(combine, m->hidden);
    }
}
