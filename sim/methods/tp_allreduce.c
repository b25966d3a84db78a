/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tp_allreduce: vLLM #2293, tensor-parallel experts and one all-reduce.
 *
 * How it works: the ranks of a tp group hold the same tokens and a part of
 * every expert, w1 and w3 by columns, w2 by rows. Each routes its tokens and
 * groups them by expert; what it gets is a term of each expert's output. The
 * routing weights are applied, the k terms of a token are merged, and one
 * all-reduce completes the sums (as of commit 1089dd8, which halves the bytes
 * at k = 2); before that commit rows were reduced, and merged then. Biases are
 * the model's, and added by the first rank.
 *
 * Payload of a rank: T_r row(H) in the combine format, before 1089dd8 k times
 * that; nothing if tp = 1.
 */
#include "moe/method.h"

enum {
    OPTION_COMBINE,
    OPTION_ALLREDUCE,
    OPTION_W13,
    OPTION_COMBINE_ORDER
};

enum {
    AFTER_MERGE,
    W13_MERGED = 0
};

static const moe_option_t options[] = {
    {"combine", MOE_OPTION_format, "bf16 fp16 fp32 exact", "bf16",
     "format of the partial sums in the all-reduce"},
    {"allreduce", MOE_OPTION_choice, "after_merge before_merge", "after_merge",
     "of a token's merged row, or of its k rows (before 1089dd8)"},
    {"w13", MOE_OPTION_choice, "merged separate", "merged",
     "w1 and w3 in one matmul, or in two as #2293 has them"},
    MOE_OPTION_COMBINE_ORDER("all-reduce"),
    MOE_OPTION_END,
};

/* All ranks hold all tokens and all experts. */
static void layout(moe_layout_t *layout)
{
    layout->tp *= layout->dp;
    layout->dp = 1;
    layout->ep = 1;
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    if (option[OPTION_W13] != W13_MERGED &&
        layer->model->gate_up != MOE_GATE_UP_halves) {
        return "w13: separate needs a model whose gates and ups lie in halves";
    }
    return moe_needs_expert_parts(layer);
}

static void amend(const moe_model_t *model, const int64_t *option,
                  moe_contract_t *contract)
{
    (void)model;
    if (option[OPTION_ALLREDUCE] != AFTER_MERGE) {
        contract->points |= MOE_ROUND(weighted_part);
    }
}

static void plan(moe_ctx_t *c)
{
    moe_gathered_t *all = moe_ctx_plan(c);

    moe_gathered_plan(c, all, MOE_GROUP_tp, 0);
    all->rows_first = moe_ctx_option(c, OPTION_ALLREDUCE) != AFTER_MERGE;
}

static void experts(moe_ctx_t *c)
{
    moe_gathered_t *all = moe_ctx_plan(c);
    const bool separate = moe_ctx_option(c, OPTION_W13) != W13_MERGED;

    all->y = moe_experts_part(c, MOE_GROUP_tp, separate, all->x, all->index);
    moe_release(c, all->x);
}

static void finalize(moe_ctx_t *c)
{
    const moe_range_t own = moe_ctx_tokens(c, moe_ctx_rank(c));

    moe_gathered_allreduce(c, moe_ctx_plan(c), MOE_GROUP_tp, 0,
                           own.end - own.begin);
}

/* An all-reduce is a ring over equal blocks of the rows: of the tokens, or of
 * their pairs, which are grouped by expert. */
static int home(const moe_formula_t *f, int64_t token, int slot)
{
    const moe_range_t own =
        moe_layer_tokens(f->layer, moe_layer_owner(f->layer, token));
    const bool merged = f->options[OPTION_ALLREDUCE] == AFTER_MERGE;
    const int64_t rows =
        (own.end - own.begin) * (merged ? 1 : f->layer->model->topk);

    return moe_layout_part_of(
        rows, f->layer->layout.tp,
        merged ? token - own.begin
               : moe_routing_sorted(f->routing, own, token, slot));
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_layout_t *l = &f->layer->layout;
    moe_format_t combine = (moe_format_t)f->options[OPTION_COMBINE];

    if (l->tp > 1) {
        out[MOE_STAGE_finalize] =
            f->layer->tokens[moe_layout_dp_rank(l, f->rank)] *
            (f->options[OPTION_ALLREDUCE] == AFTER_MERGE
                 ? 1
                 : f->layer->model->topk) *
            moe_format_row_bytes(combine, f->layer->model->hidden);
    }
}

const moe_method_t moe_method_tp_allreduce = {
    .name = "tp_allreduce",
    .system = "vLLM #2293: expert parallelism replaced by tensor parallelism; "
              "as of commit 1089dd8, or before it",
    .source = "vllm-project/vllm#2293",
    .how = "each rank has a part of I of every expert, and all tokens;\n"
           "rows grouped by expert, w1 and w3 by columns, w2 by rows;\n"
           "routing weights, merge over k, one all-reduce (before 1089dd8 "
           "the all-reduce first)",
    .family = MOE_FAMILY_F0,
    .collectives = "allreduce",
    .contract = {MOE_ROUND(expert_in) | MOE_ROUND(gemm1_out) |
                     MOE_ROUND(act_out) | MOE_ROUND(gemm2_in) |
                     MOE_ROUND(gemm2_part) | MOE_ROUND(partial) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = home,
    .formula = "finalize T_r H b(combine); before_merge: k T_r H b(combine)",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = 1; I divisible by 64 tp, I / tp of whole blocks of weights "
             "and gemm2_in; w13: separate: gates and ups in halves; in exact "
             "weights and gemm2_in in nvfp4, no expert_bias",
    .options = options,
    .plan_size = sizeof(moe_gathered_t),
    .amend = amend,
    .layout = layout,
    .check = check,
    .plan = plan,
    .stage = {moe_own_prepare_stage, moe_gathered_permute_stage, experts,
              moe_gathered_unpermute_stage, finalize},
    .payload = payload,
};
