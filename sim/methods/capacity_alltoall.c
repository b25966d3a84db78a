/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capacity_alltoall: DeepSpeed's MOELayer (deepspeed/moe/sharded_moe.py, HEAD
 * of 2026-08-22, with #7997), and by `capacity` the drop/pad of Megatron-LM's
 * all-to-all dispatcher and Tutel's fast dispatch.
 *
 * How it works: a gate gives each expert at most C rows of a rank's tokens: C
 * from the number of local tokens, or, where nothing is dropped, the largest
 * count of all ranks by an all-reduce MAX, by Tutel also below that. Rows go to
 * [E][C], empty ones zero, by an equal all-to-all to [R][E/R][C], and the same
 * way back; the source weighs and sums a token's rows. In a group of one
 * nothing is called (#7997); a missing group is no such group: no capacity is
 * agreed upon without one. Top-1's min(C, S) changes nothing where local tokens
 * are equal; where they are not its two sides would disagree.
 *
 * Payload of a rank, R > 1: 8 if ranks agree on C; dispatch E C row(H), own
 * experts' rows among them, 4 E C besides where weights travel; combine E C
 * rowc(H).
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_CAPACITY,
    OPTION_DROP,
    OPTION_GATE,
    OPTION_FACTOR,
    OPTION_MIN,
    OPTION_PATH,
    OPTION_FAST,
    OPTION_GROUP,
    OPTION_WEIGH
};

enum { /* values */
    PATH_DENSE = 1,
    MIN_OF_RULE = -1
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 fp8_1x128 nvfp4 fp8_token mxfp8"),
    MOE_OPTION_RETURN("bf16 fp16 fp32"),
    {"capacity", MOE_OPTION_choice, "deepspeed megatron tutel", "deepspeed",
     "whose rule gives the rows of an expert, and its gate"},
    {"drop", MOE_OPTION_choice, "none position probs random", "none",
     "which pairs stay where an expert is full; none: no expert ever is"},
    {"gate", MOE_OPTION_choice, "by_k topk", "by_k",
     "DeepSpeed's: top1gating, top2gating and topkgating as k says, or "
     "topkgating for any k"},
    {"capacity_factor", MOE_OPTION_number, NULL, "1",
     "above 0; below 0, Tutel's: of -f, at most the fullest expert's rows"},
    {"min_capacity", MOE_OPTION_int, NULL, "-1",
     "rows of an expert at least; -1: 4 by DeepSpeed's rule, else 0"},
    {"combine_path", MOE_OPTION_choice, "sparse dense", "sparse",
     "dense: einsums, before #8195; they round the weights to the rows' type"},
    {"singleton_fast_path", MOE_OPTION_choice, "on off", "on",
     "off: a group of one rank calls collectives, as before #7997"},
    {"expert_group", MOE_OPTION_choice, "set missing", "set",
     "missing: the gate knows no group, which is not a group of one"},
    MOE_OPTION_WEIGH("source"),
    MOE_OPTION_END,
};

static moe_gate_rule_t gate(const moe_layer_t *layer, const int64_t *option)
{
    moe_gate_rule_t rule = moe_gating_of(
        layer->model, (moe_capacity_t)option[OPTION_CAPACITY],
        (moe_drop_t)option[OPTION_DROP], option[OPTION_GATE] == 0);

    rule.factor = moe_option_number(option[OPTION_FACTOR]);
    rule.min_capacity = option[OPTION_MIN] != MIN_OF_RULE ? option[OPTION_MIN]
                        : rule.capacity == MOE_CAPACITY_deepspeed ? 4
                                                                  : 0;
    return rule;
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const moe_gate_rule_t rule = gate(layer, option);
    const char *why = moe_slots_check(layer, &rule, option[OPTION_GROUP] == 0);

    if (why == NULL && option[OPTION_WEIGH] != 0 &&
        (rule.capacity != MOE_CAPACITY_megatron ||
         option[OPTION_PATH] == PATH_DENSE)) {
        why = "needs capacity: megatron and combine_path: sparse where the "
              "activation is weighed";
    }
    return why != NULL ? why
                       : moe_needs_weighable_activation(
                             layer, option[OPTION_WEIGH] != 0);
}

