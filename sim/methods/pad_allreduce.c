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
    OPTION_DISPATCH,
    OPTION_COMBINE,
    OPTION_PADDING,
    OPTION_COMBINE_ORDER
};

enum {
    PADDING_AUTO,
    PADDING_SUM_LEN,
    PADDING_MAX_LEN
};

static const moe_option_t options[] = {
    {"dispatch", MOE_OPTION_format, "bf16", NULL,
     "format of rows on the way to the experts"},
    {"combine", MOE_OPTION_format, "bf16 fp16 fp32 exact", "bf16",
     "format of partial sums on the way home"},
    {"padding", MOE_OPTION_choice, "auto sum_len max_len", "auto",
     "auto: prefill sum_len, decode max_len if 2 T >= R M, else sum_len"},
    {"combine_order", MOE_OPTION_order, "rank ring fp32_rank exact", "rank",
     "faithful: the order of the all-reduce that combines"},
    {NULL, MOE_OPTION_bool, NULL, NULL, NULL},
};

/* How the tokens T_i of R ranks lie in the global buffer. */
typedef struct {
    bool max_len;
    int64_t rows;  /* of the buffer: T or R M */
    int64_t each;  /* rows of a rank in MAX_LEN: M */
    int64_t own;   /* first own row */
    int64_t n_own; /* T_r */
    int64_t pad;   /* rows of zeros */
} buffer_t;

typedef struct {
    moe_gathered_t all; /* first: its stages look there */
    buffer_t b;
    moe_span_t *spans; /* [n_spans] where each rank's tokens lie; one span for
                        * all where nothing is between them */
    int n_spans;
} plan_t;

/* SGLang's rule (dp_attention.py): an extend batch sums; otherwise the
 * cheaper of an all-reduce of T and an all-gather of R M, ties to the
 * latter. */
static bool is_max_len(int64_t padding, moe_phase_t phase, int64_t total,
                       int64_t padded)
{
    if (padding != PADDING_AUTO) {
        return padding == PADDING_MAX_LEN;
    }
    return phase == MOE_PHASE_decode && 2 * total >= padded;
}

static buffer_t buffer_of(const moe_layer_t *layer, int64_t padding,
                          const int64_t *tokens, int n, int me)
{
    buffer_t b = {.n_own = tokens[me]};
    int64_t before = 0;
    int64_t total = 0;

    for (int i = 0; i < n; i++) {
        b.each = tokens[i] > b.each ? tokens[i] : b.each;
        before += i < me ? tokens[i] : 0;
        total += tokens[i];
    }
    b.max_len = is_max_len(padding, layer->phase, total, n * b.each);
    b.rows = b.max_len ? n * b.each : total;
    b.own = b.max_len ? me * b.each : before;
    b.pad = b.rows - total;
    return b;
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    (void)option;
    if (layer->layout.tp != 1 || layer->layout.ep != layer->layout.dp) {
        return "needs ep = dp and tp = 1: attention with TP 1 on each rank";
    }
    return NULL;
}

static moe_span_t *spans_of(moe_ctx_t *c, const buffer_t *b,
                            const int64_t *tokens, int n)
{
    moe_span_t *spans = moe_ctx_spans(c, n);
    int64_t token = 0;

    if (spans != NULL && n == 1) {
        spans[0].n = b->rows;
        return spans;
    }
    for (int i = 0; spans != NULL && i < n; i++) {
        spans[i].row = i * b->each;
        spans[i].token = token;
        spans[i].n = tokens[i];
        token += tokens[i];
    }
    return spans;
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const int64_t *tokens = moe_agree_tokens(c, MOE_GROUP_ep);

    if (tokens == NULL) {
        return;
    }
    p->b = buffer_of(moe_ctx_layer(c), moe_ctx_option(c, OPTION_PADDING),
                     tokens, moe_ctx_group_size(c, MOE_GROUP_ep),
                     moe_ctx_group_index(c, MOE_GROUP_ep));
    p->n_spans = p->b.pad == 0 ? 1 : moe_ctx_group_size(c, MOE_GROUP_ep);
    p->spans = spans_of(c, &p->b, tokens, p->n_spans);
    p->all.scales = MOE_SCALES_128x4;
    p->all.rows = moe_agree_expert_rows(c, MOE_GROUP_ep, p->b.pad);
}

/* All tokens of the group, [P][H]. */
static moe_tensor_t *gather(moe_ctx_t *c, const buffer_t *b,
                            moe_tensor_t *hidden)
{
    const moe_storage_t *as = &hidden->storage;
    int64_t rows = b->max_len ? b->each : b->rows;
    int64_t own = b->max_len ? 0 : b->own;
    moe_tensor_t *buffer = moe_new(c, MOE_ROLE_dispatch, as->format, rows,
                                   moe_ctx_model(c)->hidden);
    moe_tensor_t *all;

    moe_fill_zero(c, buffer, 0, rows);
    moe_copy_rows(c, buffer, own, hidden, 0, b->n_own);
    all = b->max_len ? moe_allgather(c, MOE_GROUP_ep, buffer)
                     : moe_allreduce(c, MOE_GROUP_ep, buffer);
    moe_release(c, buffer);
    return all;
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *x = moe_to(c, hidden, MOE_ROLE_dispatch);
    moe_tensor_t *all = x == NULL ? NULL : gather(c, &p->b, x);
    moe_tensor_t *logits = moe_logits(c, all);

    moe_topk(c, logits, p->spans, p->n_spans, &p->all.ids, &p->all.weights);
    p->all.x = moe_weigh_input(c, all, p->all.weights);
    moe_release(c, all);
    moe_release(c, hidden);
    moe_release(c, x);
    moe_release(c, logits);
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_allreduce(c, &p->all, MOE_GROUP_ep, p->b.own, p->b.n_own);
}

/* An all-reduce is a ring over equal blocks of the buffer's rows. */
static int home(const moe_formula_t *f, int64_t token)
{
    int n = f->layer->layout.dp;
    int owner = moe_layer_owner(f->layer, token);
    buffer_t b = buffer_of(f->layer, f->options[OPTION_PADDING],
                           f->layer->tokens, n, owner);
    int64_t row = b.own + token - moe_layer_tokens(f->layer, owner).begin;

    return moe_layout_part_of(b.rows, n, row);
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_model_t *m = f->layer->model;
    int n = f->layer->layout.dp;
    buffer_t b = buffer_of(f->layer, f->options[OPTION_PADDING],
                           f->layer->tokens, n, f->rank);
    moe_format_t dispatch = (moe_format_t)f->options[OPTION_DISPATCH];
    moe_format_t combine = (moe_format_t)f->options[OPTION_COMBINE];

    if (n == 1) {
        return;
    }
    out[MOE_STAGE_prepare] = (b.max_len ? b.each : b.rows) *
                             moe_format_row_bytes(dispatch, m->hidden);
    out[MOE_STAGE_finalize] = b.rows * moe_format_row_bytes(combine, m->hidden);
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
    .check = check,
    .plan = plan,
    .stage = {prepare, moe_gathered_permute_stage, moe_gathered_experts_stage,
              moe_gathered_unpermute_stage, finalize},
    .payload = payload,
};
