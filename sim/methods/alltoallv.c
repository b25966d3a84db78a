/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alltoallv: one row a (token, expert) pair, as vLLM-Ascend's AllToAllV and
 * Megatron-LM's all-to-all dispatcher (dropless) send them.
 *
 * How it works: ranks gather the counts of rows a rank sends to each expert;
 * rows sorted by expert, so by rank, go there by an all-to-all-v, and are
 * sorted again from (source, expert) to (expert, source); the experts' rows go
 * the same way back, and the source weighs and sums a token's k rows.
 *
 * Payload of a rank, R > 1: counts 8 E; dispatch T_r k row(H), own experts'
 * rows among them; combine n_r rowc(H), with n_r the (token, expert) pairs of
 * all ranks for its experts, row and rowc the bytes of a row in the dispatch
 * and in the combine format.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE
};

static const moe_option_t options[] = {
    {"dispatch", MOE_OPTION_format, "bf16 fp8_1x128 nvfp4 fp8_token int8_token",
     NULL, "format of rows on the way to the experts"},
    {"combine", MOE_OPTION_format, "bf16 fp16 fp32", "bf16",
     "format of the experts' rows on the way home"},
    {NULL, MOE_OPTION_bool, NULL, NULL, NULL},
};

typedef struct {
    const int64_t *own; /* [E] pairs of own tokens */
    int64_t *send;      /* [R] rows to each rank, and from each */
    int64_t *recv;
    int64_t *chunks; /* [R][E_local] rows from each rank for each expert */
    moe_tensor_t *ids;
    moe_tensor_t *weights;
    moe_tensor_t *x;
    moe_tensor_t *by_rank;   /* index of own pairs */
    moe_tensor_t *by_expert; /* index of the rows that came */
    moe_tensor_t *y;
} plan_t;

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    (void)option;
    if (layer->layout.tp != 1 || layer->layout.ep != layer->layout.dp) {
        return "needs ep = dp and tp = 1: each rank has tokens of its own";
    }
    return NULL;
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const moe_layer_t *layer = moe_ctx_layer(c);
    int64_t n_experts = layer->model->experts;
    int n = moe_ctx_group_size(c, MOE_GROUP_ep);
    moe_range_t local = moe_ctx_experts(c);
    const int64_t *counts =
        moe_agree_expert_counts(c, MOE_GROUP_ep, MOE_DTYPE_i64);

    p->send = moe_ctx_array(c, n);
    p->recv = moe_ctx_array(c, n);
    p->chunks = moe_ctx_array(c, n * (local.end - local.begin));
    if (counts == NULL || p->chunks == NULL) {
        return;
    }
    p->own = counts + moe_ctx_group_index(c, MOE_GROUP_ep) * n_experts;
    for (int64_t e = 0; e < n_experts; e++) {
        p->send[moe_layout_holder(&layer->layout, n_experts, e)] += p->own[e];
    }
    for (int s = 0, at = 0; s < n; s++) {
        for (int64_t e = local.begin; e < local.end; e++) {
            p->chunks[at++] = counts[s * n_experts + e];
            p->recv[s] += counts[s * n_experts + e];
        }
    }
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_range_t own = moe_ctx_tokens(c, moe_ctx_rank(c));
    moe_span_t *span = moe_ctx_spans(c, 1);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *rows;

    if (span != NULL) {
        *span = (moe_span_t){0, own.begin, own.end - own.begin};
    }
    moe_topk(c, logits, span, 1, &p->ids, &p->weights);
    rows = moe_weigh_input(c, hidden, p->weights);
    p->x = moe_to(c, rows, MOE_ROLE_dispatch);
    moe_release(c, rows);
    moe_release(c, hidden);
    moe_release(c, logits);
}

static void permute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *rows;
    moe_tensor_t *came;
    moe_tensor_t *in;

    p->by_rank = moe_sort_pairs(c, p->ids, p->own);
    rows = moe_gather_rows(c, p->x, p->by_rank);
    came = moe_alltoallv(c, MOE_GROUP_ep, rows, p->send, p->recv);
    p->by_expert =
        moe_sort_chunks(c, p->chunks, moe_ctx_group_size(c, MOE_GROUP_ep), 0);
    in = moe_to(c, came, MOE_ROLE_expert_in);
    moe_release(c, p->x);
    moe_release(c, p->ids);
    moe_release(c, rows);
    p->x = moe_gather_rows(c, in, p->by_expert);
    moe_release(c, came);
    moe_release(c, in);
}

static void experts(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    p->y = moe_experts(c, p->x, p->by_expert);
    moe_release(c, p->x);
}

static void unpermute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *as_came = moe_scatter_rows(c, p->y, p->by_expert);
    moe_tensor_t *rows = moe_to_combine(c, as_came);
    moe_tensor_t *home = moe_alltoallv(c, MOE_GROUP_ep, rows, p->recv, p->send);

    moe_release(c, p->y);
    moe_release(c, p->by_expert);
    moe_release(c, as_came);
    moe_release(c, rows);
    p->y = moe_weighted_sum(c, home, p->by_rank, p->weights);
    moe_release(c, home);
    moe_release(c, p->by_rank);
    moe_release(c, p->weights);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_output(c, p->y);
    moe_release(c, p->y);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_model_t *m = f->layer->model;
    moe_range_t all = {0, moe_layer_total_tokens(f->layer)};
    moe_range_t local =
        moe_layout_experts(&f->layer->layout, m->experts, f->rank);
    moe_format_t dispatch = (moe_format_t)f->options[OPTION_DISPATCH];
    moe_format_t combine = (moe_format_t)f->options[OPTION_COMBINE];

    if (f->layer->layout.dp == 1) {
        return;
    }
    out[MOE_STAGE_prepare] = 8 * m->experts;
    out[MOE_STAGE_permute] = f->layer->tokens[f->rank] * m->topk *
                             moe_format_row_bytes(dispatch, m->hidden);
    out[MOE_STAGE_unpermute] = moe_routing_pairs(f->routing, all, local) *
                               moe_format_row_bytes(combine, m->hidden);
}

const moe_method_t moe_method_alltoallv = {
    .name = "alltoallv",
    .system = "vLLM-Ascend AllToAllV (from #2614), Megatron-LM alltoall",
    .source = "vllm-project/vllm-ascend#2614; vllm_ascend/ops/fused_moe/"
              "token_dispatcher.py; megatron/core/transformer/moe/"
              "token_dispatcher.py",
    .how = "counts of all ranks by an all-gather; rows sorted by expert go by "
           "all-to-all-v, one a (token, expert) pair;\n"
           "sorted again by expert, local experts;\n"
           "the same way back, weighed and summed at the source",
    .family = MOE_FAMILY_F3,
    .collectives = "allgather of counts, alltoallv, alltoallv",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(partial) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_source},
    .formula = "prepare 8 E; permute T_r k row(H); unpermute n_r rowc(H)",
    .test = "tests/check_methods_meta.c",
    .capturable = false,
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = check,
    .plan = plan,
    .stage = {prepare, permute, experts, unpermute, finalize},
    .payload = payload,
};
