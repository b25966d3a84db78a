/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ascend_native_allgather: vLLM-Ascend's AllGather in plain operations, for
 * where the fused ones are missing.
 *
 * How it works: it moves what ascend_allgather moves. Ids are mapped to local
 * ones, those of other ranks to a bucket behind the last with weight 0; an
 * argsort of them groups the rows, of which the bucket's are cut off; weight x
 * row is added into zeros by index_add, in the hidden format. Its order is
 * nobody's promise on the device: here it is that of a token's slots.
 *
 * Payload of a rank: dp > 1: M (row(H) + 4 E), combine R M H b; dp = 1:
 * combine T H b; nothing if R = 1.
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
     "faithful: the order of the reduce-scatter, or all-reduce"},
    {NULL, MOE_OPTION_bool, NULL, NULL, NULL},
};

typedef struct {
    moe_padded_t rows;
    moe_gathered_t all;
} plan_t;

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    (void)option;
    return moe_padded_check(layer);
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_padded_plan(c, &p->rows);
    p->all.rows = moe_agree_expert_rows(c, MOE_GROUP_ep, p->rows.pad);
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_padded_prepare(c, &p->rows, &p->all);
}

static void permute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_permute(c, &p->all, MOE_SCALES_linear);
}

static void experts(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_experts(c, &p->all);
}

static void unpermute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_unpermute(c, &p->all);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_padded_finalize(c, &p->rows, &p->all);
}

static int home(const moe_formula_t *f, int64_t token)
{
    return moe_padded_home(f->layer, token);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    moe_padded_payload(f->layer, (moe_format_t)f->options[OPTION_DISPATCH],
                       (moe_format_t)f->options[OPTION_COMBINE], out);
}

const moe_method_t moe_method_ascend_native_allgather = {
    .name = "ascend_native_allgather",
    .system = "vLLM-Ascend NativeAllGather, #2469",
    .source = "vllm-project/vllm-ascend#2469, NativeAllGatherCommImpl",
    .how = "rows and logits padded to the longest rank's, all-gathers over dp, "
           "every rank routes all rows, those of padding too;\n"
           "argsort of mapped ids, other ranks' in a bucket that is cut off;\n"
           "index_add of weight x row in the hidden format, reduce-scatter "
           "over dp and slice; or, with dp = 1, all-reduce over tp",
    .family = MOE_FAMILY_F1,
    .collectives = "allgather x2, reducescatter; dp = 1: allreduce",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(partial) | MOE_ROUND(output),
                 MOE_ORDER_storage, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = home,
    .formula = "prepare M (row(H) + 4 E); finalize R M H b(combine); dp = 1: "
               "finalize T H b(combine)",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = check,
    .plan = plan,
    .stage = {prepare, permute, experts, unpermute, finalize},
    .payload = payload,
};
