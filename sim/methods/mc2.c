/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mc2: vLLM-Ascend's MC2, the fused dispatch and combine of CANN.
 *
 * How it works: tokens are padded to equal parts of a dp rank's tp ranks; a
 * row of a part goes to each of its k experts, with whose it is, into the next
 * slot there; padding is masked and not sent. Rows go back by that to the
 * source, which weighs and adds them; an all-gather over tp joins the parts.
 *
 * Payload of a rank, R > 1, in bytes written: flags 4 R ceil(E / R); dispatch
 * t_r k msg, t_r its tokens, own experts' rows among them; combine n_r rowc(H),
 * n_r pairs of all ranks for its experts; tp > 1: output B H b, B =
 * ceil(M / tp). msg = align32(code(H)) + 32 + 12: codes, a scale's place, also
 * without one, and rank, token, slot. Slots are align512(msg) apart, R B of
 * them an expert, and k B of align512(rowc(H)) at the source.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_LIMITS,
    OPTION_SOC,
    OPTION_BUFFER
};

enum {
    LIMITS_OFF = 2,
    SOC_A3 = 0
};

static const moe_option_t options[] = {
    {"dispatch", MOE_OPTION_format, "bf16 int8_token", NULL,
     "format of rows on the way to the experts; int8_token: quant_mode 2"},
    MOE_OPTION_RETURN("bf16 fp16 int8_1x8"), /* int8_1x8: comm_quant 2 */
    {"limits", MOE_OPTION_choice, "library torch_npu_7 off", "library",
     "library: what the operators of soc take; torch_npu_7: what they took in "
     "torch_npu 7.0.0; off: any shape"},
    {"soc", MOE_OPTION_choice, "a3 a2", "a3",
     "whose limits: Atlas A3, or A2 (full mesh)"},
    {"buffer_mb", MOE_OPTION_int, NULL, "200",
     "HCCL_BUFFSIZE, MiB that the slots must fit into"},
    MOE_OPTION_GROUP_LIST,
    MOE_OPTION_END,
};

/* What operators take by limits and soc. A2's hidden is a multiple of 32. */
#define A3(from, to, most_topk)                                                \
    MOE_LIMIT(hidden, from, to), MOE_LIMIT(ranks, 2, 768),                     \
        MOE_LIMIT(topk, 1, most_topk), MOE_LIMIT(experts, 1, 1024),            \
        MOE_LIMIT_EVEN, MOE_LIMIT(tokens, 0, 512), MOE_LIMIT_END
#define A2(most_topk)                                                          \
    MOE_LIMIT(hidden, 32, 7168),                                               \
        MOE_LIMIT_OF(ranks, 16, 32, 64, 128, 192, 256),                        \
        MOE_LIMIT(topk, 1, most_topk), MOE_LIMIT(experts, 1, 512),             \
        MOE_LIMIT_EVEN, MOE_LIMIT(each, 1, 24), MOE_LIMIT(tokens, 0, 256),     \
        MOE_LIMIT_END

static const moe_limit_t takes[][2][8] = {{{A3(1024, 8192, 16)}, {A2(16)}},
                                          {{A3(7168, 7168, 8)}, {A2(8)}}};

/* Bytes that the slots of dispatch and combine need, twice for two calls in
 * flight (documents of moe_distribute_dispatch_v2). */
static int64_t window_bytes(const moe_layer_t *layer, int64_t soc)
{
    const moe_model_t *m = layer->model;
    const int64_t rows = moe_tp_part_equal(layer, 0).rows.end;
    const int64_t n = layer->layout.ep;
    const int64_t each = m->experts / n;
    const int64_t slot = moe_align(moe_align(2 * m->hidden, 32) + 64, 512);

    return soc == SOC_A3
               ? 2 * rows *
                     (each * n * slot + m->topk * moe_align(2 * m->hidden, 512))
               : 2 * (rows * n * (each < m->topk ? each : m->topk) * 2 *
                          m->hidden +
                      (2 << 20));
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const int64_t soc = option[OPTION_SOC];
    const char *why = moe_needs_experts_over_all(layer);

    why = why != NULL ? why : moe_needs_blocks(layer, option[OPTION_COMBINE]);
    if (why != NULL || option[OPTION_LIMITS] == LIMITS_OFF) {
        return why;
    }
    why = moe_limits_refuse(takes[option[OPTION_LIMITS]][soc], layer);
    return why != NULL ? why
           : soc != SOC_A3 && layer->model->hidden % 32 != 0
               ? "limits: library: A2 needs hidden of whole blocks of 32"
           : window_bytes(layer, soc) > option[OPTION_BUFFER] * (1 << 20)
               ? "limits: library: slots need more than buffer_mb"
               : NULL;
}

static int64_t message_bytes(const moe_model_t *m, int64_t dispatch)
{
    const moe_format_t as = (moe_format_t)dispatch;

    return moe_align(moe_format_code_bytes(as, m->hidden), 32) + 32 + 12;
}

static void plan(moe_ctx_t *c)
{
    moe_pair_plan_t *p = moe_ctx_plan(c);

    moe_pairs_plan_masked(c, p);
    p->pairs.by_origin = true;
    p->pairs.message =
        message_bytes(moe_ctx_model(c), moe_ctx_option(c, OPTION_DISPATCH));
    p->pairs.dispatch = "npu_moe_distribute_dispatch";
    p->pairs.combine = "npu_moe_distribute_combine";
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    moe_pairs_payload(
        f, message_bytes(f->layer->model, f->options[OPTION_DISPATCH]),
        (moe_format_t)f->options[OPTION_COMBINE], out);
}

const moe_method_t moe_method_mc2 = {
    .name = "mc2",
    .system = "vLLM-Ascend MC2, from #2469; operators of CANN, 2025-12-27",
    .source =
        "vllm-project/vllm-ascend#2469, MC2CommImpl; vllm_ascend/ops/"
        "fused_moe/{prepare_finalize,token_dispatcher}.py; ops-transformer: "
        "mc2/moe_distribute_{dispatch,combine}_v2",
    .how = "tokens padded and cut over tp, padding masked; one row a (token, "
           "expert) into a slot, with rank, token and slot it is of;\n"
           "local experts, unweighted;\n"
           "rows back to where they are of, weighed and added in fp32 by slot; "
           "all-gather over tp",
    .family = MOE_FAMILY_F4,
    .collectives = "alltoall of flags, alltoallv, alltoallv; tp > 1: allgather",
    .contract = MOE_PAIRS_CONTRACT,
    .formula = "bytes written: prepare 4 R ceil(E/R); permute t_r k msg, msg = "
               "align32(code(H)) + 44 in slots of align512(msg); unpermute "
               "n_r rowc(H); finalize B H b if tp > 1",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp x tp; H of whole blocks of combine; limits library, "
             "torch_npu_7: H, R, E, k and tokens of the operators of soc, "
             "slots that fit into buffer_mb",
    .options = options,
    .plan_size = sizeof(moe_pair_plan_t),
    .check = check,
    .plan = plan,
    .stage = MOE_PAIRS_STAGES,
    .payload = payload,
};
