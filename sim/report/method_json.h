/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A method's sums and prices as fields of a report; reports/schema.def is
 * the list. All return false (or NULL) if memory runs out.
 */
#ifndef SIM_REPORT_METHOD_JSON_H
#define SIM_REPORT_METHOD_JSON_H

#include "models/price.h"
#include "models/summary.h"
#include "moe/run_method.h"

#include <jansson.h>

/** Ranks up to which pairs of ranks are told: they grow with the square of
 * the ranks. */
#define MOE_JSON_RANKS 256

/** name, label, options, contract. */
json_t *moe_json_method(const moe_method_use_t *use);

/** Where a chain rounds, in which orders it sums, where it weighs, in its
 * numerics. A new object; NULL if out of memory. */
json_t *moe_json_contract(const moe_chain_t *chain);

/** dispatch_bytes_per_token, ratio_to_bf16 and the lists of bytes. */
bool moe_json_bytes(json_t *method, const moe_model_t *model,
                    const moe_summary_t *summary);

/** counted_bytes, of a method whose system prints bandwidths. */
bool moe_json_counted(json_t *method, const moe_method_use_t *use,
                      const moe_layer_t *layer, const moe_routing_t *routing);

/** padded_rows, of a method whose experts compute more rows than they have, and
 * left_out_rows, of one whose experts leave some out. */
bool moe_json_rows(json_t *method, const moe_method_use_t *use,
                   const moe_layer_t *layer, const moe_routing_t *routing,
                   const moe_summary_t *summary);

/** imbalance. */
bool moe_json_imbalance(json_t *method, const moe_layer_t *layer,
                        const moe_routing_t *routing);

/** by_stage; result is NULL without a machine. */
bool moe_json_stages(json_t *method, const moe_summary_t *summary,
                     const moe_price_result_t *result);

/** predicted_us, interval, parts, timeline, constants, warnings. */
bool moe_json_price(json_t *method, const moe_price_result_t *result);

/** Set a key to a new reference; false if there is no memory. */
bool moe_json_set(json_t *object, const char *key, json_t *value);

/** Append a new reference. */
bool moe_json_append(json_t *list, json_t *value);

#endif
