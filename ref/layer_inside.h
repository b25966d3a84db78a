/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the files of ref/layer*.c share.
 */
#ifndef REF_LAYER_INSIDE_H
#define REF_LAYER_INSIDE_H

#include "ref/layer.h"

/** Put rows in a place; owned rows are freed with it. */
moe_status_t moe_ref_layer_hold(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *rows, bool owned);

/** Let layer->router and layer->bias be there. */
moe_status_t moe_ref_layer_router(moe_ref_layer_t *layer);

/** Route n tokens by the layer's router, as moe_ref_route(); wrongly if its
 * mistake is of the router. Needs moe_ref_layer_router(). */
moe_status_t moe_ref_layer_route(moe_ref_layer_t *layer, const float *logits,
                                 int64_t n, int32_t *ids, float *weights,
                                 int64_t bad[2]);

/** Let the places be held that a place is computed from. */
moe_status_t moe_ref_layer_make_inputs(moe_ref_layer_t *layer, moe_role_t role);

#endif
