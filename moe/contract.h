/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a method promises about its numbers: where it rounds, in which order
 * it sums, where it weighs. Data, so that the oracle, the comparison of
 * methods and the report read the same declaration.
 */
#ifndef MOE_CONTRACT_H
#define MOE_CONTRACT_H

#include "moe/model.h"
#include "moe/vocabulary.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
#define MOE_ROUNDING(id, role, exact, text) MOE_ROUNDING_##id,
#include "moe/rounding.def"
#undef MOE_ROUNDING
    MOE_ROUNDING_COUNT
} moe_rounding_t;

/* Sets of points as bits: MOE_ROUND(gemm1_out) | MOE_ROUND(output). */
typedef uint32_t moe_rounding_set_t;

#define MOE_ROUND(id) (1u << MOE_ROUNDING_##id)

/* Points of experts that hold whole weights. */
#define MOE_ROUND_EXPERTS                                                      \
    (MOE_ROUND(expert_in) | MOE_ROUND(gemm1_out) | MOE_ROUND(act_out) |        \
     MOE_ROUND(gemm2_in) | MOE_ROUND(gemm2_out))

typedef enum {
#define MOE_ORDER(id, over, text, source) MOE_ORDER_##id,
#include "moe/order.def"
#undef MOE_ORDER
    MOE_ORDER_COUNT
} moe_order_t;

typedef enum {
#define MOE_WEIGH(id, text) MOE_WEIGH_##id,
#include "moe/weigh.def"
#undef MOE_WEIGH
    MOE_WEIGH_COUNT
} moe_weigh_t;

typedef struct {
    moe_rounding_set_t points;
    moe_order_t sum;    /* of a token's terms on one rank */
    moe_order_t reduce; /* of the ranks' partial sums */
    moe_weigh_t weigh;
} moe_contract_t;

/** True if a point is declared, and rounds: where its rows are quantised, in
 * `faithful`, or in `exact` too. */
bool moe_contract_rounds(const moe_contract_t *contract, moe_rounding_t point,
                         bool quantised_or_faithful);

/** True if experts run: without, zeros are what is asked for. */
static inline bool moe_contract_computes(const moe_contract_t *contract)
{
    return contract->weigh != MOE_WEIGH_nowhere;
}

/** What a chain has without a method: all points of the experts, dispatch,
 * partial and output; fp32 by slot, then rank order. */
moe_contract_t moe_contract_default(void);

/** With weights on what the activation gives: that rounds then, and rows
 * without weights are summed as Megatron-LM does. */
void moe_contract_weigh_activation(bool activation, moe_contract_t *contract);

/** vLLM's fused_moe and moe_sum: the second matmul weighs its own fp32 sums;
 * 2, 3 and 4 rows a token are added in their own type, else terms of that type
 * in fp32. */
void moe_contract_fused_moe(const moe_model_t *model, moe_contract_t *contract);

/** What a model changes in any contract: where its weights are applied. */
void moe_contract_of_model(const moe_model_t *model, moe_contract_t *contract);

/** Names of the points of a set, separated by ", ". */
void moe_rounding_text(moe_rounding_set_t points, char *text, size_t size);

/** True if a token's slots are added by ascending expert. */
static inline bool moe_order_is_by_expert(moe_order_t order)
{
    return order == MOE_ORDER_expert || order == MOE_ORDER_fp32_expert;
}

/** Names and one-line texts; "?" if out of range. */
const char *moe_rounding_name(moe_rounding_t point);
const char *moe_rounding_note(moe_rounding_t point);
moe_role_t moe_rounding_role(moe_rounding_t point);
const char *moe_order_name(moe_order_t order);
const char *moe_order_text(moe_order_t order);
const char *moe_order_source(moe_order_t order);
const char *moe_weigh_name(moe_weigh_t weigh);
const char *moe_weigh_text(moe_weigh_t weigh);

/** True if an order folds a token's slots, the ranks' partial sums. */
bool moe_order_is_of_slots(moe_order_t order);
bool moe_order_is_of_ranks(moe_order_t order);

/** Order of a name; false, *order_p untouched, if there is none. */
bool moe_order_find(const char *name, moe_order_t *order_p);

#endif
