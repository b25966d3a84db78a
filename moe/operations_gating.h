/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Gates with capacity, as operations. Part of moe/method.h.
 *
 * How many rows an expert takes is of the plan; which pairs have them, and so
 * what is dropped, is known on the device alone.
 */
#ifndef MOE_OPERATIONS_GATING_H
#define MOE_OPERATIONS_GATING_H

#include "moe/gating.h"
#include "moe/plan.h"
#include "moe/tensor.h"

#include <stdint.h>

/** The largest count of an expert in a rank's own tokens: what is agreed upon
 * where nothing is dropped. */
moe_contribute_func_t moe_gate_own_most;

/** What a gate gives; NULL after an error. */
typedef struct {
    moe_tensor_t *ids;      /* [n][k] int32, -1 dropped */
    moe_tensor_t *location; /* [n][k] int32 row of its expert, -1 dropped */
    moe_tensor_t *weights;  /* [n][k] fp32, 0 dropped */
    moe_tensor_t *counts;   /* [1][E] int32, before dropping */
    moe_tensor_t *loss;     /* [1][1] fp32, before dropping */
} moe_gate_t;

/**
 * Rows for the chosen pairs: at most capacity for each expert.
 *
 * @param[in] logits   [n][E] of which the scores are made.
 * @param[in] ids, weights  [n][k] as moe_topk() gives them; released by the
 *                     caller.
 * @param[in] rule     Kept until the method ends.
 * @param[in] span     Which tokens the rows are; kept.
 */
moe_gate_t moe_gate(moe_ctx_t *c, moe_tensor_t *logits, moe_tensor_t *ids,
                    moe_tensor_t *weights, const moe_gate_rule_t *rule,
                    int64_t capacity, const moe_span_t *span);

void moe_gate_release(moe_ctx_t *c, moe_gate_t *gate);

/** Index of (row, slot) pairs in slots: capacity rows an expert, each pair in
 * the row that its gate gave it, the rest zeros. */
moe_tensor_t *moe_sort_located(moe_ctx_t *c, const moe_gate_t *gate,
                               int64_t capacity);

/** Routing weights rounded to the format of hidden states, as einsums with
 * operands of that type have them. */
moe_tensor_t *moe_round_weights(moe_ctx_t *c, moe_tensor_t *weights);

#endif
