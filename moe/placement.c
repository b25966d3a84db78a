/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/placement.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Room for one placement, in numbers of physical slots or experts. */
typedef struct {
    double *weight;   /* [physical] of what is packed */
    int64_t *pack;    /* [physical] where an item goes */
    int64_t *rank;    /* [physical] its place there */
    int64_t *order;   /* [physical] items, heaviest first */
    double *sum;      /* [physical] of a pack */
    int64_t *filled;  /* [physical] items of a pack */
    int64_t *by_node; /* [logical] expert at a node's place */
    int64_t *copy;    /* [physical] node's expert that a replica copies */
    int64_t *copies;  /* [logical] replicas of a node's expert */
} work_t;

/* Two sorted runs, [begin, middle) and [middle, end), to another array; of
 * equal weights those of the first, which are of lower numbers. */
static void merge(const double *weight, const int64_t *from, int64_t begin,
                  int64_t middle, int64_t end, int64_t *to)
{
    int64_t a = begin;
    int64_t b = middle;

    for (int64_t i = begin; i < end; i++) {
        const bool first =
            b == end || (a < middle && weight[from[a]] >= weight[from[b]]);

        to[i] = first ? from[a++] : from[b++];
    }
}

static int64_t at_most(int64_t n, int64_t most)
{
    return n < most ? n : most;
}

/* Numbers of n items, heaviest first. */
static void sort_down(const double *weight, int64_t n, int64_t *order,
                      int64_t *spare)
{
    for (int64_t i = 0; i < n; i++) {
        order[i] = i;
    }
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t i = 0; i < n; i += 2 * run) {
            merge(weight, order, i, at_most(i + run, n),
                  at_most(i + 2 * run, n), spare);
        }
        memcpy(order, spare, (size_t)n * sizeof(*order));
    }
}

/* n items to packs of n / packs each: heaviest first, to the lightest pack
 * with room. */
static void pack_items(work_t *w, int64_t n, int64_t packs)
{
    const int64_t size = n / packs;

    memset(w->sum, 0, (size_t)packs * sizeof(*w->sum));
    memset(w->filled, 0, (size_t)packs * sizeof(*w->filled));
    sort_down(w->weight, n, w->order, w->rank); /* not in use yet */
    for (int64_t i = 0; i < n; i++) {
        int64_t item = size == 1 ? i : w->order[i];
        int64_t best = size == 1 ? i : -1;

        for (int64_t p = 0; size > 1 && p < packs; p++) {
            if (w->filled[p] < size && (best < 0 || w->sum[p] < w->sum[best])) {
                best = p;
            }
        }
        w->pack[item] = best;
        w->rank[item] = w->filled[best]++;
        w->sum[best] += w->weight[item];
    }
}

/* Experts in the order of their nodes, groups staying together. */
static void group_to_nodes(work_t *w, const moe_placement_shape_t *s,
                           const double *load)
{
    const int64_t size = s->logical / s->groups;
    const int64_t per_node = s->groups / s->nodes;

    for (int64_t g = 0; g < s->groups; g++) {
        w->weight[g] = 0.0;
        for (int64_t i = 0; i < size; i++) {
            w->weight[g] += load[g * size + i];
        }
    }
    pack_items(w, s->groups, s->nodes);
    for (int64_t g = 0; g < s->groups; g++) {
        int64_t to = (w->pack[g] * per_node + w->rank[g]) * size;

        for (int64_t i = 0; i < size; i++) {
            w->by_node[to + i] = g * size + i;
        }
    }
}

/* Slots of a node's n experts: one each, then one more for the expert whose
 * replicas bear most. load [n] is of by_node[first ..]. */
static void replicate(work_t *w, const double *load, int64_t first, int64_t n,
                      int64_t slots)
{
    double *share = w->sum; /* of an expert's replicas; not in use yet */

    for (int64_t i = 0; i < n; i++) {
        w->copy[i] = i;
        w->copies[i] = 1;
        share[i] = load[w->by_node[first + i]];
    }
    for (int64_t i = n; i < slots; i++) {
        int64_t best = 0;

        for (int64_t e = 1; e < n; e++) {
            best = share[e] > share[best] ? e : best;
        }
        w->copy[i] = best;
        w->copies[best]++;
        share[best] = load[w->by_node[first + best]] / (double)w->copies[best];
    }
    for (int64_t i = 0; i < slots; i++) {
        w->weight[i] = share[w->copy[i]];
    }
}

