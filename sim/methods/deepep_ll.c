/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deepep_ll: DeepEP's low-latency kernels, fixed slots an expert.
 *
 * How it works: a token's row goes to each of its k experts, straight into the
 * next slot that the expert has for this source; how many slots are filled
 * follows as a flag, which the device waits for. Experts compute on their
 * slots, unweighted; rows come back to the source, which weighs and adds them
 * in slot order.
 *
 * Payload of a rank, R > 1, in bytes written: flags 4 R ceil(E / R); dispatch
 * T_r k msg, own experts' rows among them; combine n_r rowc(H), n_r pairs of
 * all ranks for its experts. msg is 16 + 2 H (bf16) or 16 + H + 4 ceil(H/128):
 * the scales travel as fp32, also where they are powers of two. Slots: an
 * expert has R S of them, S = max_tokens, msg apart (dispatch), and a token k,
 * 2 H apart (combine); only those that are filled are written, and only they
 * have rows here.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_LIMITS,
    OPTION_MAX_TOKENS
};

enum {
    LIMITS_LIBRARY,
    LIMITS_OFF
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 fp8_1x128 fp8_1x128_ue8m0"),
    MOE_OPTION_RETURN("bf16 fp16 fp32 logfmt10"),
    {"limits", MOE_OPTION_choice, "library off", "library",
     "library: what DeepEP is compiled for; off: any shape, and as many slots "
     "as the longest rank needs"},
    {"max_tokens", MOE_OPTION_int, NULL, "128",
     "slots that an expert has for each source rank"},
    MOE_OPTION_END,
};

/* SWITCH_HIDDEN of csrc/kernels/launch.cuh, kNumMaxTopk. */
static const moe_limit_t compiled[] = {
    MOE_LIMIT_OF(hidden, 2048, 2560, 3072, 4096, 5120, 6144, 7168, 8192),
    MOE_LIMIT(topk, 1, 11), MOE_LIMIT_EVEN, MOE_LIMIT_END};

/* A queue pair of depth 1024 takes 2 (slots + 1) messages. */
static const char *library_refuses(const moe_layer_t *layer,
                                   const int64_t *option)
{
    const char *why = moe_limits_refuse(compiled, layer);
    const int64_t home = option[OPTION_COMBINE];

    return why != NULL ? why
           : moe_layer_longest(layer) > option[OPTION_MAX_TOKENS]
               ? "DeepEP needs at most max_tokens tokens on every rank "
                 "(limits: library)"
           : option[OPTION_MAX_TOKENS] > 511
               ? "DeepEP's queues take at most 511 slots (limits: library)"
           : home == MOE_FORMAT_fp16 || home == MOE_FORMAT_fp32
               ? "DeepEP sends home bf16 or logfmt10 (limits: library)"
               : NULL;
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const char *why = moe_needs_own_tokens(layer, option);

    why = why != NULL ? why : moe_needs_blocks(layer, option[OPTION_COMBINE]);
    if (why == NULL && option[OPTION_MAX_TOKENS] < 1) {
        return "needs max_tokens of at least 1";
    }
    return why == NULL && option[OPTION_LIMITS] == LIMITS_LIBRARY
               ? library_refuses(layer, option)
               : why;
}

/* Bytes of a dispatched message: a 16-byte header, the row, fp32 scales. */
static int64_t message_bytes(const moe_model_t *m, int64_t dispatch)
{
    return 16 + (dispatch == MOE_FORMAT_bf16
                     ? moe_format_row_bytes(MOE_FORMAT_bf16, m->hidden)
                     : moe_format_row_bytes(MOE_FORMAT_fp8_1x128, m->hidden));
}

static void plan(moe_ctx_t *c)
{
    moe_pair_plan_t *p = moe_ctx_plan(c);

    moe_pairs_plan_flags(c, &p->pairs);
    p->pairs.message =
        message_bytes(moe_ctx_model(c), moe_ctx_option(c, OPTION_DISPATCH));
    p->pairs.combine = "deepep_ll_combine";
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    moe_pairs_payload(
        f, message_bytes(f->layer->model, f->options[OPTION_DISPATCH]),
        (moe_format_t)f->options[OPTION_COMBINE], out);
}

/* Of tests/legacy: every (token, slot) pair. */
static int64_t counted(const moe_formula_t *f)
{
    return f->layer->tokens[f->rank] * f->layer->model->topk;
}

const moe_method_t moe_method_deepep_ll = {
    .name = "deepep_ll",
    .system = "DeepEP v1, low-latency kernels",
    .source = "deepseek-ai/DeepEP at dd758ca: csrc/kernels/legacy/"
              "internode_ll.cu, csrc/legacy/config.hpp, "
              "deep_ep/buffers/legacy.py",
    .how = "one row a (token, expert) into the next slot that the expert has "
           "for this source, counts behind it as flags;\n"
           "local experts on their slots, unweighted;\n"
           "rows back to the source, which weighs and adds them in slot order",
    .family = MOE_FAMILY_F4,
    .collectives = "alltoall of flags, alltoallv, alltoallv",
    .contract = MOE_PAIRS_CONTRACT,
    .formula = "bytes written: prepare 4 R ceil(E/R); permute T_r k msg(H); "
               "unpermute n_r rowc(H); slots: E S R / R of msg(H) a source",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp, tp = 1; H of whole blocks of combine; max_tokens at "
             "least 1; limits library: max_tokens a rank, max_tokens at most "
             "511, compiled H, k <= 11, E divisible by R, combine bf16 or "
             "logfmt10",
    .options = options,
    .plan_size = sizeof(moe_pair_plan_t),
    .check = check,
    .plan = plan,
    .stage = {moe_own_prepare_stage, moe_pairs_permute_stage,
              moe_gathered_experts_stage, moe_pairs_unpermute_stage,
              moe_hop_finalize_stage},
    .payload = payload,
    .counted = counted,
};
