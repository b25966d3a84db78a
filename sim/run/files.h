/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * run A.yaml B.yaml...: one run after the other, each with its own ranks and
 * its own report.
 */
#ifndef SIM_RUN_FILES_H
#define SIM_RUN_FILES_H

#include "sim/options/command.h"

/** A run of one scenario into a folder: its exit status; what was wrong has
 * been said. */
typedef int moe_run_into_func_t(const moe_command_t *command,
                                moe_scenario_t *scenario, const char *folder);

/** MOE_OK if a scenario can be run as the command says. */
typedef moe_status_t moe_run_check_func_t(const moe_command_t *command,
                                          const moe_scenario_t *scenario);

/**
 * Run every operand of a command. All are read and checked before the first
 * is run, and the problems of all are told together; two of one name are an
 * error. -o holds a folder for each, by scenario's name; --json is one
 * document, schema moesim-runs-1 with runs[]. A run whose check failed does
 * not stop the others, anything else does.
 * @return The exit status of the first that failed, else 0.
 */
int moe_run_files(const moe_command_t *command, moe_run_check_func_t *check,
                  moe_run_into_func_t *run_into);

#endif
