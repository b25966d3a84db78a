/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pad_allreduce: SGLang's DP attention before #7667.
 *
 * How it works: every rank puts its tokens in a zero-filled global buffer
 * of T rows that an all-reduce completes (SUM_LEN), or pads them to the
 * longest rank's M rows for an all-gather of R M rows (MAX_LEN); the gate
 * runs on the gathered rows of every rank; rows are quantised after the
 * gather; an all-reduce and a slice bring the sums home.
 *
 * Payload of a rank: SUM_LEN T row(H), MAX_LEN M row(H); combine P H b with
 * P = T or R M; nothing if R = 1.
 */
#include "moe/method.h"

enum {
    OPTION_PADDING = 2,
    PADDING_AUTO = 0, /* its values */
    PADDING_MAX_LEN = 2
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16"),
    MOE_OPTION_COMBINE,
    {"padding", MOE_OPTION_choice, "auto sum_len max_len", "auto",
     "auto: prefill sum_len, decode max_len if 2 T >= R M, else sum_len"},
    MOE_OPTION_COMBINE_ORDER("all-reduce that combines"),
    MOE_OPTION_END,
};

/* How the tokens T_i of R ranks lie in the global buffer. */
typedef struct {
    bool max_len;
    int64_t rows;    /* of the buffer: T or R M */
    int64_t sent;    /* rows that a rank gives: T or M */
    int64_t at;      /* first own one among them */
    moe_range_t own; /* rows in the buffer */
} buffer_t;

typedef struct {
    moe_gathered_t all; /* first: its stages look there */
    buffer_t b;
    const moe_span_t *spans; /* where tokens lie in it */
} plan_t;

/* SGLang's rule (dp_attention.py): an extend batch sums; otherwise the cheaper
 * of an all-reduce of T and an all-gather of R M, ties to the latter. */
static buffer_t buffer_of(const moe_layer_t *layer, int64_t padding, int me)
{
    const int64_t total = moe_layer_total_tokens(layer);
    const int64_t each = moe_layer_longest(layer);
    const int64_t padded = layer->layout.dp * each;
    const moe_range_t own = moe_layer_tokens(layer, me);
    const bool max_len =
        padding == PADDING_AUTO
            ? layer->phase == MOE_PHASE_decode && 2 * total >= padded
            : padding == PADDING_MAX_LEN;

    const int64_t first = max_len ? me * each : own.begin;

    return (buffer_t){max_len,
                      max_len ? padded : total,
                      max_len ? each : total,
                      max_len ? 0 : first,
                      {first, first + own.end - own.begin}};
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const moe_layer_t *layer = moe_ctx_layer(c);

    (void)moe_agree_tokens(c, MOE_GROUP_ep);
    p->b = buffer_of(layer, moe_ctx_option(c, OPTION_PADDING), moe_ctx_rank(c));
    p->spans =
        p->b.max_len ? moe_ctx_spans_apart(c, p->b.sent) : moe_ctx_all_span(c);
    p->all.scales = MOE_SCALES_128x4;
    moe_gathered_plan(c, &p->all, MOE_GROUP_ep,
                      p->b.rows - moe_layer_total_tokens(layer));
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *x = moe_to(c, hidden, MOE_ROLE_dispatch);
    moe_tensor_t *own =
        moe_place_rows(c, x, MOE_ROLE_dispatch, p->b.at, p->b.sent);
    moe_tensor_t *all = p->b.max_len ? moe_allgather(c, MOE_GROUP_ep, own)
                                     : moe_allreduce(c, MOE_GROUP_ep, own);
    moe_tensor_t *logits = moe_logits(c, all);

    moe_topk(c, logits, p->spans,
             p->b.max_len ? moe_ctx_layer(c)->layout.dp : 1, &p->all.ids,
             &p->all.weights);
    p->all.x = moe_weigh_input(c, all, p->all.weights);
    moe_release(c, own);
    moe_release(c, all);
    moe_release(c, hidden);
    moe_release(c, x);
    moe_release(c, logits);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_allreduce(c, &p->all, MOE_GROUP_ep, p->b.own.begin,
                           p->b.own.end - p->b.own.begin);
}

/* An all-reduce is a ring over equal blocks of the buffer's rows. */
static int home(const moe_formula_t *f, int64_t token, int slot)
{
    const int owner = moe_layer_owner(f->layer, token);
    const buffer_t b = buffer_of(f->layer, f->options[OPTION_PADDING], owner);
    const int64_t row =
        b.own.begin + token - moe_layer_tokens(f->layer, owner).begin;

    (void)slot;
    return moe_layout_part_of(b.rows, f->layer->layout.dp, row);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const buffer_t b = buffer_of(f->layer, f->options[OPTION_PADDING], f->rank);

    moe_gathered_payload(f, b.sent, 0, b.rows, out);
}

const moe_method_t moe_method_pad_allreduce = {
    .name = "pad_allreduce",
    .system = "SGLang before #7667, DP attention",
    .source = "sgl-project/sglang:python/sglang/srt/layers/dp_attention.py",
    .how = "zero-padded global buffer, all-reduce (SUM_LEN) or all-gather "
           "(MAX_LEN);\n"
           "gate and quantiser run on the gathered rows of every rank;\n"
           "all-reduce of partial sums, then a slice",
    .family = MOE_FAMILY_F1,
    .collectives = "allreduce or allgather, allreduce",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(partial) | MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_output},
    .home = home,
    .formula = "prepare T row(H) or M row(H); finalize P H b(combine), "
               "P = T or R M",
    .test = "tests/check_methods_meta.c",
    .capturable = true,
    .needs = "ep = dp, tp = 1",
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = moe_needs_own_tokens,
    .plan = plan,
    .stage = {prepare, moe_gathered_permute_stage, moe_gathered_experts_stage,
              moe_gathered_unpermute_stage, finalize},
    .payload = payload,
};
