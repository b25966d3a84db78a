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

typedef enum {
#define MOE_GROUP_LIMIT(id, text) MOE_GROUP_LIMIT_##id,
#include "moe/group_limit.def"
#undef MOE_GROUP_LIMIT
    MOE_GROUP_LIMIT_COUNT
} moe_group_limit_t;

typedef enum {
#define MOE_ACTIVATION(id, text) MOE_ACTIVATION_##id,
#include "moe/activation.def"
#undef MOE_ACTIVATION
    MOE_ACTIVATION_COUNT
} moe_activation_t;

typedef enum {
#define MOE_GATE_UP(id, text) MOE_GATE_UP_##id,
#include "moe/gate_up.def"
#undef MOE_GATE_UP
    MOE_GATE_UP_COUNT
} moe_gate_up_t;

/** Names as files spell them; "?" if out of range. */
const char *moe_score_name(moe_score_t score);
const char *moe_group_limit_name(moe_group_limit_t limit);
const char *moe_activation_name(moe_activation_t activation);
const char *moe_gate_up_name(moe_gate_up_t gate_up);

/** Letters of the legend in comments: H hidden, I intermediate, E experts,
 * k topk. */
typedef struct {
    char name[MOE_NAME_MAX];
    char source[512];     /* where the shapes were read */
    int64_t hidden;       /* H */
    int64_t intermediate; /* I, of one expert */
    int64_t experts;      /* E */
    int64_t redundant;    /* of E: more slots than experts; 0 but in a layer
                           * whose experts are placed */
    int topk;             /* k, at most MOE_TOPK_MAX */
    int shared;           /* the last of E, and of k: experts that every token
                           * has with weight 1; no router chooses them */
    int n_group;          /* routing groups; 1 without */
    int topk_group;       /* groups that a token may use */
    moe_group_limit_t group_limit;
    moe_score_t score;
    bool bias;            /* correction bias on the choice */
    bool renormalize;     /* weights divided by their sum */
    float routed_scaling; /* factor on the weights */
    moe_activation_t activation;
    moe_gate_up_t gate_up;
    bool expert_bias;     /* each expert adds one to either matmul */
    bool expert_scales;   /* NVFP4 weights of each expert have a global scale
                           * of their own */
    bool weight_on_input; /* the routing weight multiplies what the expert
                           * reads, not what it returns; k is 1 */
    int64_t layers;       /* of the whole model, MoE ones among them */
    int64_t moe_layers;
} moe_model_t;

/** Experts that can be chosen: columns of the logits. */
static inline int64_t moe_model_choices(const moe_model_t *model)
{
    return model->experts - model->redundant;
}

/** The model by experts, where it counts slots. */
static inline moe_model_t moe_model_unplaced(const moe_model_t *model)
{
    moe_model_t unplaced = *model;

    unplaced.experts -= model->redundant;
    unplaced.redundant = 0;
    return unplaced;
}

/** What the router sees of a model: without its shared experts. */
static inline moe_model_t moe_model_routed(const moe_model_t *model)
{
    moe_model_t routed = *model;

    routed.experts -= model->shared;
    routed.topk -= model->shared;
    routed.shared = 0;
    return routed;
}

/** True if a slot of k is a shared expert's. */
static inline bool moe_model_slot_is_shared(const moe_model_t *model, int slot)
{
    return slot >= model->topk - model->shared;
}

/** Put the shared experts into the last slots of a token's ids and weights,
 * both [k]. */
static inline void moe_model_add_shared(const moe_model_t *model, int32_t *ids,
                                        float *weights)
{
    for (int i = model->topk - model->shared; i < model->topk; i++) {
        ids[i] = (int32_t)(model->experts - model->topk + i);
        weights[i] = 1.0f;
    }
}

#endif
