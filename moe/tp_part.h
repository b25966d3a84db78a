/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A dp rank's tokens, padded with rows of zeros and cut over its tp ranks,
 * each of which routes and sends its part; the parts of the output are
 * gathered again. Part of moe/method.h.
 */
#ifndef MOE_TP_PART_H
#define MOE_TP_PART_H

#include "moe/gathered.h"

typedef struct {
    int64_t padded;    /* rows of the dp rank, padding among them */
    bool equal;        /* parts of all ranks */
    moe_range_t rows;  /* own part of them */
    moe_span_t tokens; /* those that are tokens: the part's first */
    bool masked;       /* rows that are no tokens take no part */
} moe_tp_part_t;

/** What a plan begins with whose tokens are cut so. */
typedef struct {
    moe_gathered_t rows; /* first: stages look there */
    moe_tp_part_t part;
} moe_tp_plan_t;

/** Part of a rank; earlier ones are longer by a row where parts differ.
 * @param[in] padded  Rows, as many as tokens at least. */
moe_tp_part_t moe_tp_part(const moe_layer_t *layer, int rank, int64_t padded);

/** The same, padded to the longest dp rank's rows and on to equal parts. */
moe_tp_part_t moe_tp_part_equal(const moe_layer_t *layer, int rank);

/** The part's rows, padding among them, of those that the dp rank has. */
moe_tensor_t *moe_tp_part_cut(moe_ctx_t *c, const moe_tp_part_t *part,
                              moe_tensor_t *all);

/** Own part, routed, weighed if experts want that, and in the dispatch format:
 * x, ids and weights. */
void moe_tp_part_prepare_stage(moe_ctx_t *c);

/** The output from the sums y, of the part's rows or of its tokens: with tp > 1
 * parts are rounded, padded and gathered. */
void moe_tp_part_finalize_stage(moe_ctx_t *c);

/** Payload of that, in bytes. */
int64_t moe_tp_part_payload(const moe_layer_t *layer,
                            const moe_tp_part_t *part);

#endif
