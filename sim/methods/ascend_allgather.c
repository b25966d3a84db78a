/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ascend_allgather: vLLM-Ascend's AllGather, its default and fallback.
 *
 * How it works: with dp > 1 every rank pads its hidden states and router
 * logits with rows of zeros to the longest rank's M; two all-gathers over dp;
 * every rank routes all P rows, padding too, and sorts those of its experts;
 * the weighed sums go home by a reduce-scatter over dp and a slice, and with
 * tp > 1 an all-reduce over tp. `sequence_parallel`, as of HEAD: a dp rank's
 * rows are cut over its tp ranks, gathered and scattered over ep, and the parts
 * joined by an all-gather over tp.
 *
 * Payload of a rank: dp > 1: M (row(H) + 4 E), combine dp M H b; tp > 1:
 * combine T_i H b besides; sequence parallel with tp > 1 instead, B =
 * ceil(M / tp): B (row(H) + 4 E), combine R B H b, output B H b.
 */
#include "moe/method.h"

static const moe_option_t options[] = {
    /* as moe/padded.h wants them */
    {"dispatch", MOE_OPTION_format, "bf16 int8_token mxfp8 mxfp4", NULL,
     "format of rows on the way to the experts; other than bf16 as of HEAD"},
    MOE_OPTION_COMBINE,
    MOE_OPTION_COMBINE_ORDER("reduce-scatter, and all-reduce"),
    MOE_OPTION_GROUP_LIST,
    MOE_OPTION_SEQUENCE,
    MOE_OPTION_END,
};

const moe_method_t moe_method_ascend_allgather = {
    .name = "ascend_allgather",
    .system = "vLLM-Ascend AllGather, from #2469; quantised rows, and "
              "`sequence_parallel`, as of HEAD",
    .source =
        "vllm-project/vllm-ascend#2469, AllGatherCommImpl; vllm_ascend/ops/"
        "fused_moe/{prepare_finalize,token_dispatcher}.py",
    .how = "rows and logits padded to the longest rank's, all-gathers over dp, "
           "every rank routes all rows, those of padding too;\n"
           "npu_moe_init_routing_v2 sorts those of its experts;\n"
           "npu_moe_token_unpermute, reduce-scatter over dp and slice, "
           "all-reduce over tp; or over ep, and parts that tp gathers",
    .family = MOE_FAMILY_F1,
    .collectives = "dp > 1: allgather x2 or x3, reducescatter; tp > 1: "
                   "allreduce; sequence parallel, tp > 1, instead: allgather "
                   "x2 or x3, reducescatter, allgather",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(partial) |
                     MOE_ROUND(dp_partial) | MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = moe_padded_home,
    .formula = "dp > 1: prepare M (row(H) + 4 E), finalize dp M H b(combine); "
               "tp > 1: finalize T_i H b(combine) besides; sequence parallel, "
               "tp > 1, instead: prepare B (row(H) + 4 E), finalize R B H "
               "b(combine) + B H b",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp x tp; weights on the experts' output; tp > 1: a "
             "quantised dispatch with sequence_parallel",
    .options = options,
    .plan_size = sizeof(moe_padded_t),
    .amend = moe_padded_amend,
    .check = moe_padded_check,
    .plan = moe_padded_plan,
    .stage = {moe_padded_prepare, moe_gathered_permute_stage,
              moe_gathered_experts_stage, moe_gathered_unpermute_stage,
              moe_padded_finalize},
    .payload = moe_padded_payload,
};