static void place(work_t *w, const double *load, moe_placement_t *p)
{
    moe_placement_shape_t s = p->shape;
    int64_t n, slots, gpus;

    if (s.groups % s.nodes != 0) {
        s.groups = 1;
        s.nodes = 1;
    }
    n = s.logical / s.nodes;
    slots = s.physical / s.nodes;
    gpus = s.gpus / s.nodes;
    group_to_nodes(w, &s, load);
    for (int64_t node = 0; node < s.nodes; node++) {
        replicate(w, load, node * n, n, slots);
        pack_items(w, slots, gpus);
        for (int64_t i = 0; i < slots; i++) {
            int64_t to =
                node * slots + w->pack[i] * (slots / gpus) + w->rank[i];

            p->logical_of[to] = (int32_t)w->by_node[node * n + w->copy[i]];
        }
    }
}

static moe_status_t index_slots(moe_placement_t *p)
{
    const int64_t e = p->shape.logical;

    for (int64_t i = 0; i < p->shape.physical; i++) {
        int64_t n = ++p->replicas[p->logical_of[i]];

        p->most = n > p->most ? n : p->most;
    }
    p->physical_of = malloc((size_t)(e * p->most) * sizeof(*p->physical_of));
    if (p->physical_of == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a placement");
    }
    for (int64_t i = 0; i < e * p->most; i++) {
        p->physical_of[i] = -1;
    }
    memset(p->replicas, 0, (size_t)e * sizeof(*p->replicas));
    for (int64_t i = 0; i < p->shape.physical; i++) {
        int32_t l = p->logical_of[i];

        p->physical_of[l * p->most + p->replicas[l]++] = i;
    }
    return MOE_OK;
}

static moe_status_t check_shape(const moe_placement_shape_t *s)
{
    if (s->logical < 1 || s->logical > INT32_MAX || s->groups < 1 ||
        s->nodes < 1 || s->gpus < 1 || s->physical < s->logical ||
        s->physical > INT32_MAX || s->physical % s->gpus != 0 ||
        s->gpus % s->nodes != 0 || s->logical % s->groups != 0) {
        return moe_fail(MOE_ERR_RANGE,
                        "%lld experts of %lld groups in %lld slots on %lld "
                        "GPUs of %lld nodes",
                        (long long)s->logical, (long long)s->groups,
                        (long long)s->physical, (long long)s->gpus,
                        (long long)s->nodes);
    }
    return MOE_OK;
}

static moe_status_t check(const moe_placement_shape_t *s, const double *load)
{
    moe_status_t status = check_shape(s);

    if (status != MOE_OK) {
        return status;
    }
    for (int64_t e = 0; e < s->logical; e++) {
        if (!(load[e] >= 0.0 && load[e] < 1e300)) {
            return moe_fail(MOE_ERR_RANGE, "load of expert %lld is %g",
                            (long long)e, load[e]);
        }
    }
    return MOE_OK;
}

/* One piece of memory for all arrays of 8 bytes. */
static bool work_init(work_t *w, int64_t n)
{
    double *room = calloc((size_t)n * 9, sizeof(*room));

    if (room == NULL) {
        return false;
    }
    w->weight = room;
    w->sum = room + n;
    w->pack = (int64_t *)(void *)(room + 2 * n);
    w->rank = w->pack + n;
    w->order = w->rank + n;
    w->filled = w->order + n;
    w->by_node = w->filled + n;
    w->copy = w->by_node + n;
    w->copies = w->copy + n;
    return true;
}

static moe_status_t arrays_init(const moe_placement_shape_t *shape,
                                moe_placement_t *p)
{
    *p = (moe_placement_t){.shape = *shape};
    p->logical_of = calloc((size_t)shape->physical, sizeof(*p->logical_of));
    p->replicas = calloc((size_t)shape->logical, sizeof(*p->replicas));
    if (p->logical_of == NULL || p->replicas == NULL) {
        moe_placement_fini(p);
        return moe_fail(MOE_ERR_NOMEM, "no memory for a placement");
    }
    return MOE_OK;
}

