/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Points of a scenario's sweeps.
 */
#ifndef SIM_OPTIONS_SWEEP_H
#define SIM_OPTIONS_SWEEP_H

#include "sim/options/command.h"

/** Points: the product of all sweeps, the last key fastest; 0 without a
 * sweep. A key that the command set itself is not swept. */
typedef struct {
    size_t n_points;
    size_t n_keys;
    const char **key;          /* [n_keys] of the scenario */
    const char *const **value; /* [n_keys] -> [count] YAML text */
    size_t *count;             /* [n_keys] */
} moe_sweep_points_t;

/** True if the command line gives a list of values. */
bool moe_sweep_given(const moe_command_t *command);

/** Ended with moe_sweep_points_fini(); scenario is kept. At most 4096
 * points, else MOE_ERR_RANGE. */
moe_status_t moe_sweep_points_init(const moe_command_t *command,
                                   const moe_scenario_t *scenario,
                                   moe_sweep_points_t *points_p);
void moe_sweep_points_fini(moe_sweep_points_t *points);

/** Value of key number i at a point. */
const char *moe_sweep_value(const moe_sweep_points_t *points, size_t point,
                            size_t i);

/** The scenario at a point: loaded anew with the point's values last. */
moe_status_t moe_sweep_load(const moe_command_t *command,
                            const moe_sweep_points_t *points, size_t point,
                            moe_diag_t *diag, moe_scenario_t **scenario_p);

#endif
