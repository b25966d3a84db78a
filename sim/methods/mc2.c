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
    {"group_list_type", MOE_OPTION_choice, "0 1", "1",
     "how the grouped matmul is told its rows: 0 cumulative sums, 1 counts"},
    {NULL, MOE_OPTION_bool, NULL, NULL, NULL},
};

typedef struct {
    moe_tp_plan_t own; /* first: stages look there */
    moe_pairs_t pairs;
} plan_t;

static int64_t align_to(int64_t unit, int64_t bytes)
{
    return (bytes + unit - 1) / unit * unit;
}

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
                          align_to(512, align_to(32, 2 * m->hidden) + 64) +
                      m->topk * align_to(512, 2 * m->hidden))
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
    const int64_t combine = option[OPTION_COMBINE];

    return layer->layout.ep != moe_layout_world(&layer->layout)
               ? "needs ep = dp x tp: experts lie over all ranks"
           : !moe_format_fits((moe_format_t)combine, layer->model->hidden)
               ? "needs hidden of whole blocks of the combine format"
           : option[OPTION_LIMITS] == LIMITS_LIBRARY
               ? library_refuses(layer, option)
               : NULL;
}

static int64_t message_bytes(const moe_model_t *m, int64_t dispatch)
{
    const moe_format_t as = (moe_format_t)dispatch;

    return align_to(32, moe_format_code_bytes(as, m->hidden)) + 32 + 12;
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    p->own.part = moe_tp_part_equal(moe_ctx_layer(c), moe_ctx_rank(c));
    p->own.part.masked = true;
    moe_pairs_plan_flags(c, &p->pairs);
    p->pairs.by_origin = true;
}

static void permute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_group_begin(c, true, "npu_moe_distribute_dispatch");
    moe_pairs_go(
        c, &p->pairs,
        message_bytes(moe_ctx_model(c), moe_ctx_option(c, OPTION_DISPATCH)),
        &p->own.rows);
    moe_group_end(c);
}

static void unpermute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_group_begin(c, true, "npu_moe_distribute_combine");
    moe_pairs_back(c, &p->pairs, &p->own.rows);
    moe_group_end(c);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_model_t *m = f->layer->model;
    const moe_tp_part_t part = moe_tp_part_equal(f->layer, f->rank);
    const moe_format_t combine = (moe_format_t)f->options[OPTION_COMBINE];

    moe_pairs_payload(f, message_bytes(m, f->options[OPTION_DISPATCH]),
                      moe_format_row_bytes(combine, m->hidden), out);
    out[MOE_STAGE_finalize] = moe_tp_part_payload(f->layer, &part);
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
    .plan_size = sizeof(plan_t),
    .check = check,
    .plan = plan,
    .stage = {moe_tp_part_prepare_stage, permute, moe_gathered_experts_stage,
              unpermute, moe_tp_part_finalize_stage},
    .payload = payload,
};
