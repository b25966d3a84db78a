/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Shape of one MoE layer of a model, and its router.
 */
#ifndef MOE_MODEL_H
#define MOE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MOE_NAME_MAX 128
#define MOE_TOPK_MAX 64

typedef enum {
#define MOE_SCORE(id, text) MOE_SCORE_##id,
#include "moe/score.def"
#undef MOE_SCORE
    MOE_SCORE_COUNT
} moe_score_t;

/** Name of a score; "?" if out of range. */
const char *moe_score_name(moe_score_t score);

/** Letters of the legend in comments: H hidden, I intermediate, E experts,
 * k topk. */
typedef struct {
    char name[MOE_NAME_MAX];
    char source[512];     /* where the shapes were read */
    int64_t hidden;       /* H */
    int64_t intermediate; /* I, of one expert */
    int64_t experts;      /* E, routed */
    int topk;             /* k, at most MOE_TOPK_MAX */
    int n_group;          /* routing groups; 1 without */
    int topk_group;       /* groups that a token may use */
    moe_score_t score;
    bool bias;            /* correction bias on the choice */
    bool renormalize;     /* weights divided by their sum */
    float routed_scaling; /* factor on the weights */
    int64_t layers;       /* of the whole model, MoE ones among them */
    int64_t moe_layers;
} moe_model_t;

#endif
