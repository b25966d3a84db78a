/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trtllm_alltoall: TensorRT-LLM's all-to-all over NVLink, one row a (token,
 * rank).
 *
 * How it works: a token goes once to each rank that holds one of its experts,
 * in the slot where that rank first occurs, with ids and weights; ranks weigh
 * and sum their local experts; one-sided the source pulls the sums and adds
 * its k slots by a tree, two-sided they are sent and added one by one.
 *
 * Payload of a rank, R > 1: counts 4 R; dispatch D_r (row(H) + 8 k), D_r the
 * (token, rank) pairs of its tokens, itself among the ranks; combine G_r
 * rowc(H), G_r those of all tokens with this rank. Slots: each rank has
 * [R][max T_i] of each payload, row(H), 4 k, 4 k and rowc(H) apart; only rows
 * that exist are written, and only they are here. Two-level NVFP4 sums have
 * the scenario's global scale; TensorRT-LLM takes it from each row.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_SIDES,
    OPTION_ORDER
};

enum {
    ONE_SIDED,
    TWO_SIDED
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 mxfp8 fp8_tensor nvfp4"),
    {"combine", MOE_OPTION_format, "bf16 fp16 fp32 fp8_tensor nvfp4", "bf16",
     "format of sums on the way home; low precision: fp8_tensor one-sided, "
     "nvfp4 two-sided"},
    {"sides", MOE_OPTION_choice, "one_sided two_sided", "one_sided",
     "NVLinkOneSided, or NVLinkTwoSided"},
    {"combine_order", MOE_OPTION_order, "tree tree_storage", "tree",
     "one-sided: how slots are added, newer in fp32, older as they are stored"},
    MOE_OPTION_END,
};

typedef struct {
    moe_gathered_t rows; /* first: stages that methods share know it */
    moe_hop_t hop;
} plan_t;

static void amend(const moe_model_t *model, const int64_t *option,
                  moe_contract_t *contract)
{
    (void)model;
    if (option[OPTION_SIDES] == TWO_SIDED) {
        contract->reduce = MOE_ORDER_fp32_slot;
    }
}

/* MAX_RANKS and the largest top-k of the kernels; what two-sided needs. */
static const moe_limit_t takes[] = {MOE_LIMIT(ranks, 1, 128),
                                    MOE_LIMIT(topk, 1, 22), MOE_LIMIT_END};
static const moe_limit_t even[] = {MOE_LIMIT_EVEN, MOE_LIMIT_END};

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const bool one_sided = option[OPTION_SIDES] == ONE_SIDED;
    const char *why = moe_needs_own_tokens(layer, option);

    why = why != NULL ? why : moe_needs_blocks(layer, option[OPTION_COMBINE]);
    why = why != NULL ? why : moe_limits_refuse(takes, layer);
    if (why != NULL) {
        return why;
    }
    if (one_sided && option[OPTION_COMBINE] == MOE_FORMAT_nvfp4) {
        return "one-sided sums go home as floats or fp8_tensor";
    }
    if (!one_sided && option[OPTION_COMBINE] == MOE_FORMAT_fp8_tensor) {
        return "two-sided sums go home as floats or nvfp4";
    }
    return one_sided ? NULL : moe_limits_refuse(even, layer);
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_hop_plan_flags(c, &p->hop);
    p->hop.in_slots = true;
    p->rows.scales = MOE_SCALES_128x4;
    p->rows.rows = moe_agree_expert_rows(c, MOE_GROUP_ep, MOE_MAPPING_right, 0);
}

/* Bytes of a row with its ids and weights. */
static int64_t message_bytes(const moe_model_t *m, int64_t dispatch)
{
    return moe_format_row_bytes((moe_format_t)dispatch, m->hidden) +
           8 * m->topk;
}

static void permute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_hop_go(
        c, &p->hop,
        message_bytes(moe_ctx_model(c), moe_ctx_option(c, OPTION_DISPATCH)),
        &p->rows);
    moe_gathered_permute(c, &p->rows);
}

static void unpermute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_unpermute(c, &p->rows);
    moe_group_begin(c, true, "moe_a2a_combine");
    moe_hop_back(c, &p->hop, &p->rows);
    moe_group_end(c);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    moe_hop_payload(f,
                    message_bytes(f->layer->model, f->options[OPTION_DISPATCH]),
                    (moe_format_t)f->options[OPTION_COMBINE], out);
}

/* Tech blog 18: n min(R, k) rows, as if no two experts shared a rank. */
static int64_t counted(const moe_formula_t *f)
{
    const int ranks = f->layer->layout.ep;
    const int topk = f->layer->model->topk;

    return f->layer->tokens[f->rank] * (ranks < topk ? ranks : topk);
}

const moe_method_t moe_method_trtllm_alltoall = {
    .name = "trtllm_alltoall",
    .system = "TensorRT-LLM, NVLinkOneSided and NVLinkTwoSided",
    .source = "NVIDIA/TensorRT-LLM: cpp/tensorrt_llm/kernels/"
              "communicationKernels/moeAlltoAllKernels.cu, "
              "kernels/fusedMoeCommKernels.cu, _torch/modules/fused_moe/"
              "communication/nvlink_one_sided.py; tech blog 18",
    .how = "one row a (token, rank) with ids and weights, in the slot where "
           "the rank first occurs;\n"
           "local experts, weighed and summed to one row a received row;\n"
           "one-sided: the source pulls them and adds its slots by a tree; "
           "two-sided: sent, added in slot order",
    .family = MOE_FAMILY_F4,
    .collectives = "alltoall of counts, alltoallv, alltoallv",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(partial) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_tree, MOE_WEIGH_output},
    .formula = "bytes written: prepare 4 R; permute D_r (row(H) + 8 k); "
               "unpermute G_r rowc(H); slots: R max T_i of each a rank",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp, tp = 1; R <= 128, k <= 22; H of whole blocks of "
             "combine; one_sided: combine not nvfp4; two_sided: combine not "
             "fp8_tensor, E divisible by R",
    .options = options,
    .plan_size = sizeof(plan_t),
    .amend = amend,
    .check = check,
    .plan = plan,
    .stage = {moe_own_prepare_stage, permute, moe_gathered_experts_stage,
              unpermute, moe_hop_finalize_stage},
    .payload = payload,
    .counted = counted,
};
