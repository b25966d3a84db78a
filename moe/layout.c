/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/layout.h"

/* A group is size members from first on, stride ranks apart. */
typedef struct {
    int first;
    int stride;
    int size;
} span_t;

bool moe_range_is(moe_range_t a, moe_range_t b)
{
    return a.begin == b.begin && a.end == b.end;
}

bool moe_layout_equal(const moe_layout_t *a, const moe_layout_t *b)
{
    return a->dp == b->dp && a->tp == b->tp && a->ep == b->ep &&
           a->node == b->node;
}

int moe_layout_world(const moe_layout_t *layout)
{
    return layout->dp * layout->tp;
}

int moe_layout_dp_rank(const moe_layout_t *layout, int rank)
{
    return rank / layout->tp;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static span_t block_of(int rank, int size, int world)
{
    int first = rank / size * size;
    span_t span = {first, 1, min_int(size, world - first)};

    return span;
}

static span_t span_of(const moe_layout_t *layout, moe_group_t group, int rank)
{
    int world = moe_layout_world(layout);
    span_t span = {0, 1, world};

    switch (group) {
    case MOE_GROUP_dp:
        span = (span_t){rank % layout->tp, layout->tp, layout->dp};
        break;
    case MOE_GROUP_tp:
        span = block_of(rank, layout->tp, world);
        break;
    case MOE_GROUP_ep:
        span = block_of(rank, layout->ep, world);
        break;
    case MOE_GROUP_node:
        span = block_of(rank, layout->node, world);
        break;
    case MOE_GROUP_rail:
        span.first = rank % layout->node;
        span.stride = layout->node;
        span.size = (world - span.first + layout->node - 1) / layout->node;
        break;
    case MOE_GROUP_world:
    case MOE_GROUP_COUNT:
    default:
        break;
    }
    return span;
}

int moe_layout_group_size(const moe_layout_t *layout, moe_group_t group,
                          int rank)
{
    return span_of(layout, group, rank).size;
}

int moe_layout_group_index(const moe_layout_t *layout, moe_group_t group,
                           int rank)
{
    span_t span = span_of(layout, group, rank);

    return (rank - span.first) / span.stride;
}

int moe_layout_group_member(const moe_layout_t *layout, moe_group_t group,
                            int rank, int index)
{
    span_t span = span_of(layout, group, rank);

    return span.first + index * span.stride;
}

moe_range_t moe_layout_part(int64_t total, int n, int i)
{
    int64_t each = total / n;
    int64_t longer = total % n;
    int64_t begin = each * i + (i < longer ? i : longer);
    moe_range_t range = {begin, begin + each + (i < longer)};

    return range;
}

int moe_layout_part_of(int64_t total, int n, int64_t item)
{
    int64_t each = total / n;
    int64_t longer = total % n;
    int64_t part = item / (each + 1);

    return (int)(part < longer ? part
                               : longer + (item - longer * (each + 1)) /
                                              (each > 0 ? each : 1));
}

moe_range_t moe_layout_experts(const moe_layout_t *layout, int64_t experts,
                               int ep_index)
{
    return moe_layout_part(experts, layout->ep, ep_index);
}

moe_holders_t moe_layout_holders(const moe_layout_t *layout, int64_t experts)
{
    const uint32_t n = (uint32_t)experts;
    const uint32_t ranks = (uint32_t)layout->ep;
    const uint32_t each = n / ranks;
    const uint32_t longer = n - each * ranks;

    return (moe_holders_t){each, longer, longer * (each + 1)};
}

int moe_layout_holder(const moe_layout_t *layout, int64_t experts,
                      int64_t expert)
{
    const moe_holders_t holders = moe_layout_holders(layout, experts);

    return moe_holder_of(&holders, (int32_t)expert);
}

moe_range_t moe_layout_experts_of(const moe_layout_t *layout, int64_t experts,
                                  int ep_index, int n)
{
    moe_range_t range = {
        moe_layout_experts(layout, experts, ep_index).begin,
        moe_layout_experts(layout, experts, ep_index + n - 1).end};

    return range;
}
