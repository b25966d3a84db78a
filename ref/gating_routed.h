/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A gate with capacity behind a router: scores and random numbers of one rank's
 * tokens as doc/numerics.md has them, then ref/gating_drop.h.
 */
#ifndef REF_GATING_ROUTED_H
#define REF_GATING_ROUTED_H

#include "ref/gating_drop.h"
#include "ref/stats.h"

typedef struct {
    const moe_gate_rule_t *rule;
    int64_t tokens; /* S */
    int64_t experts;
    int64_t first;       /* global number of the first token */
    uint64_t seed;       /* of random selection */
    const float *logits; /* [S][E] whose softmax over all experts chose; NULL:
                          * the routing weights are the scores */
} moe_gate_routed_t;

/**
 * Count, drop, give rows, weigh.
 * @param[in,out] gated  On entry ids and weights as routed, and capacity.
 * @return MOE_OK; MOE_ERR_NOMEM.
 */
moe_status_t moe_ref_gate_routed(const moe_gate_routed_t *in,
                                 moe_gated_t *gated, moe_ref_stats_t *stats);

/** Locations or counts as tensors have them. */
void moe_gated_narrow(const int64_t *from, int64_t n, int32_t *to);

/** Bytes that a call takes at most. */
int64_t moe_ref_gate_routed_bytes(const moe_gate_rule_t *rule, int64_t tokens,
                                  int64_t experts);

#endif
