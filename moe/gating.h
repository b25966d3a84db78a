/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Gates with capacity: an expert takes at most C rows of a rank's tokens. The
 * rules are host arithmetic; which pairs get rows is the operation gate.
 */
#ifndef MOE_GATING_H
#define MOE_GATING_H

#include "moe/layer.h"
#include "moe/model.h"

#include <stdbool.h>
#include <stdint.h>

/* moe/drop.def -- the list of policies. */
typedef enum {
#define MOE_DROP(id, text) MOE_DROP_##id,
#include "moe/drop.def"
#undef MOE_DROP
    MOE_DROP_COUNT
} moe_drop_t;

/* moe/capacity.def -- the list of rules. */
typedef enum {
#define MOE_CAPACITY(id, text, source) MOE_CAPACITY_##id,
#include "moe/capacity.def"
#undef MOE_CAPACITY
    MOE_CAPACITY_COUNT
} moe_capacity_t;

const char *moe_drop_name(moe_drop_t drop);
const char *moe_capacity_name(moe_capacity_t rule);

typedef struct {
    moe_capacity_t capacity;
    moe_drop_t drop;
    bool by_k; /* DeepSpeed's gate of k; else topkgating of any k */
    int topk;
    double factor;        /* of the capacity, not 0; below 0 Tutel's: at most as
                           * many rows as the fullest expert of any rank has */
    int64_t min_capacity; /* at least 0 */
    bool choices_first;   /* rows go to all first choices before the second
                           * ones; else token by token */
    bool first_loss;      /* the loss counts first choices alone */
    bool renormalize;     /* a token that lost pairs has the weights of the
                           * others over their sum */
    float scaling;        /* that they are then multiplied by */
} moe_gate_rule_t;

/** The rule of a system's gate for a model; factor 1, no least capacity.
 * by_k is DeepSpeed's top1gating, top2gating, topkgating as k says. */
moe_gate_rule_t moe_gating_of(const moe_model_t *model, moe_capacity_t capacity,
                              moe_drop_t drop, bool by_k);

/** True if it is DeepSpeed's top1gating. */
bool moe_gating_is_top1(const moe_gate_rule_t *gating);

/** Why a gate has no such policy; NULL if it has. */
const char *moe_gating_refuses(const moe_gate_rule_t *gating);

/** True if ranks agree on the largest count of an expert in any rank's tokens:
 * where nothing is dropped, and by a factor below 0. */
bool moe_gating_agrees(const moe_gate_rule_t *gating);

/** Rows that an expert takes of a rank's tokens, where pairs are dropped. */
int64_t moe_gating_rows(const moe_gate_rule_t *gating, int64_t experts,
                        int64_t tokens);

/** MegaBlocks' rows of the bins of a rank's experts, of its own tokens:
 * int(f k T_r R / E); and why a layer has none, NULL if it has. */
int64_t moe_gating_bin(const moe_layer_t *layer, double factor, int rank);
const char *moe_gating_bin_refuses(const moe_layer_t *layer, double factor);

/** True if a model's scores are a softmax over all its experts, by which alone
 * it chooses: then they are the gate's. Of another model, and where a router
 * is imposed, a token's scores are its routing weights, 0 elsewhere. */
bool moe_gating_has_softmax(const moe_model_t *model);

/** What `random` sorts by: in [0, 1), 24 bits, of (seed, token, expert). */
float moe_gating_random(uint64_t seed, int64_t token, int64_t expert);

#endif
