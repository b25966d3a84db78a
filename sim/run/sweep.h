/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * run --sweep all: a run a point, joined in one report.
 */
#ifndef SIM_RUN_SWEEP_H
#define SIM_RUN_SWEEP_H

#include "sim/options/command.h"

/** A run of one point: its command and scenario, into a folder. Returns the
 * exit status, and has said what was wrong. */
typedef int moe_run_point_func_t(const moe_command_t *command,
                                 moe_scenario_t *scenario, const char *folder);

/**
 * Run every point, each into FOLDER/point-N, then write the joined report
 * into FOLDER and show it.
 * @return The exit status of the first point that failed, else 0.
 */
int moe_run_sweep(const moe_command_t *command, const moe_scenario_t *scenario,
                  const char *folder, moe_run_point_func_t *run_point);

#endif
