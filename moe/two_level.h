/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows over two levels: once to each node that has one of their experts, over
 * the rail to the rank of the same place, which passes them on once to each
 * such rank inside the node; where the layout is one node, that hop alone.
 * Part of moe/method.h.
 *
 * Every rank tells every other in one all-to-all of counts what all of them
 * need: rows for it and for each of its experts; with several nodes also rows
 * for its node, and for each rank of that.
 */
#ifndef MOE_TWO_LEVEL_H
#define MOE_TWO_LEVEL_H

#include "moe/hop.h"

typedef struct {
    moe_gathered_t rows; /* first: that are here */
    moe_hop_t hop[2];    /* over the rail, inside the node */
} moe_two_level_t;

/** Precondition: tokens and experts on every rank, full nodes. */
const char *moe_two_level_check(const moe_layer_t *layer);

/** Numbers that a rank tells another. */
int64_t moe_two_level_numbers(const moe_layer_t *layer);

/** Agree on the counts: hops, and rows of the local experts. */
void moe_two_level_plan(moe_ctx_t *c, moe_two_level_t *p);

/** Rows that a rank sends by each hop, and those that it gets, its own among
 * them: for closed formulas. */
void moe_two_level_rows(const moe_layer_t *layer, const moe_routing_t *routing,
                        int rank, int64_t sent[2], int64_t got[2]);

#endif
