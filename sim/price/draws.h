/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Routings that `price` draws, and one method's price over all of them.
 */
#ifndef SIM_PRICE_DRAWS_H
#define SIM_PRICE_DRAWS_H

#include "sim/scenario/scenario.h"

#include <jansson.h>

#define MOE_DRAWS_MAX 9

typedef struct {
    int n; /* odd */
    moe_routing_t routing[MOE_DRAWS_MAX];
} moe_draws_t;

/** Routings that a scenario is priced with: 1 where a trace gives it; else 9
 * of few tokens and ranks, 3 of many, 1 of very many, where their sums hardly
 * differ. */
int moe_draws_count(const moe_scenario_t *scenario);

/** Draw them, or read the trace. The first is that of the scenario's own
 * seed. Ended with moe_draws_fini(). */
moe_status_t moe_draws_init(const moe_scenario_t *scenario,
                            moe_draws_t *draws_p);
void moe_draws_fini(moe_draws_t *draws);

/**
 * Price a method with each routing.
 *
 * The object is that of moe_price_methods_one() of the draw whose time is the
 * median, with draws_us[], and low_us and high_us widened by the spread: the
 * distances of the constants' interval and of the draws (1.645 standard
 * deviations, or the farthest draw if that is more) add as squares.
 * @param[out] draw_p  Which one that is.
 * @param[out] json_p  New reference. Untouched on error.
 */
moe_status_t moe_draws_price(const moe_scenario_t *scenario,
                             const moe_method_use_t *use,
                             const moe_draws_t *draws, int *draw_p,
                             json_t **json_p);

#endif
