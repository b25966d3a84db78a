/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/two_level.h"

#include "moe/needs.h"

#include <stddef.h>

static bool has_rails(const moe_layout_t *l)
{
    return l->node < l->ep;
}

const char *moe_two_level_check(const moe_layer_t *layer)
{
    const moe_layout_t *l = &layer->layout;
    const char *why = moe_needs_own_tokens(layer, NULL);

    return why != NULL ? why
           : has_rails(l) && l->ep % l->node != 0
               ? "needs full nodes: a rail has a rank in each"
               : NULL;
}

int64_t moe_two_level_numbers(const moe_layer_t *layer)
{
    const moe_layout_t *l = &layer->layout;
    int64_t experts = (layer->model->experts + l->ep - 1) / l->ep;

    return 1 + experts + (has_rails(l) ? 1 + l->node : 0);
}

/* To rank j: rows for it, for each of its experts; with several nodes rows
 * for its node, and for each rank of that. */
static void contribute(const moe_layer_t *layer, const int64_t *option,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    const moe_layout_t *l = &layer->layout;
    int64_t each = moe_two_level_numbers(layer);
    int64_t node_at = each - 1 - l->node;
    moe_range_t own = moe_layer_tokens(layer, rank);

    (void)option;
    moe_routing_spread(routing, own, l, layer->model->experts, each, out);
    for (int j = 0; has_rails(l) && j < l->ep; j++) {
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

/* Of the members of a hop's group. */
typedef struct {
    int64_t *send;
    int64_t *recv;
} counts_t;

/* Own tokens to each node; from each rank of the rail those for this node. */
static void plan_rail(moe_ctx_t *c, const counts_t *n, const int64_t *said,
                      const int64_t *heard)
{
    const moe_layout_t *l = &moe_ctx_layer(c)->layout;
    int64_t each = moe_two_level_numbers(moe_ctx_layer(c));
    int me = moe_ctx_rank(c);

    for (int q = 0; q < l->ep / l->node; q++) {
        n->send[q] = said[(q * l->node + 1) * each - 1 - l->node];
        n->recv[q] =
            heard[(q * l->node + me % l->node + 1) * each - 1 - l->node];
    }
}

/* What came over the rail to each rank of the node; from each of them what
 * came to it for this one. */
static void plan_node(moe_ctx_t *c, const counts_t *n, const int64_t *said,
                      const int64_t *heard)
{
    const moe_layout_t *l = &moe_ctx_layer(c)->layout;
    int64_t each = moe_two_level_numbers(moe_ctx_layer(c));
    int me = moe_ctx_rank(c);
    bool many = has_rails(l);

    for (int s = 0; s < l->ep; s++) {
        const int64_t *by = heard + s * each;

        n->recv[many ? s % l->node : s] += by[0];
        for (int j = 0; many && s % l->node == me % l->node && j < l->node;
             j++) {
            n->send[j] += by[each - l->node + j];
        }
        if (!many) {
            n->send[s] = said[s * each];
        }
    }
}

/* Rows of each local expert, from all ranks. */
static void plan_experts(moe_ctx_t *c, moe_gathered_t *rows,
                         const int64_t *heard)
{
    const moe_layer_t *layer = moe_ctx_layer(c);
    int64_t each = moe_two_level_numbers(layer);
    moe_range_t local = moe_ctx_experts(c);
    int64_t n = local.end - local.begin;
    int64_t *sums = moe_ctx_array(c, n);

    for (int64_t i = 0; sums != NULL && i < layer->layout.ep * n; i++) {
        sums[i % n] += heard[i / n * each + 1 + i % n];
    }
    rows->rows = sums;
}

static counts_t new_counts(moe_ctx_t *c, moe_group_t group)
{
    const int n = moe_ctx_group_size(c, group);

    return (counts_t){moe_ctx_array(c, n), moe_ctx_array(c, n)};
}

void moe_two_level_plan(moe_ctx_t *c, moe_two_level_t *p)
{
    const moe_layer_t *layer = moe_ctx_layer(c);
    const moe_layout_t *l = &layer->layout;
    int64_t each = moe_two_level_numbers(layer);
    const int64_t *said = moe_own_counts(c, l->ep * each, contribute);
    const int64_t *heard =
        moe_agree_told(c, MOE_GROUP_ep, MOE_DTYPE_i32, (int)each, contribute);
    const counts_t rail = new_counts(c, MOE_GROUP_rail);
    const counts_t node = new_counts(c, MOE_GROUP_node);

    if (said == NULL || heard == NULL || node.recv == NULL) {
        return;
    }
    p->hop[0] = (moe_hop_t){.group = MOE_GROUP_rail,
                            .used = has_rails(l),
                            .send = rail.send,
                            .recv = rail.recv};
    p->hop[1] = (moe_hop_t){.group = MOE_GROUP_node,
                            .used = true,
                            .send = node.send,
                            .recv = node.recv};
    if (has_rails(l)) {
        plan_rail(c, &rail, said, heard);
    }
    plan_node(c, &node, said, heard);
    plan_experts(c, &p->rows, heard);
}

void moe_two_level_rows(const moe_layer_t *layer, const moe_routing_t *routing,
                        int rank, int64_t sent[2], int64_t got[2])
{
    const moe_layout_t *l = &layer->layout;
    int node = has_rails(l) ? l->node : l->ep;
    int first = rank / node * node;
    int on_rail = has_rails(l) ? rank % node : rank;
    int stride = has_rails(l) ? node : l->ep;

    sent[0] = sent[1] = got[0] = got[1] = 0;
    for (int q = 0; has_rails(l) && q < l->ep; q += node) {
        sent[0] += moe_hop_rows(layer, routing, rank, l->ep, q, node);
    }
    for (int j = first; node > 1 && j < first + node; j++) {
        sent[1] += moe_hop_rows(layer, routing, on_rail, stride, j, 1);
    }
    if (has_rails(l)) {
        got[0] = moe_hop_rows(layer, routing, on_rail, node, first, node);
    }
    if (node > 1) {
        got[1] = moe_hop_rows(layer, routing, 0, 1, rank, 1);
    }
}
