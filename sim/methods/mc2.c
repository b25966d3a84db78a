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
    LIMITS_LIBRARY,
    SOC_A3 = 0
};

static const moe_option_t options[] = {
    {"dispatch", MOE_OPTION_format, "bf16 int8_token", NULL,
     "format of rows on the way to the experts; int8_token: quant_mode 2"},
    {"combine", MOE_OPTION_format, "bf16 fp16 int8_1x8", "bf16",
     "format of the experts' rows on the way home; int8_1x8: comm_quant 2"},
    {"limits", MOE_OPTION_choice, "library off", "library",
     "library: what the operators of soc take; off: any shape"},
    {"soc", MOE_OPTION_choice, "a3 a2", "a3",
     "whose limits: Atlas A3, or A2 (full mesh)"},
    {"buffer_mb", MOE_OPTION_int, NULL, "200",
     "HCCL_BUFFSIZE, MiB that the slots must fit into"},
    MOE_OPTION_GROUP_LIST,
    MOE_OPTION_END,
};

/* B */
static int64_t part_rows(const moe_layer_t *layer)
{
    return moe_tp_part_equal(layer, 0).rows.end;
}

/* Bytes that the slots of dispatch and combine need, twice for two calls in
 * flight (documents of moe_distribute_dispatch_v2). */
static int64_t window_bytes(const moe_layer_t *layer, int64_t soc)
{
    const moe_model_t *m = layer->model;
    const int64_t ranks = layer->layout.ep;
    const int64_t each = m->experts / ranks;

    return soc == SOC_A3
               ? 2 * part_rows(layer) *
                     (each * ranks *
                          moe_align(moe_align(2 * m->hidden, 32) + 64, 512) +
                      m->topk * moe_align(2 * m->hidden, 512))
               : 2 * (part_rows(layer) * ranks *
                          (each < m->topk ? each : m->topk) * 2 * m->hidden +
                      (2 << 20));
}

/* What either's operators take: at least hidden and ranks, at most the rest. */
static const struct {
    int64_t hidden, ranks, most_ranks, tokens, experts;
} takes[] = {{7168, 2, 768, 512, 1024}, {32, 16, 256, 256, 512}};

static const char *library_refuses(const moe_layer_t *layer,
                                   const int64_t *option)
{
    const int64_t soc = option[OPTION_SOC];
    const moe_model_t *m = layer->model;
    const int n = layer->layout.ep;

    return m->hidden < takes[soc].hidden || m->hidden > 7168 ||
                   m->hidden % 32 != 0
               ? "limits: library: needs hidden 7168 on A3, at most that, a "
                 "multiple of 32, on A2"
           : n < takes[soc].ranks || n > takes[soc].most_ranks ||
                   (soc != SOC_A3 && n != 16 && n != 32 && n % 64 != 0)
               ? "limits: library: needs 2 to 768 ranks on A3; 16, 32, 64, "
                 "128, 192 or 256 on A2"
           : m->topk > 8 || m->experts > takes[soc].experts ||
                   m->experts % n != 0 || (soc != SOC_A3 && m->experts > 24 * n)
               ? "limits: library: takes 8 experts a token, 1024 on A3, 512 "
                 "and 24 a rank on A2, as many on every rank"
           : part_rows(layer) > takes[soc].tokens
               ? "limits: library: takes 512 tokens a rank on A3, 256 on A2"
           : window_bytes(layer, soc) > option[OPTION_BUFFER] * (1 << 20)
               ? "limits: library: slots need more than buffer_mb"
               : NULL;
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const char *over_all = moe_needs_experts_over_all(layer);
    const char *blocks = moe_needs_blocks(layer, option[OPTION_COMBINE]);

    return over_all != NULL ? over_all
           : blocks != NULL ? blocks
           : option[OPTION_LIMITS] == LIMITS_LIBRARY
               ? library_refuses(layer, option)
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

    p->own.part = moe_tp_part_equal(moe_ctx_layer(c), moe_ctx_rank(c));
    p->own.part.masked = true;
    moe_pairs_plan_flags(c, &p->pairs);
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
    .family = MOE_FAMILY_F3,
    .collectives = "alltoall of flags, alltoallv, alltoallv; tp > 1: allgather",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(returned) |
                     MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_source},
    .formula = "bytes written: prepare 4 R ceil(E/R); permute t_r k msg, msg = "
               "align32(code(H)) + 44 in slots of align512(msg); unpermute "
               "n_r rowc(H); finalize B H b if tp > 1",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs =
        "ep = dp x tp; limits library: H, R, E, k and tokens of the operators",
    .options = options,
    .plan_size = sizeof(moe_pair_plan_t),
    .check = check,
    .plan = plan,
    .stage = {moe_tp_part_prepare_stage, moe_pairs_permute_stage,
              moe_gathered_experts_stage, moe_pairs_unpermute_stage,
              moe_tp_part_finalize_stage},
    .payload = payload,
};
