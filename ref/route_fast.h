/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Routers that score each logit by a sigmoid, for 16 tokens at once.
 *
 * ref/route_near.h names the few experts that may be among the largest; these
 * get their exact scores, and the order of those decides. A token whose groups
 * or candidates the bound leaves open is not routed here. So the bits are those
 * of ref/route_row.h.
 */
#ifndef REF_ROUTE_FAST_H
#define REF_ROUTE_FAST_H

#include "ref/route_near.h"
#include "ref/stats.h"

#include <stdbool.h>

/** What blocks are worked on with. */
typedef struct moe_route_fast moe_route_fast_t;

/** True for a router without shared experts that this is for. */
bool moe_route_fast_suits(const moe_model_t *model);

/** Memory for the blocks of a model and its finite biases; NULL and an error
 * recorded if there is none. */
moe_route_fast_t *moe_route_fast_new(const moe_model_t *model,
                                     const float *bias);

/** Frees it; NULL is nothing. */
void moe_route_fast_free(moe_route_fast_t *fast);

/** Routes a block. Returns a bit for each token that is left to
 * moe_route_row(), whose ids and weights are undefined. */
uint32_t moe_route_fast(moe_route_fast_t *fast, const moe_route_block_t *block,
                        moe_ref_stats_t *stats);

#endif
