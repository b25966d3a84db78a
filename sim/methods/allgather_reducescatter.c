/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allgather_reducescatter: vLLM's DP+EP manager AgRs, its default; by `router:
 * map` Megatron-LM's all-gather dispatcher.
 *
 * How it works: one group of all-gathers brings hidden states, or their codes
 * and scales, and what routes them, weights and ids, the router's logits, or a
 * map of all experts with their probabilities, to every rank, sized by the
 * scheduler's token counts; each rank runs its experts; a reduce-scatter of the
 * same sizes brings the sums home. Equal sizes take the plain all-gather and
 * reduce-scatter, unequal ones grouped broadcasts and reduces. By a map ranks
 * know experts in order alone, and add a token's rows in that order; Megatron's
 * sums have the type of the probabilities, and go home so: combine fp32.
 *
 * Payload of a rank: dispatch T_r (row(H) + 8 k), with logits
 * T_r (row(H) + 4 E), with a map T_r (row(H) + 5 E); combine T H b; nothing if
 * R = 1.
 */
#include "moe/method.h"

enum {
    OPTION_COMBINE = 1,
    OPTION_ROUTER, /* its values are a moe_along_t's */
    OPTION_WEIGH = 4
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 fp8_1x128 nvfp4 mxfp8 fp8_tensor mxfp8_e5m2"),
    MOE_OPTION_COMBINE,
    {"router", MOE_OPTION_choice, "topk logits map", "topk",
     "what is gathered beside the rows: weights and ids; fp32 logits that "
     "every rank routes all tokens by; or map: a byte and an fp32 probability "
     "of every expert (Megatron-LM)"},
    MOE_OPTION_COMBINE_ORDER("reduce-scatter"),
    MOE_OPTION_WEIGH("output"),
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
    moe_gathered_plan(c, &p->all, MOE_GROUP_ep, 0);
}

static moe_tensor_t *gather(moe_ctx_t *c, const plan_t *p, moe_tensor_t *t)
{
    return p->equal ? moe_allgather(c, MOE_GROUP_ep, t)
                    : moe_allgatherv(c, MOE_GROUP_ep, t, p->tokens);
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const moe_along_t how = (moe_along_t)moe_ctx_option(c, OPTION_ROUTER);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *x = moe_to(c, hidden, MOE_ROLE_dispatch);
    moe_tensor_t *own[2];
    moe_tensor_t *all[2] = {NULL};

    moe_along_own(c, how, logits, own);
    moe_group_begin(c, false, "all_gatherv");
    p->all.x = gather(c, p, x);
    for (int i = 0; i < 2 && own[i] != NULL; i++) {
        all[i] = gather(c, p, own[i]);
    }
    moe_group_end(c);
    moe_along_all(c, how, all, &p->all);
    moe_release(c, hidden);
    moe_release(c, own[0]);
    moe_release(c, own[1]);
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

static void amend(const moe_model_t *model, const int64_t *option,
                  moe_contract_t *contract)
{
    if (option[OPTION_ROUTER] == MOE_ALONG_map) {
        contract->sum = MOE_ORDER_fp32_expert;
    } else {
        moe_contract_fused_moe(model, contract);
    }
    moe_contract_weigh_activation(option[OPTION_WEIGH] != 0, contract);
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const char *why = moe_needs_own_unweighed(layer, option);

    if (why == NULL && option[OPTION_ROUTER] == MOE_ALONG_map &&
        option[OPTION_COMBINE] != MOE_FORMAT_fp32) {
        why = "needs combine: fp32 with router: map, whose probabilities are "
              "fp32: sums are cast to their type";
    }
    return why != NULL ? why
                       : moe_needs_weighable_activation(
                             layer, option[OPTION_WEIGH] != 0);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    moe_gathered_payload(
        f, f->layer->tokens[f->rank],
        moe_along_bytes(f->layer->model,
                        (moe_along_t)f->options[OPTION_ROUTER]),
        moe_layer_total_tokens(f->layer), out);
}

const moe_method_t moe_method_allgather_reducescatter = {
    .name = "allgather_reducescatter",
    .system = "vLLM DP+EP, all2all backend allgather_reducescatter (AgRs); "
              "rows quantised before the gather since #30014; with `router` "
              "Megatron-LM allgather",
    .source = "vllm-project/vllm: vllm/distributed/device_communicators/"
              "{all2all,cuda_communicator}.py; #30014, #33728; megatron/core/"
              "transformer/moe/token_dispatcher.py",
    .how = "one group of all-gathers of rows (codes, scales) with weights and "
           "ids, with logits, or with a map; plain all-gathers if all sizes "
           "are equal;\n"
           "local experts of all rows;\n"
           "reduce-scatter of the same sizes",
    .family = MOE_FAMILY_F1,
    .collectives = "allgatherv or allgather x2 to x4 in one batch, "
                   "reducescatterv or reducescatter",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(partial) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = moe_home_owner,
    .formula = "prepare T_r (row(H) + 8 k), T_r (row(H) + 4 E) or T_r (row(H) "
               "+ 5 E); finalize T H b(combine)",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp, tp = 1; weights on the experts' output; router: map: "
             "combine: fp32; weigh: activation: no expert_bias",
    .options = options,
    .plan_size = sizeof(plan_t),
    .amend = amend,
    .check = check,
    .plan = plan,
    .stage = {prepare, moe_gathered_permute_stage, moe_gathered_experts_stage,
              moe_gathered_unpermute_stage, finalize},
    .payload = payload,
};