/* Slots are known: the way back, and it is done. */
static moe_status_t finish(moe_placement_t *p, moe_placement_t *placement_p)
{
    moe_status_t status = index_slots(p);

    if (status != MOE_OK) {
        moe_placement_fini(p);
        return status;
    }
    *placement_p = *p;
    return MOE_OK;
}

moe_status_t moe_placement_make(const moe_placement_shape_t *shape,
                                const double *load,
                                moe_placement_t *placement_p)
{
    moe_placement_t p;
    moe_status_t status = check(shape, load);
    work_t w;

    if (status == MOE_OK) {
        status = arrays_init(shape, &p);
    }
    if (status != MOE_OK) {
        return status;
    }
    if (!work_init(&w, shape->physical)) {
        moe_placement_fini(&p);
        return moe_fail(MOE_ERR_NOMEM, "no memory for a placement");
    }
    place(&w, load, &p);
    free(w.weight);
    return finish(&p, placement_p);
}

moe_status_t moe_placement_from(const moe_placement_shape_t *shape,
                                const int32_t *logical_of,
                                moe_placement_t *placement_p)
{
    moe_placement_t p;
    moe_status_t status = check_shape(shape);

    if (status == MOE_OK) {
        status = arrays_init(shape, &p);
    }
    if (status != MOE_OK) {
        return status;
    }
    for (int64_t i = 0; i < shape->physical; i++) {
        if (logical_of[i] < 0 || logical_of[i] >= shape->logical) {
            moe_placement_fini(&p);
            return moe_fail(MOE_ERR_RANGE, "slot %lld holds expert %d of %lld",
                            (long long)i, logical_of[i],
                            (long long)shape->logical);
        }
        p.logical_of[i] = logical_of[i];
        p.replicas[logical_of[i]]++;
    }
    for (int64_t e = 0; e < shape->logical; e++) {
        if (p.replicas[e] == 0) {
            moe_placement_fini(&p);
            return moe_fail(MOE_ERR_RANGE, "no slot holds expert %lld",
                            (long long)e);
        }
    }
    memset(p.replicas, 0, (size_t)shape->logical * sizeof(*p.replicas));
    return finish(&p, placement_p);
}

void moe_placement_fini(moe_placement_t *placement)
{
    free(placement->logical_of);
    free(placement->replicas);
    free(placement->physical_of);
    *placement = (moe_placement_t){0};
}

int32_t moe_placement_slot(const moe_placement_t *p, moe_replica_t policy,
                           int64_t token, int source, int32_t expert)
{
    int64_t choice = 0;

    if (token >= 0 && policy != MOE_REPLICA_first) {
        choice = policy == MOE_REPLICA_source ? source : token;
    }
    choice %= p->replicas[expert];
    return (int32_t)p->physical_of[expert * p->most + choice];
}

void moe_placement_map(const moe_placement_t *p, moe_replica_t policy,
                       int64_t first, int source, int64_t n, int topk,
                       int32_t *ids)
{
    for (int64_t i = 0; i < n * topk; i++) {
        if (ids[i] >= 0) {
            ids[i] =
                moe_placement_slot(p, policy, first + i / topk, source, ids[i]);
        }
    }
}

moe_status_t moe_expert_map_apply(const int32_t *map, int64_t experts,
                                  int64_t n_local, int64_t n, int32_t *ids)
{
    bool *seen = calloc((size_t)n_local + 1, sizeof(*seen));
    bool good = true;

    if (seen == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for an expert map");
    }
    for (int64_t e = 0; good && e < experts; e++) {
        good =
            map[e] >= -1 && map[e] < n_local && !(map[e] >= 0 && seen[map[e]]);
        if (good && map[e] >= 0) {
            seen[map[e]] = true;
        }
    }
    free(seen);
    if (!good) {
        return moe_fail(MOE_ERR_RANGE,
                        "an expert map names a local expert twice, or one "
                        "beyond %lld",
                        (long long)n_local);
    }
    for (int64_t i = 0; i < n; i++) {
        ids[i] = ids[i] >= 0 && ids[i] < experts ? map[ids[i]] : -1;
    }
    return MOE_OK;
}
