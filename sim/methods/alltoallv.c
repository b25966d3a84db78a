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
    moe_gathered_t rows; /* first: stages that methods share know it */
    moe_pairs_t pairs;
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
    const int64_t n_experts = moe_ctx_model(c)->experts;
    const int me = moe_ctx_group_index(c, MOE_GROUP_ep);
    const int64_t *counts =
        moe_agree_expert_counts(c, MOE_GROUP_ep, MOE_DTYPE_i64);

    if (counts != NULL) {
        moe_pairs_plan(c, counts + me * n_experts,
                       counts + moe_ctx_experts(c).begin, n_experts, &p->pairs);
    }
}

static void permute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_pairs_go(c, &p->pairs, 0, &p->rows);
}

static void unpermute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_pairs_back(c, &p->pairs, &p->rows);
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
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(returned) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_source},
    .formula = "prepare 8 E; permute T_r k row(H); unpermute n_r rowc(H)",
    .test = "tests/check_methods_meta.c",
    .capturable = false,
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = check,
    .plan = plan,
    .stage = {moe_hop_prepare_stage, permute, moe_gathered_experts_stage,
              unpermute, moe_hop_finalize_stage},
    .payload = payload,
};
