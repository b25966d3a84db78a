/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What ref/judge_route.c and ref/judge_gate.c share.
 */
#ifndef REF_JUDGE_ROUTE_H
#define REF_JUDGE_ROUTE_H

#include "ref/judge_inside.h"

/* Of an fp32 exp, relative: moves a logit so. */
#define MOE_ROUTE_SCORE_ERROR 0x1p-20

/** What a token's router is asked, and what it answers. */
typedef struct {
    float *logits; /* [E], moved */
    float *bias;   /* [E], that moves choices */
    int32_t ids[MOE_TOPK_MAX];
    float weights[MOE_TOPK_MAX];
    double moved; /* the most */
} moe_route_token_t;

/** Half-width of a logit, element `at` of all; infinite ones stay. */
double moe_route_width(const moe_judge_t *judge, float x, int64_t at);

/** Tell of a fault, if it is the worst. */
void moe_route_note(moe_judge_t *judge, moe_role_t role, int64_t row,
                    int64_t col, double got, double want, double ratio);

/** Judge a token's weights, of these ids. */
void moe_route_weights(moe_judge_t *judge, int64_t row, const int32_t *ids,
                       const moe_route_token_t *token);

/** Judge a token's ids and weights by what a gate leaves. */
void moe_judge_gated(moe_judge_t *judge, int64_t row, const int32_t *ids,
                     moe_route_token_t *token);

#endif
