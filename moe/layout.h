/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * How ranks, tokens and experts lie: pure integer arithmetic.
 *
 * World size W = dp x tp; rank = dp_rank * tp + tp_rank, so the tp ranks of
 * a dp rank are neighbours. ep divides W; ep groups are contiguous blocks.
 * Experts lie in contiguous blocks over the ranks of an ep group, the first
 * E mod R ranks hold one more.
 */
#ifndef MOE_LAYOUT_H
#define MOE_LAYOUT_H

#include "moe/vocabulary.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int dp;
    int tp;
    int ep;
    int node; /* ranks of one node (scale-up domain), at least 1 */
} moe_layout_t;

/** A half-open range of tokens or experts. */
typedef struct {
    int64_t begin;
    int64_t end;
} moe_range_t;

/** The same begin and end. */
bool moe_range_is(moe_range_t a, moe_range_t b);

/** The same groups. */
bool moe_layout_equal(const moe_layout_t *a, const moe_layout_t *b);

/** W. */
int moe_layout_world(const moe_layout_t *layout);

/** Dp rank of a rank. */
int moe_layout_dp_rank(const moe_layout_t *layout, int rank);

/** Ranks in a rank's group of this kind. */
int moe_layout_group_size(const moe_layout_t *layout, moe_group_t group,
                          int rank);

/** Rank's place in its group of this kind, from 0. */
int moe_layout_group_index(const moe_layout_t *layout, moe_group_t group,
                           int rank);

/** World rank of the member at a place of rank's group. */
int moe_layout_group_member(const moe_layout_t *layout, moe_group_t group,
                            int rank, int index);

/** Experts of a place in an ep group; E routed experts in all. */
moe_range_t moe_layout_experts(const moe_layout_t *layout, int64_t experts,
                               int ep_index);

/** Experts of n places from one on: a node's. */
moe_range_t moe_layout_experts_of(const moe_layout_t *layout, int64_t experts,
                                  int ep_index, int n);

/** How experts lie in an ep group, for who asks for every (token, slot). */
typedef struct {
    uint32_t each;      /* experts of a place, */
    uint32_t longer;    /* and one more of the first places */
    uint32_t of_longer; /* experts of those */
} moe_holders_t;

moe_holders_t moe_layout_holders(const moe_layout_t *layout, int64_t experts);

/** Place of the rank that holds an expert. Ids are int32: short divisions. */
static inline int moe_holder_of(const moe_holders_t *h, int32_t expert)
{
    const uint32_t e = (uint32_t)expert;

    return (int)(e < h->of_longer ? e / (h->each + 1)
                                  : h->longer + (e - h->of_longer) / h->each);
}

/** First expert of a place. */
static inline int32_t moe_holder_first(const moe_holders_t *h, int place)
{
    const uint32_t p = (uint32_t)place;

    return (int32_t)(p * h->each + (p < h->longer ? p : h->longer));
}

/** Place in an ep group of the rank that holds an expert. */
int moe_layout_holder(const moe_layout_t *layout, int64_t experts,
                      int64_t expert);

/** Part i of n of a total cut into contiguous parts, longer ones first. */
moe_range_t moe_layout_part(int64_t total, int n, int i);

/** Part in which an item of the total lies. */
int moe_layout_part_of(int64_t total, int n, int64_t item);

#endif
