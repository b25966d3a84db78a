/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Where a report goes: files are made in a hidden folder inside it and
 * moved when all are whole.
 */
#ifndef SIM_REPORT_FOLDER_H
#define SIM_REPORT_FOLDER_H

#include "base/status.h"
#include "sim/options/command.h"

#include <jansson.h>
#include <stdio.h>

/** Name of the hidden folder in it. */
#define MOE_REPORT_HIDDEN ".unfinished"

/** Environment variable by which a supervisor tells ranks the folder. */
#define MOE_REPORT_FOLDER_ENV "MOESIM_RUN_FOLDER"

/**
 * The report's folder: -o, else moesim-out/<name>/<UTC time>-<pid>.
 * @param[out] folder_p  Owned by the caller.
 */
moe_status_t moe_report_folder_choose(const moe_command_t *command,
                                      const char *name, char **folder_p);

/** The hidden folder of a report's folder; owned by the caller, NULL if out
 * of memory. */
char *moe_report_folder_unfinished(const char *folder);

/** Move the report out of the hidden folder, remove that, and point
 * moesim-out/<name>/latest at a default folder. In one step if the folder
 * holds nothing but a report; an older one goes whole. */
moe_status_t moe_report_folder_publish(const char *folder);

typedef moe_status_t moe_report_writer_t(json_t *document, FILE *stream);

/** Write a document into a file that appears whole or not at all. */
moe_status_t moe_report_write_file(const char *path, moe_report_writer_t *write,
                                   json_t *document);

/** Write the report of one process into a folder: claimed, written in the
 * hidden folder, published. On error the folder is as it was.
 * @return MOE_OK; MOE_ERR_INPUT if refused; MOE_ERR_IO, MOE_ERR_NOMEM. */
moe_status_t moe_report_replace_folder(const moe_command_t *command,
                                       json_t *document, const char *folder);

#endif
