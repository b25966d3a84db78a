/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A point of a sweep as the report has it.
 */
#ifndef SIM_REPORT_SWEEP_JSON_H
#define SIM_REPORT_SWEEP_JSON_H

#include "sim/options/sweep.h"

#include <jansson.h>

/**
 * What a point of sweep[] says before its methods, which stay empty.
 * @param[in]  scenario  At that point.
 * @param[out] point_p   New reference. Untouched on error.
 */
moe_status_t moe_sweep_point_json(const moe_sweep_points_t *points, size_t i,
                                  const moe_scenario_t *scenario,
                                  json_t **point_p);

#endif
