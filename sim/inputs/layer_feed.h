/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A scenario's layer for the engine of ref/layer.h, in one process: for
 * golden and check.
 */
#ifndef SIM_INPUTS_LAYER_FEED_H
#define SIM_INPUTS_LAYER_FEED_H

#include "moe/routing.h"
#include "ref/layer.h"
#include "sim/scenario/scenario.h"

/** What tokens [begin, end) and experts [begin, end) of a scenario are; slots
 * [begin, end), once its experts have been placed (layer.placed). Rows travel
 * in the format `dispatch`, by the scenario's storage of that format. */
moe_ref_case_t moe_layer_case(const moe_scenario_t *scenario,
                              moe_format_t dispatch, moe_range_t tokens,
                              moe_range_t experts);

/** Memory of tensors that a scenario does not draw. */
typedef struct {
    moe_rows_t hidden;
    moe_routing_t routing;
} moe_layer_feed_t;

/**
 * Give a layer what its scenario reads from files or samples: hidden states,
 * router weights, ids and weights; nothing where all is drawn by the seed.
 * @param[out] feed_p  Ended with moe_layer_feed_fini() after the layer.
 */
moe_status_t moe_layer_feed(const moe_scenario_t *scenario,
                            moe_ref_layer_t *layer, moe_layer_feed_t *feed_p);
void moe_layer_feed_fini(moe_layer_feed_t *feed);

#endif
