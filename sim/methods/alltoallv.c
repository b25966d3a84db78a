/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alltoallv: one row a (token, expert) pair, as vLLM-Ascend's AllToAllV,
 * Megatron-LM's all-to-all dispatcher (dropless) and MegaBlocks send them;
 * `expert_block` pads experts' rows, to blocks of 128 as dMoE, or to the bins
 * of MoE, which leave out, of an expert's rows by source, those beyond.
 *
 * How it works: with tp > 1 a dp rank's tokens, padded to tp rows at least, are
 * cut over its tp ranks. Ranks gather the counts of rows a rank sends to each
 * expert, or, as MegaBlocks, tell each other those for it; rows sorted by
 * expert, so by rank, go there by an all-to-all-v, and are sorted again from
 * (source, expert) to (expert, source); the experts' rows go the same way back,
 * the source weighs and sums a token's k rows, and an all-gather over tp joins
 * the parts.
 *
 * Payload of a rank, R > 1: counts 8 E, MegaBlocks 8 R ceil(E / R); dispatch
 * B_r k row(H), own experts' rows among them, B_r the rows of its part; combine
 * n_r rowc(H), with n_r the (row, expert) pairs of all ranks for its experts,
 * row and rowc the bytes of a row in the dispatch and in the combine format; tp
 * > 1: output B_r H b. `weigh: activation`: dispatch 4 B_r k besides, weights
 * that travel.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_GROUP_LIST,
    OPTION_BLOCK,
    OPTION_FACTOR,
    OPTION_WEIGH,
    BLOCK_BIN = 2 /* its value */
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 fp8_1x128 nvfp4 fp8_token int8_token "
                        "fp8_tensor mxfp8_e5m2"),
    MOE_OPTION_RETURN("bf16 fp16 fp32 int8_1x8"),
    MOE_OPTION_GROUP_LIST,
    MOE_OPTION_EXPERT_BLOCK,
    {"capacity_factor", MOE_OPTION_number, NULL, "1",
     "expert_block: bin: f in int(f k T_i R / E), rows of a bin of rank i; 0: "
     "bins of its fullest expert's rows, nothing is left out"},
    MOE_OPTION_WEIGH("source"),
    {"sum_order", MOE_OPTION_order, "fp32_slot fp32_expert", "fp32_slot",
     "faithful: how the source sums a token's rows; fp32_expert: Megatron-LM"},
    MOE_OPTION_END,
};

/* MegaBlocks' expert_capacity. */
static int64_t bin(const moe_layer_t *layer, const int64_t *option, int rank)
{
    return option[OPTION_BLOCK] == BLOCK_BIN
               ? moe_gating_bin(layer, moe_option_number(option[OPTION_FACTOR]),
                                rank)
               : -1;
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const char *why = moe_needs_experts_over_all(layer);

    why = why != NULL ? why : moe_needs_blocks(layer, option[OPTION_COMBINE]);
    if (why == NULL) {
        why = moe_needs_weighable_activation(layer, option[OPTION_WEIGH] != 0);
    }
    if (why == NULL && option[OPTION_WEIGH] != 0 && option[OPTION_BLOCK] != 0) {
        why = "needs weigh: source with expert_block: MegaBlocks' weights do "
              "not travel";
    }
    return why != NULL || option[OPTION_BLOCK] != BLOCK_BIN
               ? why
               : moe_gating_bin_refuses(
                     layer, moe_option_number(option[OPTION_FACTOR]));
}

static void amend(const moe_model_t *model, const int64_t *option,
                  moe_contract_t *contract)
{
    (void)model;
    moe_contract_weigh_activation(option[OPTION_WEIGH] != 0, contract);
}

static void plan(moe_ctx_t *c)
{
    moe_pairs_plan_counts(c, moe_ctx_option(c, OPTION_BLOCK) != 0,
                          moe_ctx_plan(c));
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_format_t dispatch = (moe_format_t)f->options[OPTION_DISPATCH];

    moe_pairs_payload_counts(
        f, f->options[OPTION_BLOCK] != 0,
        moe_format_row_bytes(dispatch, f->layer->model->hidden) +
            (f->options[OPTION_WEIGH] != 0 ? 4 : 0),
        (moe_format_t)f->options[OPTION_COMBINE], out);
}

const moe_method_t moe_method_alltoallv = {
    .name = "alltoallv",
    .system = "vLLM-Ascend AllToAllV (from #2614), Megatron-LM alltoall; "
              "with `expert_block` MegaBlocks dMoE and MoE",
    .source = "vllm-project/vllm-ascend#2614; vllm_ascend/ops/fused_moe/"
              "token_dispatcher.py; megatron/core/transformer/moe/"
              "token_dispatcher.py; megablocks/layers/dmoe.py",
    .how = "counts of all ranks by an all-gather; rows sorted by expert go by "
           "all-to-all-v, one a (token, expert) pair;\n"
           "sorted again by expert, local experts;\n"
           "the same way back, weighed and summed at the source; all-gather "
           "over tp",
    .family = MOE_FAMILY_F3,
    .collectives = "allgather, or alltoall (MegaBlocks), of counts, alltoallv "
                   "(x2 with weights), alltoallv; tp > 1: allgatherv",
    .contract = MOE_PAIRS_CONTRACT,
    .formula = "prepare 8 E, or 8 R ceil(E/R); permute B_r k row(H), + 4 B_r k "
               "with weights; "
               "unpermute n_r rowc(H); finalize "
               "B_r H b if tp > 1",
    .test = "tests/check_methods_meta.c",
    .capturable = false,
    .needs = "ep = dp x tp; H of whole blocks of combine; expert_block: bin: "
             "tp = 1, experts in order, no shared experts, capacity_factor: 0 "
             "<= f <= 1e6; weigh: activation: no expert_block, weights on the "
             "experts' output, no expert_bias",
    .options = options,
    .plan_size = sizeof(moe_pair_plan_t),
    .amend = amend,
    .bin = bin,
    .check = check,
    .plan = plan,
    .stage = MOE_PAIRS_STAGES,
    .payload = payload,
};
