/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A layer whose experts lie as its rule says, and its routing by slots.
 */
#ifndef MOE_PLACED_H
#define MOE_PLACED_H

#include "moe/layer.h"
#include "moe/routing.h"

/** The model as ranks hold it: E counts slots. */
moe_model_t moe_placed_model(const moe_model_t *model,
                             const moe_placing_t *place);

/**
 * Place a layer's experts.
 *
 * @param[in]  layer    Its model counts slots.
 * @param[in]  routing  Of all tokens, by experts: the load of eplb, where the
 *                      rule has none.
 * @param[out] placed_p Untouched on error.
 * @return MOE_OK, MOE_ERR_RANGE, MOE_ERR_NOMEM.
 */
moe_status_t moe_layer_place(const moe_layer_t *layer,
                             const moe_routing_t *routing,
                             moe_placed_t *placed_p);

/**
 * The same where the slots are known: slot p holds expert holds[p].
 *
 * @param[in] holds  [slots], each expert at least once.
 * @return As moe_layer_place().
 */
moe_status_t moe_layer_place_as(const moe_layer_t *layer, const int32_t *holds,
                                moe_placed_t *placed_p);

/** Experts of a routing become slots, in place. */
void moe_placed_route(const moe_placed_t *placed, moe_routing_t *routing);

/** Both, for who needs no more of it; nothing in a layer that is not placed. */
moe_status_t moe_routing_place(const moe_layer_t *layer,
                               moe_routing_t *routing);

#endif
