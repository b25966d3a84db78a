/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allgather_reducescatter: vLLM's DP+EP manager AgRs, its default.
 *
 * How it works: one group of all-gathers brings hidden states, or their codes
 * and scales, and what routes them, weights and ids or the router's logits,
 * to every rank, sized by the scheduler's token counts; each rank runs its
 * experts; a reduce-scatter of the same sizes brings the sums home. Equal
 * sizes take the plain all-gather and reduce-scatter, unequal ones grouped
 * broadcasts and reduces.
 *
 * Payload of a rank: dispatch T_r (row(H) + 8 k), or with logits
 * T_r (row(H) + 4 E); combine T H b; nothing if R = 1.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_ROUTER,
    OPTION_COMBINE_ORDER
};

enum {
    ROUTER_TOPK,
    ROUTER_LOGITS
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 fp8_1x128 nvfp4 mxfp8"),
    MOE_OPTION_COMBINE,
    {"router", MOE_OPTION_choice, "topk logits", "topk",
     "what is gathered beside the rows: weights and ids, or fp32 logits that "
     "every rank routes all tokens by"},
    MOE_OPTION_COMBINE_ORDER("reduce-scatter"),
    MOE_OPTION_END,
};

typedef struct {
    moe_gathered_t all;    /* first: its stages look there */
    const int64_t *tokens; /* [R] T_i */
    bool equal;            /* all T_i */
} plan_t;

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const moe_layer_t *layer = moe_ctx_layer(c);

    p->tokens = moe_agree_tokens(c, MOE_GROUP_ep);
    p->equal = moe_layer_longest(layer) * layer->layout.dp ==
               moe_layer_total_tokens(layer);
    p->all.scales = MOE_SCALES_128x4;
    p->all.rows = moe_agree_expert_rows(c, MOE_GROUP_ep, 0);
}

static moe_tensor_t *gather(moe_ctx_t *c, const plan_t *p, moe_tensor_t *t)
{
    return p->equal ? moe_allgather(c, MOE_GROUP_ep, t)
                    : moe_allgatherv(c, MOE_GROUP_ep, t, p->tokens);
}

/* Routed here, what goes along is weights and ids. */
static void gather_topk(moe_ctx_t *c, plan_t *p, moe_tensor_t *x,
                        moe_tensor_t *logits)
{
    moe_tensor_t *ids;
    moe_tensor_t *weights;

    moe_topk(c, logits, moe_ctx_own_span(c), 1, &ids, &weights);
    moe_group_begin(c, false, "all_gatherv");
    p->all.x = gather(c, p, x);
    p->all.weights = gather(c, p, weights);
    p->all.ids = gather(c, p, ids);
    moe_group_end(c);
    moe_release(c, ids);
    moe_release(c, weights);
}

static void gather_logits(moe_ctx_t *c, plan_t *p, moe_tensor_t *x,
                          moe_tensor_t *logits)
{
    moe_tensor_t *all;

    moe_group_begin(c, false, "all_gatherv");
    p->all.x = gather(c, p, x);
    all = gather(c, p, logits);
    moe_group_end(c);
    moe_topk(c, all, moe_ctx_all_span(c), 1, &p->all.ids, &p->all.weights);
    moe_release(c, all);
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *x = moe_to(c, hidden, MOE_ROLE_dispatch);

    if (moe_ctx_option(c, OPTION_ROUTER) == ROUTER_TOPK) {
        gather_topk(c, p, x, logits);
    } else {
        gather_logits(c, p, x, logits);
    }
    moe_release(c, hidden);
    moe_release(c, logits);
    moe_release(c, x);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *own =
        p->equal ? moe_reducescatter(c, MOE_GROUP_ep, p->all.y)
                 : moe_reducescatterv(c, MOE_GROUP_ep, p->all.y, p->tokens);

    moe_release(c, p->all.y);
    moe_output(c, own);
    moe_release(c, own);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_model_t *m = f->layer->model;

    moe_gathered_payload(f, f->layer->tokens[f->rank],
                         f->options[OPTION_ROUTER] == ROUTER_TOPK
                             ? 8 * (int64_t)m->topk
                             : 4 * moe_model_choices(m),
                         moe_layer_total_tokens(f->layer), out);
}

const moe_method_t moe_method_allgather_reducescatter = {
    .name = "allgather_reducescatter",
    .system = "vLLM DP+EP, all2all backend allgather_reducescatter (AgRs); "
              "rows quantised before the gather since #30014",
    .source = "vllm-project/vllm: vllm/distributed/device_communicators/"
              "{all2all,cuda_communicator}.py; #30014, #33728",
    .how = "one group of all-gathers of rows (codes, scales) with weights and "
           "ids, or with logits; plain all-gathers if all sizes are equal;\n"
           "local experts of all rows;\n"
           "reduce-scatter of the same sizes",
    .family = MOE_FAMILY_F1,
    .collectives = "allgatherv or allgather x2 to x4 in one batch, "
                   "reducescatterv or reducescatter",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(partial) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = moe_home_owner,
    .formula = "prepare T_r (row(H) + 8 k) or T_r (row(H) + 4 E); finalize "
               "T H b(combine)",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp, tp = 1; weights on the experts' output",
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = moe_needs_own_unweighed,
    .plan = plan,
    .stage = {prepare, moe_gathered_permute_stage, moe_gathered_experts_stage,
              moe_gathered_unpermute_stage, finalize},
    .payload = payload,
};
