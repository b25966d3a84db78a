/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allgatherv: SGLang's FP4 all-gather-v and reduce-scatter-v.
 *
 * How it works: each rank routes and quantises its own tokens, with linear
 * scales; one group of unequal broadcasts gathers weights, ids, codes and
 * scales; after the gather the scales are swizzled, each rank's experts
 * take their rows, and a reduce-scatter-v brings the sums home.
 *
 * Payload of a rank: dispatch T_r * (8 k + row(H)), combine T * H * b, with
 * row(H) the bytes of a row in the dispatch format and b those of an element
 * of the combine format; nothing if R = 1.
 */
#include "moe/method.h"

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 fp8_1x128 nvfp4 mxfp4 mxfp8 int8_token "
                        "fp8_1x128_ue8m0 fp8_tensor mxfp8_e5m2"),
    MOE_OPTION_COMBINE,
    MOE_OPTION_COMBINE_ORDER("reduce-scatter"),
    MOE_OPTION_END,
};

typedef struct {
    moe_gathered_t all;    /* first: its stages look there */
    const int64_t *tokens; /* [R] T_i */
} plan_t;

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    p->tokens = moe_agree_tokens(c, MOE_GROUP_ep);
    p->all.scales = MOE_SCALES_128x4;
    moe_gathered_plan(c, &p->all, MOE_GROUP_ep, 0);
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *rows;
    moe_tensor_t *x;
    moe_tensor_t *ids;
    moe_tensor_t *weights;

    moe_topk(c, logits, moe_ctx_own_span(c), 1, &ids, &weights);
    rows = moe_weigh_input(c, hidden, weights);
    x = moe_to(c, rows, MOE_ROLE_dispatch);
    moe_group_begin(c, false, "all_gatherv");
    p->all.weights = moe_allgatherv(c, MOE_GROUP_ep, weights, p->tokens);
    p->all.ids = moe_allgatherv(c, MOE_GROUP_ep, ids, p->tokens);
    p->all.x = moe_allgatherv(c, MOE_GROUP_ep, x, p->tokens);
    moe_group_end(c);
    moe_release(c, hidden);
    moe_release(c, logits);
    moe_release(c, rows);
    moe_release(c, x);
    moe_release(c, ids);
    moe_release(c, weights);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *own =
        moe_reducescatterv(c, MOE_GROUP_ep, p->all.y, p->tokens);

    moe_release(c, p->all.y);
    moe_output(c, own);
    moe_release(c, own);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    moe_gathered_payload(f, f->layer->tokens[f->rank],
                         8 * f->layer->model->topk,
                         moe_layer_total_tokens(f->layer), out);
}

const moe_method_t moe_method_allgatherv = {
    .name = "allgatherv",
    .system = "SGLang after #7667, FlashInfer CUTLASS MoE, DP attention",
    .source = "sgl-project/sglang#7667; python/sglang/srt/layers/"
              "quantization/modelopt_quant.py; .../pynccl.py",
    .how = "route and quantise own tokens, linear scales; one group of "
           "unequal broadcasts gathers weights, ids, codes, scales;\n"
           "swizzle after the gather, local experts;\n"
           "reduce-scatter-v of partial sums",
    .family = MOE_FAMILY_F1,
    .collectives = "allgatherv x3 or x4 in one batch, reducescatterv",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(partial) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = moe_home_owner,
    .formula = "prepare T_r (8 k + row(H)); finalize T H b(combine)",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp, tp = 1",
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = moe_needs_own_tokens,
    .plan = plan,
    .stage = {prepare, moe_gathered_permute_stage, moe_gathered_experts_stage,
              moe_gathered_unpermute_stage, finalize},
    .payload = payload,
};
