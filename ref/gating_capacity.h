/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Gating with capacity, as DeepSpeed does it (deepspeed/moe/sharded_moe.py),
 * from logits: choices with noise too, then ref/gating_drop.h.
 *
 * Scores are a softmax over all experts, RN32. Ties go to the lower index.
 */
#ifndef REF_GATING_CAPACITY_H
#define REF_GATING_CAPACITY_H

#include "base/status.h"
#include "ref/gating_drop.h"
#include "ref/stats.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    MOE_GATE_top1, /* the largest; its score is the weight */
    MOE_GATE_top2, /* first choices before second ones; weights renormalised */
    MOE_GATE_topk  /* any k; weights renormalised over what was kept */
} moe_gate_kind_t;

typedef struct {
    moe_gate_kind_t kind;
    moe_drop_t drop;
    int topk;                /* 1, 2 with top1, top2 */
    double capacity_factor;  /* > 0 */
    int64_t min_capacity;    /* at least 1 */
    int64_t agreed;          /* none: the largest count of all ranks; 0: own */
    int64_t tensor_parallel; /* none: C is a multiple of it; 0 as 1 */
    const float *noise;      /* [S][E] added to the logits: top1 for its choice,
                              * top2 for the second; NULL: none */
    const float *random;     /* [S][E] in [0, 1) for top1 with probs */
    const uint8_t *used; /* [S] top1: 0 for tokens that take no part; NULL */
} moe_gating_t;

/**
 * Gate S tokens.
 *
 * C = max(min_capacity, ceil(S / E x k x capacity_factor)), in float64;
 * without dropping the largest count, rounded up to tensor_parallel, for top1
 * at most S. Weights of top2 and topk: RN32(score / max(sum, 2^-23)), the sum
 * in slot order, RN32 after each addition. aux_loss = E / (k S^2) x sum over
 * e of (sum of scores) x count, in float64, then RN32; of first choices
 * alone for top2.
 *
 * @param[in] logits  [S][E], no NaN.
 * @return MOE_OK; MOE_ERR_RANGE for a NaN or settings out of range;
 *         MOE_ERR_NOMEM.
 */
moe_status_t moe_ref_gate(const moe_gating_t *gating, const float *logits,
                          int64_t tokens, int64_t experts, moe_gated_t *gated,
                          moe_ref_stats_t *stats);

#endif
