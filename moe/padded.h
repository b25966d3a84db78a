/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of every dp rank padded to the longest's, routed by all: plan and
 * stages of vLLM-Ascend's methods by all-gather, which differ by their cards.
 * Part of moe/method.h.
 *
 * B rows a rank, P = dp x tp x B in all: with tp = 1 B = M, else a dp rank's
 * rows are cut over its tp ranks and gathered again, B = ceil(M / tp). With dp
 * = 1 every rank has the tokens already, and nothing is padded or cut. The
 * first two options of a card are the formats "dispatch" and "combine"; its
 * stages between prepare and finalize are those of moe/gathered.h.
 */
#ifndef MOE_PADDED_H
#define MOE_PADDED_H

#include "moe/tp_part.h"

typedef struct {
    moe_tp_plan_t own; /* first: stages look there */
    moe_group_t group; /* that rows are gathered over */
    int n;             /* ranks whose rows are gathered; 1 with dp = 1 */
    moe_span_t *spans; /* [n] where each rank's tokens lie among the P */
} moe_padded_t;

/** Precondition: experts over all ranks. Of the seed's version: and one
 * reduction that brings sums home, over dp or over tp. */
const char *moe_padded_check(const moe_layer_t *layer, const int64_t *options);
const char *moe_padded_check_seed(const moe_layer_t *layer,
                                  const int64_t *options);

void moe_padded_plan(moe_ctx_t *c);

/** All-gathers of rows in the dispatch format and of logits; every rank
 * routes the P rows. */
void moe_padded_prepare(moe_ctx_t *c);

/** Reduce-scatter, all-gather over tp and slice; dp = 1: all-reduce over tp. */
void moe_padded_finalize(moe_ctx_t *c);

/** Member of the reducing group whose chunk of a ring holds a token. */
int moe_padded_home(const moe_formula_t *f, int64_t token, int slot);

/** Payload of a rank by stage, in bytes; every rank has the same. */
void moe_padded_payload(const moe_formula_t *f, int64_t *out);

#endif
