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
 * combine M2 rowc + M1 rowc. N1: (token, node) pairs of own tokens, and M1 of
 * those that come over the rail; N2: (token, rank) pairs that this rank sends
 * into its node, M2 those that it gets there; pairs with itself are among
 * them. row1 = align16(row(H) + 8 + 8 k) and row2 = row(H) + 4 + 12 k are
 * DeepEP's messages. It relays counts over rail and node; here each rank
 * tells all.
 */
#include "moe/method.h"

enum {
    OPTION_DISPATCH,
    OPTION_COMBINE
};

static const moe_option_t options[] = {
    {"dispatch", MOE_OPTION_format, "bf16 fp8_1x128", NULL,
     "format of rows on the way to the experts"},
    {"combine", MOE_OPTION_format, "bf16 fp16 fp32", "bf16",
     "format of partial sums on the way home"},
    {NULL, MOE_OPTION_bool, NULL, NULL, NULL},
};

/* One hop: over the rail, or inside the node. */
typedef struct {
    bool used;
    moe_group_t group;
    int64_t stride; /* bytes of a record */
    int64_t *send;  /* [members] rows to each, and from each */
    int64_t *recv;
    moe_tensor_t *index;
} hop_t;

typedef struct {
    moe_gathered_t rows; /* first: x, ids, weights of the rows that are here */
    moe_span_t own;
    hop_t hop[2];
} plan_t;

/* What a rank tells another: see contribute(). */
static int64_t numbers_of(const moe_layer_t *layer)
{
    const moe_layout_t *l = &layer->layout;
    int64_t experts = (layer->model->experts + l->ep - 1) / l->ep;

    return 1 + experts + (l->node < l->ep ? 1 + l->node : 0);
}

static const char *check(const moe_layer_t *layer, const int64_t *option)
{
    const moe_layout_t *l = &layer->layout;

    (void)option;
    if (l->tp != 1 || l->ep != l->dp) {
        return "needs ep = dp and tp = 1: each rank has tokens of its own";
    }
    return l->node < l->ep && l->ep % l->node != 0
               ? "needs full nodes: a rail has a rank in each"
               : NULL;
}

/* To rank j: rows for it, for each of its experts; with several nodes rows
 * for its node, and for each rank of that. */
static void contribute(const moe_layer_t *layer, const int64_t *option,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    const moe_layout_t *l = &layer->layout;
    int64_t each = numbers_of(layer);
    int64_t node_at = each - 1 - l->node;
    moe_range_t own = moe_layer_tokens(layer, rank);

    (void)option;
    moe_routing_spread(routing, own, l, layer->model->experts, each, out);
    for (int j = 0; l->node < l->ep && j < l->ep; j++) {
        int first = j / l->node * l->node;
        int64_t *to = out + j * each + node_at;

        to[0] = j > first ? to[-each]
                          : moe_routing_touching(
                                routing, own,
                                moe_layout_experts_of(l, layer->model->experts,
                                                      first, l->node));
        for (int i = 0; i < l->node; i++) {
            to[1 + i] = out[(first + i) * each];
        }
    }
}

/* Own tokens to each node; from each rank of the rail those for this node. */
static void plan_rail(moe_ctx_t *c, hop_t *hop, const int64_t *said,
                      const int64_t *heard)
{
    const moe_layout_t *l = &moe_ctx_layer(c)->layout;
    int64_t each = numbers_of(moe_ctx_layer(c));
    int me = moe_ctx_rank(c);

    for (int q = 0; q < l->ep / l->node; q++) {
        hop->send[q] = said[(q * l->node + 1) * each - 1 - l->node];
        hop->recv[q] =
            heard[(q * l->node + me % l->node + 1) * each - 1 - l->node];
    }
}

/* What came over the rail to each rank of the node; from each of them what
 * came to it for this one. */
static void plan_node(moe_ctx_t *c, hop_t *hop, const int64_t *said,
                      const int64_t *heard)
{
    const moe_layout_t *l = &moe_ctx_layer(c)->layout;
    int64_t each = numbers_of(moe_ctx_layer(c));
    int me = moe_ctx_rank(c);
    bool many = l->node < l->ep;

    for (int s = 0; s < l->ep; s++) {
        const int64_t *by = heard + s * each;

        hop->recv[many ? s % l->node : s] += by[0];
        for (int j = 0; many && s % l->node == me % l->node && j < l->node;
             j++) {
            hop->send[j] += by[each - l->node + j];
        }
        if (!many) {
            hop->send[s] = said[s * each];
        }
    }
}

static void plan(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const moe_layer_t *layer = moe_ctx_layer(c);
    const moe_layout_t *l = &layer->layout;
    int64_t each = numbers_of(layer);
    moe_range_t local = moe_ctx_experts(c);
    moe_range_t own = moe_ctx_tokens(c, moe_ctx_rank(c));
    const int64_t *said = moe_own_counts(c, l->ep * each, contribute);
    const int64_t *heard =
        moe_agree_told(c, MOE_GROUP_ep, MOE_DTYPE_i32, (int)each, contribute);
    int64_t *rows = moe_ctx_array(c, local.end - local.begin);

    p->own = (moe_span_t){0, own.begin, own.end - own.begin};
    p->hop[0] = (hop_t){.used = l->node < l->ep, .group = MOE_GROUP_rail};
    p->hop[1] = (hop_t){.used = true, .group = MOE_GROUP_node};
    for (int h = 0; h < 2; h++) {
        int n = moe_ctx_group_size(c, p->hop[h].group);

        p->hop[h].send = moe_ctx_array(c, n);
        p->hop[h].recv = moe_ctx_array(c, n);
    }
    if (said == NULL || heard == NULL || p->hop[1].recv == NULL) {
        return;
    }
    if (p->hop[0].used) {
        plan_rail(c, &p->hop[0], said, heard);
    }
    plan_node(c, &p->hop[1], said, heard);
    for (int64_t i = 0; i < l->ep * (local.end - local.begin); i++) {
        rows[i % (local.end - local.begin)] +=
            heard[i / (local.end - local.begin) * each + 1 +
                  i % (local.end - local.begin)];
    }
    p->rows.rows = rows;
}

