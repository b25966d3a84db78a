/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of a gate with capacity on their way to experts and back: C rows for
 * each (source rank, expert), the empty ones zero. Part of moe/method.h.
 */
#ifndef MOE_SLOTS_H
#define MOE_SLOTS_H

#include "moe/gating.h"
#include "moe/layer.h"
#include "moe/operations_gating.h"
#include "moe/routing.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    moe_gate_rule_t rule;
    bool dense;       /* sums by an einsum of operands of one type */
    int64_t capacity; /* C */
    int64_t *chunks;  /* [R][E_local] rows of each chunk, planned: C */
    moe_gate_t gate;
    moe_tensor_t *x;
    moe_tensor_t *row_weights; /* of what came, where the contract weighs what
                                * the activation gives; else NULL */
    moe_tensor_t *slots;       /* index of own pairs */
    moe_tensor_t *by_expert;   /* index of the rows that came */
    moe_tensor_t *y;
} moe_slots_t;

/** Precondition: each rank has tokens and as many experts as any other, the
 * gate has the policy, and all ranks the same capacity, which they have to
 * agree on in a group where nothing is dropped. */
const char *moe_slots_check(const moe_layer_t *layer,
                            const moe_gate_rule_t *rule, bool has_group);

/** C, as every rank has it. @param[in] routing  Of all tokens. */
int64_t moe_slots_capacity(const moe_layer_t *layer,
                           const moe_gate_rule_t *rule,
                           const moe_routing_t *routing);

/** The method's gate, and C: where nothing is dropped the maximum over the
 * group; without a group the rank's own. */
void moe_slots_plan(moe_ctx_t *c, moe_slots_t *s, bool has_group);

/* Stages of a method whose plan begins with a moe_slots_t. */
void moe_slots_prepare(moe_ctx_t *c);
void moe_slots_permute(moe_ctx_t *c);
void moe_slots_experts(moe_ctx_t *c);

void moe_slots_unpermute(moe_ctx_t *c);
void moe_slots_finalize(moe_ctx_t *c);

/**
 * Payload of a rank by stage, in bytes, R > 1: prepare 8 if ranks agree on C,
 * permute E C row, unpermute E C rowc. The first two options are the formats
 * "dispatch" and "combine".
 *
 * @param[in] along  Bytes that go with a row to the experts.
 */
void moe_slots_payload(const moe_formula_t *f, const moe_gate_rule_t *rule,
                       int64_t along, int64_t *out);

#endif
