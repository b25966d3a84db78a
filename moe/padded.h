/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of every dp rank padded to the longest's, M, routed by all: plan and
 * stages of vLLM-Ascend's methods by all-gather, which differ by their cards.
 * Part of moe/method.h.
 *
 * Rows are gathered over dp, P = dp x M in all, and sums come home by a
 * reduce-scatter over dp and an all-reduce over tp; with dp = 1 every rank has
 * the tokens already, and nothing is padded. Sequence parallel, with tp > 1, a
 * dp rank's rows are cut over its tp ranks: B = ceil(M / tp) of each are
 * gathered over ep, P = dp x tp x B, sums scattered over ep and joined by an
 * all-gather over tp.
 *
 * A card's options begin with the formats "dispatch" and "combine", the fifth,
 * if there is one, is MOE_OPTION_SEQUENCE; its stages between prepare and
 * finalize are those of moe/gathered.h.
 */
#ifndef MOE_PADDED_H
#define MOE_PADDED_H

#include "moe/tp_part.h"

#define MOE_OPTION_SEQUENCE                                                    \
    {                                                                          \
        "sequence_parallel", MOE_OPTION_bool, NULL, "false",                   \
            "with tp > 1 rows are cut over tp, gathered and scattered over "   \
            "ep (HEAD); false: over dp, then added up over tp (#2469)"         \
    }

typedef struct {
    moe_tp_plan_t own; /* first: stages look there */
    bool sequence;     /* parallel */
    moe_group_t group; /* that rows are gathered over */
    int n;             /* ranks whose rows are gathered; 1 with dp = 1 */
    moe_span_t *spans; /* [n] where each rank's tokens lie among the P */
} moe_padded_t;

/** Precondition: experts over all ranks. */
const char *moe_padded_check(const moe_layer_t *layer, const int64_t *options);

/** Sequence parallel: sums are one of all ranks, not of dp and then of tp. */
void moe_padded_amend(const moe_model_t *model, const int64_t *options,
                      moe_contract_t *contract);

void moe_padded_plan(moe_ctx_t *c);

/** All-gathers of rows in the dispatch format and of logits; every rank
 * routes the P rows. */
void moe_padded_prepare(moe_ctx_t *c);

/** Reduce-scatter, slice and all-reduce over tp; sequence parallel: all-gather
 * over tp and slice. */
void moe_padded_finalize(moe_ctx_t *c);

/** Member of the reducing group whose chunk of a ring holds a token; of sums
 * over dp and then over tp: dp rank x tp + tp rank. */
int moe_padded_home(const moe_formula_t *f, int64_t token, int slot);

/** Payload of a rank by stage, in bytes; the same for every rank of a dp
 * rank. */
void moe_padded_payload(const moe_formula_t *f, int64_t *out);

#endif
