/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Decides which of a scenario's methods runs: sim/scenario/select.h.
 */
#ifndef SIM_PRICE_SELECTION_H
#define SIM_PRICE_SELECTION_H

#include "sim/scenario/scenario.h"

#include <jansson.h>

/** What a rule of vLLM-Ascend looks at. */
moe_ascend_facts_t moe_selection_facts(const moe_scenario_t *scenario);

/**
 * Choose by the scenario's rule, which is not MOE_SELECT_none.
 *
 * @param[in]  methods   Priced, in the scenario's order: objects of
 *                       moe_price_methods_one() or moe_draws_price().
 * @param[out] chosen_p  Number of the method; -1: none, json says why.
 * @param[out] json_p    `selection` of a report; new reference. Untouched on
 *                       error.
 */
moe_status_t moe_selection_make(const moe_scenario_t *scenario,
                                const json_t *methods, int *chosen_p,
                                json_t **json_p);

#endif
