/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Where a run's report goes: files are made in a hidden folder inside it and
 * moved when all are whole.
 */
#ifndef SIM_RUN_FOLDER_H
#define SIM_RUN_FOLDER_H

#include "base/status.h"
#include "sim/options/command.h"

/** Name of the hidden folder in it. */
#define MOE_RUN_HIDDEN ".unfinished"

/** Environment variable by which a supervisor tells ranks the folder. */
#define MOE_RUN_FOLDER_ENV "MOESIM_RUN_FOLDER"

/**
 * The report's folder: -o, else moesim-out/<name>/<UTC time>-<pid>.
 * @param[out] folder_p  Owned by the caller.
 */
moe_status_t moe_run_folder_choose(const moe_command_t *command,
                                   const char *name, char **folder_p);

/** The hidden folder of a report's folder; owned by the caller, NULL if out
 * of memory. */
char *moe_run_folder_unfinished(const char *folder);

/** Move the report out of the hidden folder, remove that, and point
 * moesim-out/<name>/latest at a default folder. */
moe_status_t moe_run_folder_publish(const char *folder);

#endif