/* Bytes of a message of a hop; x a row in the dispatch format. */
static int64_t record_bytes(int hop, int64_t x, int64_t k)
{
    return hop == 0 ? (x + 8 + 8 * k + 15) / 16 * 16 : x + 4 + 12 * k;
}

static void prepare(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *rows;

    moe_topk(c, logits, &p->own, 1, &p->rows.ids, &p->rows.weights);
    rows = moe_weigh_input(c, hidden, p->rows.weights);
    p->rows.x = moe_to(c, rows, MOE_ROLE_dispatch);
    moe_release(c, rows);
    moe_release(c, hidden);
    moe_release(c, logits);
}

static void go(moe_ctx_t *c, hop_t *hop, int64_t stride, moe_gathered_t *g)
{
    moe_tensor_t *fields[] = {g->x, g->ids, g->weights};
    moe_tensor_t *got[3] = {NULL};
    moe_tensor_t *records;
    moe_tensor_t *came;

    hop->index = moe_sort_members(c, g->ids, hop->group, hop->send);
    for (int i = 0; i < 3; i++) {
        got[i] = moe_gather_rows(c, fields[i], hop->index);
    }
    records = moe_pack_rows(c, got, 3, 1, stride);
    came = moe_alltoallv(c, hop->group, records, hop->send, hop->recv);
    moe_release(c, records);
    for (int i = 0; i < 3; i++) {
        moe_release(c, got[i]);
    }
    moe_unpack_rows(c, came, fields, 3, 1, got);
    moe_release(c, came);
    for (int i = 0; i < 3; i++) {
        moe_release(c, fields[i]);
    }
    g->x = got[0];
    g->ids = got[1];
    g->weights = got[2];
}

static void permute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);
    const moe_model_t *m = moe_ctx_model(c);
    moe_format_t dispatch = (moe_format_t)moe_ctx_option(c, OPTION_DISPATCH);
    int64_t x = moe_format_row_bytes(dispatch, m->hidden);

    for (int h = 0; h < 2; h++) {
        if (p->hop[h].used) {
            go(c, &p->hop[h], record_bytes(h, x, m->topk), &p->rows);
        }
    }
    moe_gathered_permute(c, &p->rows);
}

static void unpermute(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_gathered_unpermute(c, &p->rows);
    for (int h = 1; h >= 0; h--) {
        hop_t *hop = &p->hop[h];
        moe_tensor_t *back;

        if (hop->used) {
            back =
                moe_alltoallv(c, hop->group, p->rows.y, hop->recv, hop->send);
            moe_release(c, p->rows.y);
            p->rows.y = moe_sum_rows(c, back, hop->index);
            moe_release(c, back);
            moe_release(c, hop->index);
        }
    }
}

static void finalize(moe_ctx_t *c)
{
    plan_t *p = moe_ctx_plan(c);

    moe_output(c, p->rows.y);
    moe_release(c, p->rows.y);
}

/* Rows of all tokens of ranks [first, first + n), stride apart, that touch
 * experts of ranks [to, to + n_to). */
static int64_t touching(const moe_formula_t *f, int first, int stride, int to,
                        int n_to)
{
    const moe_layout_t *l = &f->layer->layout;
    moe_range_t experts =
        moe_layout_experts_of(l, f->layer->model->experts, to, n_to);
    int64_t rows = 0;

    for (int s = first; s < l->ep; s += stride) {
        rows += moe_routing_touching(f->routing, moe_layer_tokens(f->layer, s),
                                     experts);
    }
    return rows;
}

static void payload(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT])
{
    const moe_layout_t *l = &f->layer->layout;
    const moe_model_t *m = f->layer->model;
    int64_t x = moe_format_row_bytes((moe_format_t)f->options[OPTION_DISPATCH],
                                     m->hidden);
    int64_t y = moe_format_row_bytes((moe_format_t)f->options[OPTION_COMBINE],
                                     m->hidden);
    int node = l->node < l->ep ? l->node : l->ep;
    int first = f->rank / node * node;
    int on_rail = node < l->ep ? f->rank % node : f->rank;
    int stride = node < l->ep ? node : l->ep;

    if (l->ep == 1) {
        return;
    }
    out[MOE_STAGE_prepare] = 4 * l->ep * numbers_of(f->layer);
    for (int q = 0; node < l->ep && q < l->ep; q += node) {
        out[MOE_STAGE_permute] +=
            touching(f, f->rank, l->ep, q, node) * record_bytes(0, x, m->topk);
    }
    for (int j = first; node > 1 && j < first + node; j++) {
        out[MOE_STAGE_permute] +=
            touching(f, on_rail, stride, j, 1) * record_bytes(1, x, m->topk);
    }
    out[MOE_STAGE_unpermute] =
        (node > 1 ? touching(f, 0, 1, f->rank, 1) * y : 0) +
        (node < l->ep ? touching(f, on_rail, node, first, node) * y : 0);
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
               "N2 row2; unpermute (M1 + M2) rowc(H)",
    .test = "tests/check_methods_meta.c",
    .capturable = false,
    .options = options,
    .plan_size = sizeof(plan_t),
    .check = check,
    .plan = plan,
    .stage = {prepare, permute, moe_gathered_experts_stage, unpermute,
              finalize},
    .payload = payload,
};
