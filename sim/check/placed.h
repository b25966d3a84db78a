/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Where the experts of a check lie, if they are placed.
 */
#ifndef SIM_CHECK_PLACED_H
#define SIM_CHECK_PLACED_H

#include "sim/check/check.h"

/** Place the scenario's experts as the manifest says, where it has some placed:
 * its list must be what the scenario says, but for EPLB by the load of the
 * routing, whose outcome the list is. @return MOE_OK; MOE_ERR_INPUT;
 * MOE_ERR_NOMEM. */
moe_status_t moe_check_place_experts(moe_check_t *check);

/** Hold GOT's slots of its choices to those of the ids that a layer holds; adds
 * a finding if there are some. */
moe_status_t moe_check_physical_ids(moe_check_t *check,
                                    const moe_golden_rank_t *rank,
                                    const moe_ref_layer_t *layer,
                                    const moe_safetensors_t *got,
                                    const char *path);

#endif
