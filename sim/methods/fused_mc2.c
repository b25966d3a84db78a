/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fused_mc2: vLLM-Ascend's fused MC2, dispatch, experts and combine in one
 * kernel (dispatch_ffn_combine).
 *
 * How it works: as mc2, tokens are padded to equal parts of the tp ranks and
 * padding is masked. A rank quantises its rows, sorted by expert, into its own
 * window, and writes its counts for all experts to all ranks; each rank pulls,
 * expert by expert, codes and scales of its rows, while the matmuls of those
 * before run. Rows go home as the counts say, each into its place in the
 * source's window, which weighs and adds them.
 *
 * Payload of a rank, R > 1, counted at the source: counts 4 R align128(E + 1);
 * dispatch t_r k row(H), t_r its tokens, own experts' rows among them; combine
 * n_r rowc(H), n_r pairs of all ranks for its experts; tp > 1: output B H b, B
 * = ceil(M / tp). Rows are tight, without whose they are.
 *
 * The kernel has gemm1_out in fp16 and act_out in fp32, quantised to int8 for
 * gemm2: that is the scenario's `precision`. A matmul that runs while rows
 * arrive is priced behind them.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_LIMITS
};

static const moe_option_t options[] = {
    {"dispatch", MOE_OPTION_format, "int8_token", "int8_token",
     "format of rows on the way to the experts: w8a8_dynamic has no other"},
    MOE_OPTION_RETURN("bf16 fp16"),
    {"limits", MOE_OPTION_choice, "library off", "library",
     "library: as many experts on every rank, and at most max_output_size, "
     "65536, rows of a rank, beyond which the kernel leaves rows out; off: "
     "any"},
    MOE_OPTION_END,
};

static const moe_limit_t even[] = {MOE_LIMIT_EVEN, MOE_LIMIT_END};

/* Rows that a rank may get: each token has k experts, or all that it has. */
static bool may_overflow(const moe_layer_t *layer)
{
    const int64_t each = layer->model->experts / layer->layout.ep;
    const int64_t k = layer->model->topk;

    return moe_layer_total_tokens(layer) * (each < k ? each : k) > 65536;
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const char *why = moe_needs_experts_over_all(layer);

    if (why != NULL || option[OPTION_LIMITS] != 0) {
        return why;
    }
    why = moe_limits_refuse(even, layer);
    return why == NULL && may_overflow(layer)
               ? "limits: library: a rank may get more than 65536 rows, of "
                 "which the kernel would leave some out"
               : why;
}

static void plan(moe_ctx_t *c)
{
    moe_pairs_plan_table(c, moe_ctx_plan(c));
}

/* One kernel, from here to the end of unpermute. */
static void permute(moe_ctx_t *c)
{
    moe_group_begin(c, true, "dispatch_ffn_combine");
    moe_pairs_permute_stage(c);
}

static void unpermute(moe_ctx_t *c)
{
    moe_pairs_unpermute_stage(c);
    moe_group_end(c);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_layer_t *layer = f->layer;

    moe_pairs_payload(
        f,
        moe_format_row_bytes((moe_format_t)f->options[OPTION_DISPATCH],
                             layer->model->hidden),
        (moe_format_t)f->options[OPTION_COMBINE], out);
    if (layer->layout.ep > 1) {
        out[MOE_STAGE_prepare] = 4 * layer->layout.ep * moe_pairs_table(layer);
    }
}

const moe_method_t moe_method_fused_mc2 = {
    .name = "fused_mc2",
    .system = "vLLM-Ascend FUSED_MC2, from #5156; dispatch_ffn_combine as of "
              "HEAD, 2026-08-22",
    .source = "vllm-project/vllm-ascend: vllm_ascend/ops/fused_moe/"
              "moe_comm_method.py, FusedMC2CommImpl; csrc/dispatch_ffn_combine/"
              "op_kernel/dispatch_ffn_combine_kernel.hpp",
    .how = "as mc2, rows quantised into the own window, counts of all experts "
           "to all ranks; each rank pulls its rows, one a (token, expert);\n"
           "local experts, unweighted, in the same kernel;\n"
           "rows back by the counts, weighed and added in fp32 by slot; "
           "all-gather over tp",
    .family = MOE_FAMILY_F3,
    .collectives = "alltoall of flags, alltoallv, alltoallv; tp > 1: allgather",
    .contract = MOE_PAIRS_CONTRACT,
    .formula = "prepare 4 R align128(E + 1); permute t_r k row(H); unpermute "
               "n_r rowc(H); finalize B H b if tp > 1",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp x tp; limits library: E divisible by R, at "
             "most 65536 rows a rank",
    .options = options,
    .plan_size = sizeof(moe_pair_plan_t),
    .check = check,
    .plan = plan,
    .stage = {moe_tp_part_prepare_stage, permute, moe_gathered_experts_stage,
              unpermute, moe_tp_part_finalize_stage},
    .payload = payload,
};
