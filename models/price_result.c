/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a played timeline came to.
 *
 * How it works: from the last node of a rank back to the node that each one
 * waited for. That path has no gap, so its costs sum to the end, and tell
 * what the end is made of.
 * Test: tests/check_price.c.
 */
#include "models/price_inside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define US_PER_S 1e6

/* Costs along the path that ends at a node, in all and by stage. */
typedef struct {
    moe_cost_t all;
    moe_cost_t stage[MOE_STAGE_COUNT];
} path_t;

static void walk_back(const moe_timeline_t *timeline, moe_node_at_t at,
                      path_t *path)
{
    *path = (path_t){0};
    while (at.at >= 0) {
        const moe_node_t *node = moe_timeline_node(timeline, at.rank, at.at);

        moe_cost_add(&path->all, &node->cost);
        moe_cost_add(&path->stage[node->stage], &node->cost);
        at = node->cause;
    }
}

/* The node of a rank that ends last. */
static moe_node_at_t last_of(const moe_timeline_t *timeline, int rank)
{
    moe_node_at_t last = {rank, -1};
    double end = 0.0;

    for (int i = 0; i < moe_timeline_count(timeline, rank); i++) {
        double e = moe_timeline_node(timeline, rank, i)->end_s;

        if (last.at < 0 || e > end) {
            end = e;
            last.at = i;
        }
    }
    return last;
}

static void set_times(const moe_price_t *price, moe_price_result_t *result)
{
    path_t path;
    path_t longest = {0};

    for (int r = 0; r < result->n_ranks; r++) {
        walk_back(&price->timeline, last_of(&price->timeline, r), &path);
        result->rank[r] = moe_cost_time(price->machine, &path.all);
        if (r == 0 || result->rank[r].us > result->total.us) {
            result->total = result->rank[r];
            longest = path;
        }
    }
    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        result->stage[s] = moe_cost_time(price->machine, &longest.stage[s]);
    }
    result->parts = moe_cost_parts(&longest.all);
    for (int i = 0; i < moe_constant_count(price->machine); i++) {
        moe_price_constant_t c =
            moe_constant_get(price->machine, i, &longest.all);

        if (c.us > 0.0) {
            result->constant[result->n_constants++] = c;
        }
    }
}

static moe_event_t event_of(const moe_price_t *price, int rank,
                            const moe_node_t *node)
{
    moe_time_t time = moe_cost_time(price->machine, &node->cost);
    moe_event_t event = {.rank = rank,
                         .record = node->record,
                         .stage = node->stage,
                         .op = node->op,
                         .role = node->role,
                         .stream = node->stream,
                         .bytes = node->bytes};

    event.start_us = US_PER_S * node->start_s;
    event.end_us = US_PER_S * node->end_s;
    event.low_us = time.low_us;
    event.high_us = time.high_us;
    event.parts = moe_cost_parts(&node->cost);
    return event;
}

static int compare_events(const void *a, const void *b)
{
    const moe_event_t *x = a;
    const moe_event_t *y = b;

    if (x->rank != y->rank) {
        return x->rank < y->rank ? -1 : 1;
    }
    if (x->start_us < y->start_us || x->start_us > y->start_us) {
        return x->start_us < y->start_us ? -1 : 1;
    }
    return (x->record > y->record) - (x->record < y->record);
}

static bool has_events(const moe_price_result_t *result)
{
    return result->n_ranks <= MOE_EVENT_RANKS;
}

static void set_events(const moe_price_t *price, moe_price_result_t *result)
{
    for (int r = 0; has_events(result) && r < result->n_ranks; r++) {
        for (int i = 0; i < moe_timeline_count(&price->timeline, r); i++) {
            result->event[result->n_events++] =
                event_of(price, r, moe_timeline_node(&price->timeline, r, i));
        }
    }
    qsort(result->event, result->n_events, sizeof(*result->event),
          compare_events);
}

/* A constant that is taken beyond the groups that its source measured. */
static void warn_beyond(const moe_price_t *price, const moe_constant_t *c,
                        const char *name, int tier, moe_price_result_t *result)
{
    int n = price->largest[tier];

    if (c->ranks > 0 && n > c->ranks) {
        (void)snprintf(
            result->warning[result->n_warnings++], sizeof(result->warning[0]),
            "machine %s: %s of tier %s is known for groups of up to %d "
            "rank%s and taken for one of %d: its interval is %.1f times as "
            "wide",
            price->machine->name, name, price->machine->tier[tier].name,
            c->ranks, c->ranks == 1 ? "" : "s", n,
            1.0 + log2((double)n / c->ranks));
    }
}

static void set_warnings(const moe_price_t *price, moe_price_result_t *result)
{
    for (int f = 0; f < MOE_FORMAT_COUNT; f++) {
        if (price->widened[f] == 0) {
            continue;
        }
        (void)snprintf(
            result->warning[result->n_warnings++], sizeof(result->warning[0]),
            "machine %s has no matrix rate for %s: its bytes are stored and "
            "moved as %s, decoded in the kernel at no cost, and multiplied at "
            "the rate of %s",
            price->machine->name, moe_format_name((moe_format_t)f),
            moe_format_name((moe_format_t)f),
            moe_format_name((moe_format_t)(price->widened[f] - 1)));
    }
    for (int t = 0; t < price->machine->n_tiers; t++) {
        const moe_tier_t *tier = &price->machine->tier[t];

        warn_beyond(price, &tier->bw_bytes_per_s, "bw_bytes_per_s", t, result);
        warn_beyond(price, &tier->latency_s, "latency_s", t, result);
    }
}

static moe_status_t allocate(const moe_price_t *price,
                             moe_price_result_t *result)
{
    size_t n_events = 0;

    result->n_ranks = price->timeline.n_ranks;
    for (int r = 0; has_events(result) && r < result->n_ranks; r++) {
        n_events += (size_t)moe_timeline_count(&price->timeline, r);
    }
    result->rank = calloc((size_t)result->n_ranks, sizeof(*result->rank));
    result->event = calloc(n_events + 1, sizeof(*result->event));
    result->constant = calloc((size_t)moe_constant_count(price->machine),
                              sizeof(*result->constant));
    result->warning =
        calloc(MOE_FORMAT_COUNT + 2 * MOE_TIERS_MAX, sizeof(*result->warning));
    return result->rank != NULL && result->event != NULL &&
                   result->constant != NULL && result->warning != NULL
               ? MOE_OK
               : moe_fail(MOE_ERR_NOMEM, "no memory for a price");
}

moe_status_t moe_price_finish(moe_price_t *price, moe_price_result_t *result_p)
{
    moe_price_result_t result = {0};
    moe_status_t status = moe_timeline_play(&price->timeline, price->machine);

    if (status == MOE_OK) {
        status = allocate(price, &result);
    }
    if (status != MOE_OK) {
        moe_price_result_fini(&result);
        return status;
    }
    set_times(price, &result);
    set_events(price, &result);
    set_warnings(price, &result);
    *result_p = result;
    return MOE_OK;
}

void moe_price_result_fini(moe_price_result_t *result)
{
    free(result->rank);
    free(result->event);
    free(result->constant);
    free(result->warning);
    *result = (moe_price_result_t){0};
}
