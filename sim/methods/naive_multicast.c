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

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16"),
    MOE_OPTION_COMBINE,
    MOE_OPTION_COMBINE_ORDER("all-reduce"),
    MOE_OPTION_END,
};

typedef struct {
    moe_gathered_t all;    /* first: its stages look there */
    const int64_t *tokens; /* [R] T_i */
    moe_range_t own;       /* own rows in the buffer */
    int64_t rows;          /* T */
} plan_t;

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    p->tokens = moe_agree_tokens(c, MOE_GROUP_ep);
    p->own = moe_ctx_tokens(c, moe_ctx_rank(c));
    p->rows = moe_layer_total_tokens(moe_ctx_layer(c));
    p->all.scales = MOE_SCALES_128x4;
    moe_gathered_plan(c, &p->all, MOE_GROUP_ep, 0);
}

/* Own rows in their place among all, then everybody's, rank by rank. */
static moe_tensor_t *multicast(moe_ctx_t *c, const plan_t *p, moe_tensor_t *t)
{
    const int n = moe_ctx_group_size(c, MOE_GROUP_ep);
    moe_tensor_t *buffer;
    int64_t row = 0;

    if (t == NULL) {
        return NULL;
    }
    buffer = moe_new(c, t->role, t->storage.format, p->rows, t->dim[1]);
    moe_copy_rows(c, buffer, p->own.begin, t, 0, p->own.end - p->own.begin);
    for (int i = 0; i < n; i++) {
        moe_broadcast_rows(c, MOE_GROUP_ep, buffer, i, row, p->tokens[i]);
        row += p->tokens[i];
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
    moe_topk(c, logits, moe_ctx_all_span(c), 1, &p->all.ids, &p->all.weights);
    moe_release(c, logits);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_allreduce(c, &p->all, MOE_GROUP_ep, p->own.begin,
                           p->own.end - p->own.begin);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    moe_gathered_payload(f, f->layer->tokens[f->rank],
                         4 * moe_model_choices(f->layer->model),
                         moe_layer_total_tokens(f->layer), out);
}

static void amend(const moe_model_t *model, const int64_t *option,
                  moe_contract_t *contract)
{
    (void)option;
    moe_contract_fused_moe(model, contract);
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
    .home = moe_home_block,
    .formula = "prepare T_r (row(H) + 4 E); finalize T H b(combine)",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp, tp = 1; weights on the experts' output",
    .options = options,
    .plan_size = sizeof(plan_t),
    .amend = amend,
    .check = moe_needs_own_unweighed,
    .plan = plan,
    .stage = {prepare, moe_gathered_permute_stage, moe_gathered_experts_stage,
              moe_gathered_unpermute_stage, finalize},
    .payload = payload,
};
