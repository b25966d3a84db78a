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
 * Payload of a rank: dp > 1: M (row(H) + 4 E), combine dp M H b; tp > 1:
 * combine T_i H b besides.
 */
#include "moe/method.h"

static const moe_option_t options[] = {
    /* as moe/padded.h wants them */
    MOE_OPTION_DISPATCH("bf16"),
    MOE_OPTION_COMBINE,
    MOE_OPTION_COMBINE_ORDER("reduce-scatter, and all-reduce"),
    MOE_OPTION_GROUP_LIST,
    MOE_OPTION_END,
};

const moe_method_t moe_method_ascend_native_allgather = {
    .name = "ascend_native_allgather",
    .system = "vLLM-Ascend NativeAllGather, #2469",
    .source = "vllm-project/vllm-ascend#2469, NativeAllGatherCommImpl",
    .how = "rows and logits padded to the longest rank's, all-gathers over dp, "
           "every rank routes all rows, those of padding too;\n"
           "argsort of mapped ids, other ranks' in a bucket that is cut off;\n"
           "index_add of weight x row in the hidden format, reduce-scatter "
           "over dp and slice, all-reduce over tp",
    .family = MOE_FAMILY_F1,
    .collectives = "dp > 1: allgather x2, reducescatter; tp > 1: allreduce",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(partial) |
                     MOE_ROUND(dp_partial) | MOE_ROUND(output),
                 MOE_ORDER_storage, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = moe_padded_home,
    .formula = "dp > 1: prepare M (row(H) + 4 E), finalize dp M H b(combine); "
               "tp > 1: finalize T_i H b(combine) besides",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp x tp; weights on the experts' output",
    .options = options,
    .plan_size = sizeof(moe_padded_t),
    .check = moe_padded_check,
    .plan = moe_padded_plan,
    .stage = {moe_padded_prepare, moe_gathered_permute_stage,
              moe_gathered_experts_stage, moe_gathered_unpermute_stage,
              moe_padded_finalize},
    .payload = moe_padded_payload,
};
