/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Whether experts fit into the memory of the machine that is priced.
 */
#ifndef SIM_PRICE_FITS_H
#define SIM_PRICE_FITS_H

#include "sim/scenario/scenario.h"

#include <jansson.h>

/** Bytes of the weights of a rank's experts, of the rank with most: in one
 * layer, in the format that they are stored in. */
int64_t moe_expert_bytes(const moe_scenario_t *scenario);

/** Warn in a document if one layer's experts, or those of all MoE layers,
 * do not fit into a device's memory. */
moe_status_t moe_price_warn_memory(const moe_scenario_t *scenario,
                                   json_t *document);

#endif
