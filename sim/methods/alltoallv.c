/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alltoallv: one row a (token, expert) pair, as vLLM-Ascend's AllToAllV,
 * Megatron-LM's all-to-all dispatcher (dropless) and MegaBlocks send them;
 * `expert_block` pads experts' rows, to blocks of 128 as dMoE, or to the bins
 * of MoE, which leave out, of an expert's rows by source, those beyond.
 *
 * How it works: with tp > 1 a dp rank's tokens, padded to tp rows at least, are
 * cut over its tp ranks. Ranks gather the counts of rows a rank sends to each
 * expert; rows sorted by expert, so by rank, go there by an all-to-all-v, and
 * are sorted again from (source, expert) to (expert, source); the experts' rows
 * go the same way back, the source weighs and sums a token's k rows, and an
 * all-gather over tp joins the parts.
 *
 * Payload of a rank, R > 1: counts 8 E; dispatch B_r k row(H), own experts'
 * rows among them, B_r the rows of its part; combine n_r rowc(H), with n_r the
 * (row, expert) pairs of all ranks for its experts, row and rowc the bytes of a
 * row in the dispatch and in the combine format; tp > 1: output B_r H b.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_GROUP_LIST,
    OPTION_BLOCK,
    OPTION_FACTOR,
    BLOCK_BIN = 2 /* its value */
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 fp8_1x128 nvfp4 fp8_token int8_token"),
    MOE_OPTION_RETURN("bf16 fp16 fp32 int8_1x8"),
    MOE_OPTION_GROUP_LIST,
    MOE_OPTION_EXPERT_BLOCK,
    {"capacity_factor", MOE_OPTION_number, NULL, "1",
     "expert_block: bin: f in int(f k T_i R / E), rows of a bin of rank i; 0: "
     "bins of its fullest expert's rows, nothing is left out"},
    MOE_OPTION_END,
};

/* vLLM-Ascend pads to tp rows at least, and cuts what may be unequal parts. */
static moe_tp_part_t part_of(const moe_layer_t *layer, int rank)
{
    const moe_layout_t *l = &layer->layout;
    const int64_t n = layer->tokens[moe_layout_dp_rank(l, rank)];

    return moe_tp_part(layer, rank, l->tp > 1 && n < l->tp ? l->tp : n);
}

static int64_t rows_of(const moe_tp_part_t *part)
{
    return part->rows.end - part->rows.begin;
}

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
    return why != NULL || option[OPTION_BLOCK] != BLOCK_BIN
               ? why
               : moe_gating_bin_refuses(
                     layer, moe_option_number(option[OPTION_FACTOR]));
}

/* Rows to each expert; those of padding are routed and sent too. */
static void contribute(const moe_layer_t *layer, const int64_t *option,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    const moe_tp_part_t part = part_of(layer, rank);
    const moe_span_t *own = &part.tokens;

    (void)option;
    for (int64_t e = 0; e < layer->model->experts; e++) {
        out[e] = 0;
    }
    moe_routing_count(routing, own->token, own->token + own->n, out);
    for (int i = 0; i < routing->topk; i++) {
        out[routing->pad_ids[i]] += rows_of(&part) - own->n;
    }
}

static void plan(moe_ctx_t *c)
{
    moe_pair_plan_t *p = moe_ctx_plan(c);
    const int64_t experts = moe_ctx_model(c)->experts;
    const int64_t *counts = moe_agree(c, MOE_GROUP_ep, MOE_AGREE_allgather,
                                      MOE_DTYPE_i64, (int)experts, contribute);

    p->own.part = part_of(moe_ctx_layer(c), moe_ctx_rank(c));
    if (counts != NULL) {
        moe_pairs_plan(c,
                       counts + moe_ctx_group_index(c, MOE_GROUP_ep) * experts,
                       counts + moe_ctx_experts(c).begin, experts, &p->pairs);
    }
}

/* Rows of padding go to experts as tokens do. */
static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_model_t *m = f->layer->model;
    const moe_tp_part_t own = part_of(f->layer, f->rank);
    const moe_format_t as = (moe_format_t)f->options[OPTION_DISPATCH];
    int64_t padding = 0;

    for (int r = 0; r < f->layer->layout.ep; r++) {
        const moe_tp_part_t part = part_of(f->layer, r);

        padding += rows_of(&part) - part.tokens.n;
    }
    moe_pairs_payload_of(f, &own, rows_of(&own), padding,
                         moe_format_row_bytes(as, m->hidden),
                         (moe_format_t)f->options[OPTION_COMBINE], out);
    if (f->layer->layout.ep > 1) {
        out[MOE_STAGE_prepare] = 8 * m->experts;
    }
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
    .collectives = "allgather of counts, alltoallv, alltoallv; tp > 1: "
                   "allgatherv",
    .contract = MOE_PAIRS_CONTRACT,
    .formula =
        "prepare 8 E; permute B_r k row(H); unpermute n_r rowc(H); finalize "
        "B_r H b if tp > 1",
    .test = "tests/check_methods_meta.c",
    .capturable = false,
    .needs = "ep = dp x tp; H of whole blocks of combine; bins: tp = 1",
    .options = options,
    .plan_size = sizeof(moe_pair_plan_t),
    .bin = bin,
    .check = check,
    .plan = plan,
    .stage = MOE_PAIRS_STAGES,
    .payload = payload,
};
