/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One method of a scenario, priced: the meta backend's trace through the
 * cost model, as the JSON that `price` and `run` report.
 */
#ifndef SIM_PRICE_METHODS_H
#define SIM_PRICE_METHODS_H

#include "sim/scenario/scenario.h"

/**
 * Run a method shape-only on every rank and price its trace.
 *
 * The object has what doc/report.md lists for methods[] under "always" and
 * "done": name, label, options, payload_bytes, wire_sent_bytes, ...,
 * by_stage, predicted_us, parts, timeline. Times are null when
 * the scenario has no machine. A method that refuses the layout gives name,
 * label, options and refused, and MOE_OK.
 *
 * @param[in]  routing  Of all tokens.
 * @param[in]  like     See moe_meta_run(); NULL for `price`.
 * @param[in]  stages   To run.
 * @param[out] json_p   New reference. Untouched on error.
 */
moe_status_t moe_price_methods_one(const moe_scenario_t *scenario,
                                   const moe_method_use_t *use,
                                   const moe_routing_t *routing,
                                   const moe_backend_t *like,
                                   moe_stage_set_t stages, json_t **json_p);

/**
 * The predicted time alone, in us, of a method that moe_price_methods_one()
 * priced under another routing, for a scenario with a machine; all stages.
 */
moe_status_t moe_price_methods_us(const moe_scenario_t *scenario,
                                  const moe_method_use_t *use,
                                  const moe_routing_t *routing, double *us_p);

#endif
