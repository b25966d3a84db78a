/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naive_multicast: vLLM's first DP+EP manager, for tests and debugging.
 *
 * How it works: every rank copies its tokens and their router logits into
 * buffers of all T rows; for each rank in turn one broadcast brings its rows
 * to the others, of hidden states, then of logits; every rank routes all
 * tokens and runs its experts; an all-reduce of T rows and a slice bring the
 * sums home. vLLM-Ascend chose it for prefill from #3158 until #4224.
 *
 * Payload of a rank: broadcasts T_r (row(H) + 4 E), as their root; combine
 * T H b; nothing if R = 1.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_COMBINE_ORDER
};

static const moe_option_t options[] = {
    {"dispatch", MOE_OPTION_format, "bf16", NULL,
     "format of rows on the way to the experts"},
    {"combine", MOE_OPTION_format, "bf16 fp16 fp32 exact", "bf16",
     "format of partial sums on the way home"},
    {"combine_order", MOE_OPTION_order, "rank ring fp32_rank exact", "rank",
     "faithful: the order of the all-reduce"},
    {NULL, MOE_OPTION_bool, NULL, NULL, NULL},
};

typedef struct {
    moe_gathered_t all; /* first: its stages look there */
    int n;
    moe_span_t own;    /* own tokens in the buffer */
    moe_span_t *spans; /* [R] each rank's */
    int64_t rows;      /* T */
} plan_t;

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    (void)option;
    if (layer->layout.tp != 1 || layer->layout.ep != layer->layout.dp) {
        return "needs ep = dp and tp = 1: slices are indexed by rank";
    }
    if (layer->model->weight_on_input) {
        return "needs weights on the experts' output: rows may be sent before "
               "they have any";
    }
    return NULL;
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const int64_t *tokens = moe_agree_tokens(c, MOE_GROUP_ep);

    p->n = moe_ctx_group_size(c, MOE_GROUP_ep);
    p->spans = moe_ctx_spans(c, p->n);
    p->all.scales = MOE_SCALES_128x4;
    p->all.rows = moe_agree_expert_rows(c, MOE_GROUP_ep, 0);
    for (int i = 0; p->all.rows != NULL && i < p->n; i++) {
        p->spans[i] = (moe_span_t){p->rows, p->rows, tokens[i]};
        p->rows += tokens[i];
    }
    if (p->all.rows != NULL) {
        p->own = p->spans[moe_ctx_group_index(c, MOE_GROUP_ep)];
    }
}

/* Own rows in their place among all, then everybody's, rank by rank. */
static moe_tensor_t *multicast(moe_ctx_t *c, const plan_t *p, moe_tensor_t *t)
{
    moe_tensor_t *buffer;

    if (t == NULL) {
        return NULL;
    }
    buffer = moe_new(c, t->role, t->storage.format, p->rows, t->dim[1]);
    moe_copy_rows(c, buffer, p->own.row, t, 0, p->own.n);
    for (int i = 0; i < p->n; i++) {
        moe_broadcast_rows(c, MOE_GROUP_ep, buffer, i, p->spans[i].row,
                           p->spans[i].n);
    }
    return buffer;
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *own = moe_logits(c, hidden);
    moe_tensor_t *x = moe_to(c, hidden, MOE_ROLE_dispatch);
    moe_tensor_t *logits;

    p->all.x = multicast(c, p, x);
    logits = multicast(c, p, own);
    moe_release(c, hidden);
    moe_release(c, own);
    moe_release(c, x);
    moe_topk(c, logits, p->spans, p->n, &p->all.ids, &p->all.weights);
    moe_release(c, logits);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_allreduce(c, &p->all, MOE_GROUP_ep, p->own.row, p->own.n);
}

/* An all-reduce is a ring over equal blocks of the rows. */
static int home(const moe_formula_t *f, int64_t token)
{
    return moe_layout_part_of(moe_layer_total_tokens(f->layer),
                              f->layer->layout.dp, token);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_model_t *m = f->layer->model;
    moe_format_t dispatch = (moe_format_t)f->options[OPTION_DISPATCH];
    moe_format_t combine = (moe_format_t)f->options[OPTION_COMBINE];

    if (f->layer->layout.dp == 1) {
        return;
    }
    out[MOE_STAGE_prepare] =
        f->layer->tokens[f->rank] *
        (moe_format_row_bytes(dispatch, m->hidden) + 4 * moe_model_choices(m));
    out[MOE_STAGE_finalize] = moe_layer_total_tokens(f->layer) *
                              moe_format_row_bytes(combine, m->hidden);
}

const moe_method_t moe_method_naive_multicast = {
    .name = "naive_multicast",
    .system = "vLLM DP+EP, all2all backend naive, before #33728; vLLM-Ascend "
              "NaiveMulticast from #3158 until #4224",
    .source = "vllm-project/vllm: vllm/distributed/device_communicators/"
              "all2all.py before #33728; vllm-project/vllm-ascend#4224",
    .how = "buffers of all rows; a broadcast from each rank in turn, of hidden "
           "states, then of router logits;\n"
           "every rank routes all rows, local experts;\n"
           "all-reduce of all rows, then a slice",
    .family = MOE_FAMILY_F1,
    .collectives = "broadcast x2 R, allreduce",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(partial) | MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = home,
    .formula = "prepare T_r (row(H) + 4 E); finalize T H b(combine)",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp, tp = 1; weights on the experts' output",
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = check,
    .plan = plan,
    .stage = {prepare, moe_gathered_permute_stage, moe_gathered_experts_stage,
              moe_gathered_unpermute_stage, finalize},
    .payload = payload,
};
