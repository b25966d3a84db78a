/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a command that fails leaves behind: lines on stderr, and with --json -
 * a document on stdout in place of its own.
 */
#ifndef SIM_LAUNCH_FAILURE_H
#define SIM_LAUNCH_FAILURE_H

#include "sim/options/command.h"

/** Say one line on stderr, "moesim: " before it, and keep it. */
void moe_failure_say(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/** Keep a line that was said. */
void moe_failure_keep(const char *line);

/** The command's own document went to stdout: no other one follows. */
void moe_failure_has_document(void);

/**
 * With --json - and no document yet, write one on stdout: schema
 * moesim-failure-1, command, status, exit_status, errors[]. A file of --json
 * stays as it was. Ranks that a supervisor started write none.
 */
void moe_failure_write(const moe_command_t *command, int exit_status);

#endif
