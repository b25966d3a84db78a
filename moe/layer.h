/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One MoE layer as all ranks know it: model, layout, tokens, formats.
 */
#ifndef MOE_LAYER_H
#define MOE_LAYER_H

#include "moe/chain.h"
#include "moe/data.h"
#include "moe/layout.h"
#include "moe/mapping.h"
#include "moe/model.h"
#include "moe/placing.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    MOE_PHASE_prefill,
    MOE_PHASE_decode
} moe_phase_t;

const char *moe_phase_name(moe_phase_t phase);

typedef struct {
    const moe_model_t *model; /* kept; its experts are slots */
    moe_layout_t layout;
    const int64_t *tokens; /* [dp] tokens of each dp rank; kept */
    const int64_t *before; /* [dp + 1] sums of the tokens before each, kept;
                            * NULL: they are added up when asked for */
    moe_phase_t phase;
    moe_chain_t chain; /* of the scenario; dispatch = hidden */
    uint64_t seed;
    moe_data_t data; /* what tensors are drawn as */
    bool poison;     /* new tensors hold NaN, where backends have data */
    moe_placing_t place;
    const moe_placed_t *placed; /* kept; NULL: slot p holds expert p, or it is
                                 * not known yet */
    moe_mapping_t mapping;      /* by kernels that see all tokens, of: */
    int mapping_rank;           /* this rank, or -1: of all */
} moe_layer_t;

/** Whether slots may hold other experts than those of their numbers. */
bool moe_layer_is_placed(const moe_layer_t *layer);

/** Expert of a slot. */
int64_t moe_layer_expert(const moe_layer_t *layer, int64_t slot);

/** Tokens of all dp ranks together. */
int64_t moe_layer_total_tokens(const moe_layer_t *layer);

/** Tokens of the dp rank that has most. */
int64_t moe_layer_longest(const moe_layer_t *layer);

/** Global range of a dp rank's tokens. */
moe_range_t moe_layer_tokens(const moe_layer_t *layer, int dp_rank);

/** Dp rank that has a token. */
int moe_layer_owner(const moe_layer_t *layer, int64_t token);

#endif