static void plan(moe_ctx_t *c)
{
    moe_slots_t *s = moe_ctx_plan(c);

    s->dense = moe_ctx_option(c, OPTION_PATH) == PATH_DENSE;
    if (moe_ctx_option(c, OPTION_FAST) != 0) {
        moe_ctx_call_alone(c);
    }
    moe_slots_plan(c, s, moe_ctx_option(c, OPTION_GROUP) == 0);
}

static void amend(const moe_model_t *model, const int64_t *option,
                  moe_contract_t *contract)
{
    (void)model;
    if (option[OPTION_PATH] == PATH_DENSE) {
        contract->points |= MOE_ROUND(routing_weight);
    }
    if (option[OPTION_CAPACITY] != MOE_CAPACITY_deepspeed) {
        contract->sum = option[OPTION_CAPACITY] == MOE_CAPACITY_megatron
                            ? MOE_ORDER_fp32_expert
                            : MOE_ORDER_storage;
    }
    moe_contract_weigh_activation(option[OPTION_WEIGH] != 0, contract);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_gate_rule_t rule = gate(f->layer, f->options);

    moe_slots_payload(f, &rule, f->options[OPTION_WEIGH] != 0 ? 4 : 0, out);
}

const moe_method_t moe_method_capacity_alltoall = {
    .name = "capacity_alltoall",
    .system = "DeepSpeed MoE with #7997 and #8195; with `capacity` Megatron-LM "
              "alltoall (drop and pad), Tutel",
    .source = "deepspeedai/DeepSpeed#7997; deepspeed/moe/sharded_moe.py; "
              "megatron/core/transformer/moe/{moe_utils,token_dispatcher}.py; "
              "tutel/impls/fast_dispatch.py",
    .how = "a gate gives each expert at most C rows of a rank's tokens; equal "
           "all-to-all of [E][C] rows;\n"
           "local experts of all slots, empty ones zero;\n"
           "the same way back, weighed and summed at the source",
    .family = MOE_FAMILY_F2,
    .collectives = "allreduce of the capacity if nothing is dropped, alltoall "
                   "(x2 with weights), alltoall",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(returned) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_source},
    .formula = "prepare 8 if nothing is dropped, or f < 0; permute E C row(H), "
               "+ 4 E C with weights; unpermute E C rowc(H)",
    .test = "tests/check_methods_meta.c",
    .capturable = false,
    .needs = "tp = 1, ep = dp, E divisible by R, experts in order, no shared "
             "experts; with drops: equal capacities of all ranks, E C H at "
             "most 2^56; without drops, or f < 0: with R > 1 a known "
             "expert_group; capacity: deepspeed: its top-1 gate min_capacity "
             "tokens a rank, without drops equally many, and in data: normal "
             "renormalize: false, its other gates true; drop: probs: not "
             "Tutel's rule, not DeepSpeed's top-1 and top-2 gates; drop: "
             "random: DeepSpeed's top-1 gate; capacity_factor: 0 < f <= 1e6, "
             "or, Tutel's with drop: position, -1e6 <= f < 0; "
             "min_capacity >= 0; weigh: "
             "activation: capacity: megatron, combine_path: sparse, weights on "
             "the experts' output, no expert_bias",
    .options = options,
    .plan_size = sizeof(moe_slots_t),
    .amend = amend,
    .gate = gate,
    .check = check,
    .plan = plan,
    .stage = {moe_slots_prepare, moe_slots_permute, moe_slots_experts,
              moe_slots_unpermute, moe_slots_finalize},
    .payload = payload,
};
