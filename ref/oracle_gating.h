/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The oracle of gates with capacity: each pair by what is said of it in
 * doc/numerics.md, counting those that come before it. Shares no code with
 * ref/gating_drop.h.
 */
#ifndef REF_ORACLE_GATING_H
#define REF_ORACLE_GATING_H

#include "base/status.h"
#include "moe/gating.h"

#include <stdint.h>

/** One rank's tokens. */
typedef struct {
    const moe_gate_rule_t *rule;
    int64_t tokens; /* S */
    int64_t experts;
    int64_t fullest;     /* where ranks agree on it: the largest count of an
                          * expert in the tokens of any rank */
    const float *logits; /* [S][E]; NULL: the weights are the scores */
    const int32_t *ids;  /* [S][k] as chosen */
    const float *weights;
    uint64_t seed; /* of random selection */
    int64_t first; /* global number of the first token */
} moe_oracle_gating_t;

/** What a token has. Caller's arrays. */
typedef struct {
    int64_t capacity;
    int32_t *ids;      /* [S][k] -1 dropped */
    int32_t *location; /* [S][k] */
    float *weights;    /* [S][k] */
    int32_t *counts;   /* [E] */
    double loss;       /* of scores that are not rounded */
} moe_oracle_gated_t;

/** @return MOE_OK; MOE_ERR_NOMEM. */
moe_status_t moe_oracle_gate(const moe_oracle_gating_t *in,
                             moe_oracle_gated_t *out);

/** Pairs of all tokens for which an expert's bin has no row become -1: those
 * behind the first room[e], in order of tokens and slots. room ends used up. */
void moe_oracle_leave_out(int32_t *ids, int64_t pairs, int64_t *room);

#endif
