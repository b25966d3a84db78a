/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/routing.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

moe_status_t moe_routing_init(moe_routing_t *routing, int64_t first, int64_t n,
                              int topk)
{
    moe_routing_t r = {.first = first, .n = n, .topk = topk};
    size_t pairs;
    size_t bytes;

    if (topk < 1 || topk > MOE_TOPK_MAX || !moe_mul_size(n, topk, &pairs) ||
        !moe_mul_size((int64_t)pairs, sizeof(float), &bytes)) {
        return moe_fail(MOE_ERR_RANGE, "routing of %lld tokens is too large",
                        (long long)n);
    }
    r.ids = calloc(pairs + 1, sizeof(*r.ids));
    r.weights = calloc(pairs + 1, sizeof(*r.weights));
    if (r.ids == NULL || r.weights == NULL) {
        moe_routing_fini(&r);
        return moe_fail(MOE_ERR_NOMEM,
                        "no memory for the routing of %lld "
                        "tokens",
                        (long long)n);
    }
    *routing = r;
    return MOE_OK;
}

void moe_routing_fini(moe_routing_t *routing)
{
    free(routing->ids);
    free(routing->weights);
    routing->ids = NULL;
    routing->weights = NULL;
}

void moe_routing_count(const moe_routing_t *routing, int64_t begin, int64_t end,
                       int64_t *counts)
{
    const int32_t *id = routing->ids + (begin - routing->first) * routing->topk;

    for (int64_t i = 0; i < (end - begin) * routing->topk; i++) {
        counts[id[i]]++;
    }
}

int64_t moe_routing_most(const moe_routing_t *routing, moe_range_t tokens,
                         int64_t experts)
{
    int64_t *counts = calloc((size_t)experts + 1, sizeof(*counts));
    int64_t most = 0;

    if (counts == NULL) {
        return -1;
    }
    moe_routing_count(routing, tokens.begin, tokens.end, counts);
    for (int64_t e = 0; e < experts; e++) {
        most = counts[e] > most ? counts[e] : most;
    }
    free(counts);
    return most;
}

/* Slots of a token whose expert is in a range. */
static int slots_in(const moe_routing_t *routing, int64_t token,
                    moe_range_t experts)
{
    const int32_t *ids =
        routing->ids + (token - routing->first) * routing->topk;
    int n = 0;

    for (int s = 0; s < routing->topk; s++) {
        n += ids[s] >= experts.begin && ids[s] < experts.end;
    }
    return n;
}

int64_t moe_routing_sorted(const moe_routing_t *routing, moe_range_t tokens,
                           int64_t token, int slot)
{
    const int k = routing->topk;
    const int32_t *first = routing->ids + (tokens.begin - routing->first) * k;
    const int64_t own = (token - tokens.begin) * k + slot;
    int64_t place = 0;

    for (int64_t i = 0; i < (tokens.end - tokens.begin) * k; i++) {
        place += first[i] < first[own] || (first[i] == first[own] && i < own);
    }
    return place;
}

int64_t moe_routing_pairs(const moe_routing_t *routing, moe_range_t tokens,
                          moe_range_t experts)
{
    int64_t n = 0;

    for (int64_t t = tokens.begin; t < tokens.end; t++) {
        n += slots_in(routing, t, experts);
    }
    return n;
}

int64_t moe_routing_touching(const moe_routing_t *routing, moe_range_t tokens,
                             moe_range_t experts)
{
    int64_t n = 0;

    for (int64_t t = tokens.begin; t < tokens.end; t++) {
        n += slots_in(routing, t, experts) > 0;
    }
    return n;
}

/* True if a slot before this one goes to the same place. */
static bool seen_before(const int *place, int slot)
{
    int before = 0;

    while (place[before] != place[slot]) {
        before++;
    }
    return before < slot;
}

void moe_routing_spread(const moe_routing_t *routing, moe_range_t tokens,
                        const moe_layout_t *layout, int64_t experts,
                        int64_t stride, int64_t *out)
{
    const int k = routing->topk;
    const moe_holders_t holders = moe_layout_holders(layout, experts);
    int place[MOE_TOPK_MAX];

    for (int j = 0; j < layout->ep; j++) {
        const moe_range_t e = moe_layout_experts(layout, experts, j);

        memset(out + j * stride, 0, (size_t)(1 + e.end - e.begin) * 8);
    }
    for (int64_t t = tokens.begin; t < tokens.end; t++) {
        const int32_t *ids = routing->ids + (t - routing->first) * k;

        for (int s = 0; s < k; s++) {
            const int j = moe_holder_of(&holders, ids[s]);

            place[s] = j;
            out[j * stride] += !seen_before(place, s);
            out[j * stride + 1 + ids[s] - moe_holder_first(&holders, j)]++;
        }
    }
}
