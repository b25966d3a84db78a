/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What several methods need of a layer, for their preconditions: NULL, or one
 * sentence that says what does not hold. Part of moe/method.h.
 */
#ifndef MOE_NEEDS_H
#define MOE_NEEDS_H

#include "moe/layer.h"

/** ep = dp and tp = 1; of the second, weights on the output besides. For cards
 * that need no more. */
const char *moe_needs_own_tokens(const moe_layer_t *layer,
                                 const int64_t *options);
const char *moe_needs_own_unweighed(const moe_layer_t *layer,
                                    const int64_t *options);

/** ep = dp x tp. */
const char *moe_needs_experts_over_all(const moe_layer_t *layer);

/** The hidden size in whole blocks of a format. */
const char *moe_needs_blocks(const moe_layer_t *layer, int64_t combine);

/** Experts that each lie on one rank, tokens on one, none of them shared: for
 * rules that count an expert's rows in order of tokens. */
const char *moe_needs_plain_experts(const moe_layer_t *layer);

/** Routing weights applied to what experts return. */
const char *moe_needs_weights_on_output(const moe_layer_t *layer);

/** Where the activation is weighed in place of what experts return: experts
 * for that. */
const char *moe_needs_weighable_activation(const moe_layer_t *layer,
                                           bool weighs);

/** Experts that can be cut over the tp ranks, w1 and w3 by columns and w2 by
 * rows: ep = 1, whole tiles and blocks in each part, and in `exact` products
 * whose sums travel unrounded. */
const char *moe_needs_expert_parts(const moe_layer_t *layer);

#endif
