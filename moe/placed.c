/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Experts to slots, as the rule of a layer says.
 *
 * How it works: the list of what is laid is every expert once, then the first
 * ones again; linear and round_robin lay it in order, eplb chooses by itself
 * what is repeated. The load that eplb evens out is given (a window of the
 * past), or what the routing at hand will be: the best that EPLB could know.
 * Test: tests/check_placed.c.
 */
#include "moe/placed.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {
#define MOE_PLACING(id, text) [MOE_PLACING_##id] = #id,
#include "moe/placing.def"
#undef MOE_PLACING
};

static const char *const replicas[] = {
#define MOE_REPLICA(id, text) [MOE_REPLICA_##id] = #id,
#include "moe/replica.def"
#undef MOE_REPLICA
};

const char *moe_placing_name(int kind)
{
    return kind < 0 || kind >= MOE_PLACING_COUNT ? "?" : kinds[kind];
}

const char *moe_replica_name(int replica)
{
    return replica < 0 || replica >= MOE_REPLICA_COUNT ? "?"
                                                       : replicas[replica];
}

void moe_placed_fini(moe_placed_t *placed)
{
    moe_placement_fini(&placed->map);
    free(placed->before);
    placed->before = NULL;
}

/* Dp rank of the scenario that has a token. */
static int source_of(const moe_placed_t *placed, int64_t token)
{
    int low = 0;
    int high = placed->n_sources - 1;

    while (low < high) {
        const int middle = low + (high - low) / 2;

        if (token < placed->before[middle + 1]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

int32_t moe_placed_slot(const moe_placed_t *placed, int64_t token,
                        int32_t expert)
{
    const int source = placed->replica == MOE_REPLICA_source && token >= 0 &&
                               placed->map.replicas[expert] > 1
                           ? source_of(placed, token)
                           : 0;

    return moe_placement_slot(&placed->map, placed->replica, token, source,
                              expert);
}

void moe_placed_expert_map(const moe_placed_t *placed, int64_t first, int64_t n,
                           int32_t *map)
{
    for (int64_t p = 0; p < placed->map.shape.physical; p++) {
        map[p] = p >= first && p < first + n ? (int32_t)(p - first) : -1;
    }
}

moe_model_t moe_placed_model(const moe_model_t *model,
                             const moe_placing_t *place)
{
    moe_model_t placed = *model;

    placed.experts += place->redundant;
    placed.redundant = place->redundant;
    return placed;
}

/* Item i of the list that is laid. */
static int32_t item(int64_t i, int64_t experts)
{
    return (int32_t)(i % experts);
}

static moe_status_t lay(const moe_layer_t *layer, int64_t experts,
                        moe_placement_t *map)
{
    const int64_t slots = layer->model->experts;
    const int ep = layer->layout.ep;
    const moe_placement_shape_t shape = {experts, slots, 1, 1, 1};
    int32_t *holds = calloc((size_t)slots, sizeof(*holds));
    moe_status_t status;

    if (holds == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a placement");
    }
    for (int j = 0; j < ep; j++) {
        const moe_range_t own = moe_layout_experts(&layer->layout, slots, j);

        for (int64_t p = own.begin; p < own.end; p++) {
            holds[p] = layer->place.kind == MOE_PLACING_linear
                           ? item(p, experts)
                           : item((p - own.begin) * ep + j, experts);
        }
    }
    status = moe_placement_from(&shape, holds, map);
    free(holds);
    return status;
}

/* Rows of each expert; of all tokens of a routing. */
static double *count_load(const moe_routing_t *routing, int64_t experts)
{
    int64_t *counts = calloc((size_t)experts, sizeof(*counts));
    double *load = calloc((size_t)experts, sizeof(*load));

    if (counts == NULL || load == NULL) {
        free(counts);
        free(load);
        return NULL;
    }
    moe_routing_count(routing, routing->first, routing->first + routing->n,
                      counts);
    for (int64_t e = 0; e < experts; e++) {
        load[e] = (double)counts[e];
    }
    free(counts);
    return load;
}

/* EPLB's view: groups of experts that a router limits, nodes of an ep group.
 * Shared experts belong to no group. */
static moe_status_t balance(const moe_layer_t *layer, int64_t experts,
                            const moe_routing_t *routing, moe_placement_t *map)
{
    const moe_layout_t *l = &layer->layout;
    const moe_model_t *m = layer->model;
    const moe_placement_shape_t shape = {
        .logical = experts,
        .physical = m->experts,
        .groups = m->n_group > 1 && m->shared == 0 ? m->n_group : 1,
        .nodes = l->node < l->ep && l->ep % l->node == 0 ? l->ep / l->node : 1,
        .gpus = l->ep};
    double *counted =
        layer->place.load == NULL ? count_load(routing, experts) : NULL;
    const double *load =
        layer->place.load != NULL ? layer->place.load : counted;
    moe_status_t status;

    if (load == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the loads of experts");
    }
    status = moe_placement_make(&shape, load, map);
    free(counted);
    return status;
}

static moe_status_t find_sources(const moe_layer_t *layer, moe_placed_t *placed)
{
    const int dp = layer->layout.dp;

    placed->n_sources = dp;
    placed->before = calloc((size_t)dp + 1, sizeof(*placed->before));
    if (placed->before == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %d token counts", dp);
    }
    for (int i = 0; i < dp; i++) {
        placed->before[i + 1] = placed->before[i] + layer->tokens[i];
    }
    return MOE_OK;
}

/* Slots are known, if all went well: what replicas are chosen by. */
static moe_status_t finish(const moe_layer_t *layer, moe_status_t status,
                           moe_placed_t *placed, moe_placed_t *placed_p)
{
    if (status == MOE_OK) {
        status = find_sources(layer, placed);
    }
    if (status != MOE_OK) {
        moe_placed_fini(placed);
        return status;
    }
    *placed_p = *placed;
    return MOE_OK;
}

moe_status_t moe_layer_place(const moe_layer_t *layer,
                             const moe_routing_t *routing,
                             moe_placed_t *placed_p)
{
    const int64_t experts = moe_model_choices(layer->model);
    moe_placed_t placed = {.replica = (moe_replica_t)layer->place.replica};
    const moe_status_t status =
        layer->place.kind == MOE_PLACING_eplb
            ? balance(layer, experts, routing, &placed.map)
            : lay(layer, experts, &placed.map);

    return finish(layer, status, &placed, placed_p);
}

moe_status_t moe_layer_place_as(const moe_layer_t *layer, const int32_t *holds,
                                moe_placed_t *placed_p)
{
    const moe_placement_shape_t shape = {.logical =
                                             moe_model_choices(layer->model),
                                         .physical = layer->model->experts,
                                         .groups = 1,
                                         .nodes = 1,
                                         .gpus = 1};
    moe_placed_t placed = {.replica = (moe_replica_t)layer->place.replica};
    const moe_status_t status = moe_placement_from(&shape, holds, &placed.map);

    return finish(layer, status, &placed, placed_p);
}

void moe_placed_route(const moe_placed_t *placed, moe_routing_t *routing)
{
    const int k = routing->topk;

    for (int64_t i = 0; i < routing->n * k; i++) {
        routing->ids[i] =
            moe_placed_slot(placed, routing->first + i / k, routing->ids[i]);
    }
    for (int s = 0; s < k; s++) {
        routing->pad_ids[s] = moe_placed_slot(placed, -1, routing->pad_ids[s]);
    }
}

moe_status_t moe_routing_place(const moe_layer_t *layer, moe_routing_t *routing)
{
    moe_placed_t placed;
    moe_status_t status;

    if (!moe_layer_is_placed(layer)) {
        return MOE_OK;
    }
    status = moe_layer_place(layer, routing, &placed);
    if (status == MOE_OK) {
        moe_placed_route(&placed, routing);
        moe_placed_fini(&placed);
    }
    return status;
}
