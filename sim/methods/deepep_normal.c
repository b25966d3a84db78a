/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deepep_normal: DeepEP's normal kernels (v1), one row a (token, rank).
 *
 * How it works: ranks tell each other how many rows come; a token goes once to
 * each rank that holds one of its experts, with its ids and weights; with
 * several nodes once to each such node, over the rail to the rank of the same
 * place, which passes it on inside the node. Ranks weigh and sum their local
 * experts; sums go the same way back and are added in rank, then node order.
 *
 * Payload of a rank, R > 1: counts 4 R (1 + ceil(E / R)), with several nodes
 * 4 R (2 + L + ceil(E / R)), L ranks a node; dispatch N1 row1 + N2 row2,
 * combine M2 rowc + M1 rowb. N1: (token, node) pairs of own tokens, and M1 of
 * those that come over the rail; N2: (token, rank) pairs that this rank sends
 * into its node, M2 those that it gets there; pairs with itself are among
 * them. row1 = align16(row(H) + 8 + 8 k), row2 = row(H) + 4 + 12 k and
 * rowb = align16(rowc(H) + 8 + 4 k) are DeepEP's messages. It relays counts
 * over rail and node; here each rank tells all.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE
};

static const moe_option_t options[] = {
    MOE_OPTION_DISPATCH("bf16 fp8_1x128"),
    {"combine", MOE_OPTION_format, "bf16 fp16 fp32", "bf16",
     "format of partial sums on the way home"},
    MOE_OPTION_END,
};

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    (void)option;
    return moe_two_level_check(layer);
}

/* Bytes of a message of a hop; x a row in the dispatch format. */
static int64_t record_bytes(int hop, int64_t x, int64_t k)
{
    return hop == 0 ? moe_align(x + 8 + 8 * k, 16) : x + 4 + 12 * k;
}

/* And of a sum that comes back over the rail; y a row in the combine format. */
static int64_t back_bytes(int64_t y, int64_t k)
{
    return moe_align(y + 8 + 4 * k, 16);
}

static void plan(moe_ctx_t *c)
{
    moe_two_level_t *p = moe_ctx_plan(c);
    const moe_model_t *m = moe_ctx_model(c);
    const moe_format_t combine =
        (moe_format_t)moe_ctx_option(c, OPTION_COMBINE);

    moe_two_level_plan(c, p);
    p->hop[0].back =
        back_bytes(moe_format_row_bytes(combine, m->hidden), m->topk);
}

static void permute(moe_ctx_t *c)
{
    moe_two_level_t *p = moe_ctx_plan(c);
    const moe_model_t *m = moe_ctx_model(c);
    moe_format_t dispatch = (moe_format_t)moe_ctx_option(c, OPTION_DISPATCH);
    int64_t x = moe_format_row_bytes(dispatch, m->hidden);

    for (int h = 0; h < 2; h++) {
        if (p->hop[h].used) {
            moe_hop_go(c, &p->hop[h], record_bytes(h, x, m->topk), &p->rows);
        }
    }
    moe_gathered_permute(c, &p->rows);
}

static void unpermute(moe_ctx_t *c)
{
    moe_two_level_t *p = moe_ctx_plan(c);

    moe_gathered_unpermute(c, &p->rows);
    for (int h = 1; h >= 0; h--) {
        if (p->hop[h].used) {
            moe_hop_back(c, &p->hop[h], &p->rows);
        }
    }
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_model_t *m = f->layer->model;
    int64_t x = moe_format_row_bytes((moe_format_t)f->options[OPTION_DISPATCH],
                                     m->hidden);
    int64_t y = moe_format_row_bytes((moe_format_t)f->options[OPTION_COMBINE],
                                     m->hidden);
    int64_t sent[2];
    int64_t got[2];

    if (f->layer->layout.ep == 1) {
        return;
    }
    moe_two_level_rows(f->layer, f->routing, f->rank, sent, got);
    out[MOE_STAGE_prepare] =
        4 * f->layer->layout.ep * moe_two_level_numbers(f->layer);
    out[MOE_STAGE_permute] = sent[0] * record_bytes(0, x, m->topk) +
                             sent[1] * record_bytes(1, x, m->topk);
    out[MOE_STAGE_unpermute] = got[0] * back_bytes(y, m->topk) + got[1] * y;
}

/* Of tests/legacy: rows that come, or with several nodes those for each node.
 */
static int64_t counted(const moe_formula_t *f)
{
    const moe_layout_t *l = &f->layer->layout;
    int64_t rows = 0;

    if (l->node >= l->ep) {
        return moe_hop_rows(f->layer, f->routing, 0, 1, f->rank, 1);
    }
    for (int q = 0; q < l->ep; q += l->node) {
        rows += moe_hop_rows(f->layer, f->routing, f->rank, l->ep, q, l->node);
    }
    return rows;
}

const moe_method_t moe_method_deepep_normal = {
    .name = "deepep_normal",
    .system = "DeepEP v1, normal kernels, intranode and internode",
    .source = "deepseek-ai/DeepEP at dd758ca: csrc/kernels/legacy/"
              "{layout,intranode,internode}.cu, deep_ep/buffers/legacy.py",
    .how = "one row a (token, rank) with ids and weights; with several nodes "
           "one a (token, node) over the rail, then inside the node;\n"
           "local experts, weighed and summed to one row a received row;\n"
           "the same way back, summed in fp32 by rank, then by node",
    .family = MOE_FAMILY_F4,
    .collectives = "alltoall of counts, alltoallv once or twice, the same back",
    .contract = {MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(partial) |
                     MOE_ROUND(node_partial) | MOE_ROUND(output),
                 MOE_ORDER_fp32_slot, MOE_ORDER_fp32_rank, MOE_WEIGH_output},
    .formula = "prepare 4 R (1 + E/R) or 4 R (2 + L + E/R); permute N1 row1 + "
               "N2 row2; unpermute M2 rowc(H) + M1 rowb",
    .test = "tests/check_methods_meta.c",
    .capturable = false,
    .needs = "ep = dp, tp = 1; full nodes",
    .options = options,
    .plan_size = sizeof(moe_two_level_t),
    .check = check,
    .plan = plan,
    .stage = {moe_own_prepare_stage, permute, moe_gathered_experts_stage,
              unpermute, moe_hop_finalize_stage},
    .payload = payload,
    .counted = counted,
};
