/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dummy: vLLM-Ascend's DummyCommImpl, for profile runs.
 *
 * How it works: nothing is sent and no expert gets a row. Each token is there
 * k times, as rows of an expert would be, so that the memory is that of a
 * layer. The system leaves what it returns untouched; here it is zeros. Its
 * contract says that nothing is weighed: no other method has its numbers. It
 * was removed later.
 *
 * Payload of a rank: none.
 */
#include "moe/method.h"

static const moe_option_t options[] = {
    MOE_OPTION_END,
};

typedef struct {
    moe_span_t own;
    moe_tensor_t *hidden;
    moe_tensor_t *ids;
    moe_tensor_t *weights;
    moe_tensor_t *rows; /* [T_r k][H] */
} plan_t;

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    (void)option;
    return layer->model->weight_on_input
               ? "needs weights on the experts' output: its own has none"
               : NULL;
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_range_t own = moe_ctx_tokens(c, moe_ctx_rank(c));

    p->own = (moe_span_t){0, own.begin, own.end - own.begin};
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *logits;

    p->hidden = moe_hidden(c);
    logits = moe_logits(c, p->hidden);
    moe_topk(c, logits, &p->own, 1, &p->ids, &p->weights);
    moe_release(c, logits);
}

static void permute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const moe_model_t *m = moe_ctx_model(c);

    if (p->hidden == NULL) {
        return;
    }
    p->rows = moe_new(c, MOE_ROLE_hidden, p->hidden->storage.format,
                      p->own.n * m->topk, m->hidden);
    for (int i = 0; i < m->topk; i++) {
        moe_copy_rows(c, p->rows, i * p->own.n, p->hidden, 0, p->own.n);
    }
}

/* All counts are 0. */
static void experts(moe_ctx_t *c)
{
    (void)c;
}

static void unpermute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_release(c, p->rows);
    moe_release(c, p->ids);
    moe_release(c, p->weights);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_fill_zero(c, p->hidden, 0, p->own.n);
    moe_output(c, p->hidden);
    moe_release(c, p->hidden);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    (void)f;
    (void)out;
}

const moe_method_t moe_method_dummy = {
    .name = "dummy",
    .system = "vLLM-Ascend #2469, DummyCommImpl: profile runs",
    .source = "vllm-project/vllm-ascend#2469, DummyCommImpl",
    .how = "each token k times, nothing is sent;\n"
           "every count is 0: no expert runs;\n"
           "zeros are returned",
    .family = MOE_FAMILY_F0,
    .collectives = "none",
    .contract = {MOE_ROUND(output), MOE_ORDER_fp32_slot, MOE_ORDER_rank,
                 MOE_WEIGH_nowhere},
    .formula = "0",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "weights on the experts' output",
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = check,
    .plan = plan,
    .stage = {prepare, permute, experts, unpermute, finalize},
    .payload = payload,
};
