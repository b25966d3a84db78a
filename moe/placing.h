/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a scenario says of where experts lie, and what it came to.
 *
 * Ranks hold slots, in contiguous blocks like experts without a placement
 * (moe/layout.h), so that methods know slots alone: E of moe_layer_t.model is
 * their number. The router, weights and the oracle know experts.
 */
#ifndef MOE_PLACING_H
#define MOE_PLACING_H

#include "moe/placement.h"

#include <stdint.h>

/* moe/placing.def -- how experts become slots. */
typedef enum {
#define MOE_PLACING(id, text) MOE_PLACING_##id,
#include "moe/placing.def"
#undef MOE_PLACING
    MOE_PLACING_COUNT
} moe_placing_kind_t;

/** The rule; all zeros: slot p holds expert p. */
typedef struct {
    int kind;           /* moe_placing_kind_t */
    int replica;        /* moe_replica_t */
    int64_t redundant;  /* slots beside one for each expert */
    const double *load; /* [experts] of eplb, kept; NULL: of the routing */
} moe_placing_t;

const char *moe_placing_name(int kind);
const char *moe_replica_name(int replica);

/** Slots of a layer; ended with moe_placed_fini(). */
typedef struct {
    moe_placement_t map;
    moe_replica_t replica;
    int n_sources;   /* dp ranks of the scenario's layout */
    int64_t *before; /* [n_sources + 1] tokens before each one's */
} moe_placed_t;

void moe_placed_fini(moe_placed_t *placed);

/** Slot of a token's expert; token -1: of a row of zeros. */
int32_t moe_placed_slot(const moe_placed_t *placed, int64_t token,
                        int32_t expert);

/** An expert map as vLLM and SGLang have it, of n slots from first on:
 * map[slots] local number, -1 elsewhere. */
void moe_placed_expert_map(const moe_placed_t *placed, int64_t first, int64_t n,
                           int32_t *map);

#endif
