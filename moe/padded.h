/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of every dp rank padded to the longest's, routed by all: what
 * vLLM-Ascend's methods by all-gather share. Part of moe/method.h.
 *
 * M rows a rank, P = dp x M in all. With dp = 1 every rank has the tokens
 * already, and nothing is padded.
 */
#ifndef MOE_PADDED_H
#define MOE_PADDED_H

#include "moe/operations.h"

typedef struct {
    int64_t each;      /* M */
    int64_t own;       /* own tokens */
    int64_t pad;       /* rows of zeros among the P */
    int n;             /* dp */
    moe_span_t *spans; /* [dp] where each rank's tokens lie among the P */
} moe_padded_t;

/** Precondition: experts over all ranks, and one reduction that brings sums
 * home, over dp or over tp. */
const char *moe_padded_check(const moe_layer_t *layer);

void moe_padded_plan(moe_ctx_t *c, moe_padded_t *p);

/** All-gathers of rows in the dispatch format and of logits; every rank
 * routes the P rows: x, ids, weights of g. */
void moe_padded_prepare(moe_ctx_t *c, const moe_padded_t *p, moe_gathered_t *g);

/** The output from the sums y [P][H] of g, which it releases: reduce-scatter
 * over dp and slice, or all-reduce over tp. */
void moe_padded_finalize(moe_ctx_t *c, const moe_padded_t *p,
                         moe_gathered_t *g);

/** Member of the reducing group whose chunk of a ring holds a token. */
int moe_padded_home(const moe_layer_t *layer, int64_t token);

/** Payload of a rank by stage, in bytes; every rank has the same. */
void moe_padded_payload(const moe_layer_t *layer, moe_format_t dispatch,
                        moe_format_t combine, int64_t *out);

#endif
