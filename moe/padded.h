/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of every dp rank padded to the longest's, routed by all: plan and
 * stages of vLLM-Ascend's methods by all-gather, which differ by their cards.
 * Part of moe/method.h.
 *
 * M rows a rank, P = dp x M in all. With dp = 1 every rank has the tokens
 * already, and nothing is padded. The first two options of a card are the
 * formats "dispatch" and "combine"; its stages between prepare and finalize
 * are those of moe/gathered.h.
 */
#ifndef MOE_PADDED_H
#define MOE_PADDED_H

#include "moe/gathered.h"

typedef struct {
    moe_gathered_t all; /* first: its stages look there */
    int64_t each;       /* M */
    int64_t own;        /* own tokens */
    int n;              /* dp */
    moe_span_t *spans;  /* [dp] where each rank's tokens lie among the P */
} moe_padded_t;

/** Precondition: experts over all ranks, and one reduction that brings sums
 * home, over dp or over tp. */
const char *moe_padded_check(const moe_layer_t *layer, const int64_t *options);

void moe_padded_plan(moe_ctx_t *c);

/** All-gathers of rows in the dispatch format and of logits; every rank
 * routes the P rows. */
void moe_padded_prepare(moe_ctx_t *c);

/** Reduce-scatter over dp and slice, or all-reduce over tp. */
void moe_padded_finalize(moe_ctx_t *c);

/** Member of the reducing group whose chunk of a ring holds a token. */
int moe_padded_home(const moe_formula_t *f, int64_t token);

/** Payload of a rank by stage, in bytes; every rank has the same. */
void moe_padded_payload(const moe_formula_t *f, int64_t *out);

#endif
