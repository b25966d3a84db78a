/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/launch/failure.h"

#include "reports/report.h"
#include "sim/launch/launch.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE 4200 /* bytes of a line: MOE_SUPERVISE_TEXT, and some */

/* Of this process, which runs one command. */
static json_t *lines;
static bool has_document;

void moe_failure_keep(const char *line)
{
    json_t *text = json_string(line);

    if (text == NULL) {
        text = json_string("(not UTF-8)");
    }
    if (lines == NULL) {
        lines = json_array();
    }
    /* without memory the line is on stderr only */
    (void)json_array_append_new(lines, text);
}

void moe_failure_say(const char *format, ...)
{
    char line[LINE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, "moesim: %s\n", line);
    moe_failure_keep(line);
}

void moe_failure_has_document(void)
{
    has_document = true;
}

/* As the man page's EXIT STATUS has them. */
static const char *status_of(int exit_status)
{
    switch (exit_status) {
    case 1:
        return "a check failed";
    case 2:
        return "the input is wrong";
    default:
        return "the environment is wrong";
    }
}

static void write_document(const moe_command_t *command, int exit_status)
{
    json_t *document = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:[], s:O}", "schema", "moesim-failure-1",
        "moesim", PACKAGE_VERSION, "command", moe_verb_name(command->verb),
        "status", status_of(exit_status), "exit_status", exit_status,
        "warnings", "errors", lines);

    if (document != NULL) {
        /* whether stdout took it is asked when the program ends */
        (void)moe_report_json(document, stdout);
    }
    json_decref(document);
}

void moe_failure_write(const moe_command_t *command, int exit_status)
{
    if (command->json != NULL && strcmp(command->json, "-") == 0 &&
        !has_document && !moe_launch_is_watched() && moe_launch_rank() <= 0) {
        if (lines == NULL) {
            /* a launcher's rank: the one that failed may have said it */
            moe_failure_keep(moe_error_text()[0] != '\0'
                                 ? moe_error_text()
                                 : moe_status_text(MOE_ERR_PEER));
        }
        write_document(command, exit_status);
    }
    json_decref(lines);
    lines = NULL;
}
