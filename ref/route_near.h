/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which experts may be among the largest of a token, for routers that score
 * each logit by a sigmoid: choices in fp32 to within a proven bound, 16 tokens
 * at once. Lanes are tokens: everything of an expert is a vector of 16, so that
 * groups, thresholds and ranks need no look across lanes.
 */
#ifndef REF_ROUTE_NEAR_H
#define REF_ROUTE_NEAR_H

#include "base/status.h"
#include "moe/model.h"

#include <stdint.h>

enum {
    MOE_ROUTE_LANES = 16, /**< tokens of a block */
    MOE_NEAR_DEPTH = 8,   /**< experts of a token, at most */
    MOE_NEAR_WORD = 32    /**< experts of a word of marks */
};

/** Bound of moe_near_sigmoid(). */
#define MOE_NEAR_ERROR 0x1p-21

typedef float moe_lanes_t[MOE_ROUTE_LANES];

/** Tokens of a call, at most MOE_ROUTE_LANES. */
typedef struct {
    const float *logits; /* [n] rows, stride apart; no NaN */
    int64_t stride;
    const float *bias; /* [E]; NULL without */
    int n;
    int32_t *ids;   /* [n] rows, slots apart */
    float *weights; /* the same */
    int slots;
} moe_route_block_t;

/** A router, and what it finds out of a block. */
typedef struct {
    int64_t experts;
    int n_group;
    int topk_group;
    int topk;
    float near;                        /* how far a choice may be off */
    moe_lanes_t *choice;               /* [E] near choices */
    moe_lanes_t *group;                /* [n_group] near scores */
    moe_lanes_t *mask;                 /* [n_group] 0; -infinity: not kept */
    uint32_t (*mark)[MOE_ROUTE_LANES]; /* [E / MOE_NEAR_WORD, rounded up] */
} moe_near_t;

/** Memory for a router and its finite biases. On error nothing is held. */
moe_status_t moe_near_init(moe_near_t *near, const moe_model_t *model,
                           const float *bias);

/** Frees what moe_near_init() took, or nothing. */
void moe_near_fini(moe_near_t *near);

/** Marks, by a bit each, the experts that may be among a token's k largest.
 * Returns a bit for each token whose groups are not certain. */
uint32_t moe_near_mark(const moe_near_t *near, const moe_route_block_t *block);

/** The sigmoid of a logit to within MOE_NEAR_ERROR, for the test of that. */
float moe_near_sigmoid(float logit);

#endif
