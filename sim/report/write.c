/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/report/head.h"

#include "base/outfile.h"
#include "base/text.h"
#include "reports/report.h"
#include "sim/launch/failure.h"
#include "sim/launch/launch.h"
#include "sim/report/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool moe_report_has_color(const moe_command_t *command)
{
    const char *no_color = getenv("NO_COLOR");

    if (command->color != MOE_COLOR_auto) {
        return command->color == MOE_COLOR_always;
    }
    /* a launcher gives its ranks a terminal whatever its own output is */
    return !moe_launch_is_rank() && isatty(STDOUT_FILENO) &&
           (no_color == NULL || *no_color == '\0');
}

bool moe_report_json_on_stdout(const moe_command_t *command)
{
    return command->json != NULL && strcmp(command->json, "-") == 0;
}

/* What lies in /dev (/dev/stdout, /dev/fd/3) is written in place, even if it
 * leads to a file: it cannot be replaced by a rename. */
static bool is_device(const char *path)
{
    return strncmp(path, "/dev/", 5) == 0 && access(path, F_OK) == 0;
}

static moe_status_t write_device(const char *path, json_t *document)
{
    FILE *stream = fopen(path, "w");
    moe_status_t status;

    if (stream == NULL) {
        return moe_fail(MOE_ERR_IO, "%s: %s", path, strerror(errno));
    }
    status = moe_report_json(document, stream);
    errno = 0;
    if (fclose(stream) != 0 || status == MOE_ERR_IO) {
        moe_error_clear();
        status = moe_fail(MOE_ERR_IO, "%s: %s", path,
                          strerror(errno != 0 ? errno : EIO));
    }
    return status;
}

/* Whether stdout took it all is asked once, when the program ends: a reader
 * that went away is no error. */
static moe_status_t leave_stdout(moe_status_t status)
{
    if (status == MOE_ERR_IO) {
        moe_error_clear();
        return MOE_OK;
    }
    return status;
}

/* True if --json is in the folder of -o, which will be made. */
static bool is_in_new_folder(const moe_command_t *command)
{
    const char *folder = command->output;
    size_t n = folder != NULL ? strlen(folder) : 0;

    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    return n > 0 && strncmp(command->json, folder, n) == 0 &&
           command->json[n] == '/' && access(folder, F_OK) != 0;
}

/* What is read must not be written over. */
static moe_status_t check_inputs(const moe_command_t *command,
                                 const char *option, const char *path)
{
    const char *const read[] = {command->operand, command->more[0],
                                command->more[1]};

    for (size_t i = 0; path != NULL && i < 3 + command->n_operands; i++) {
        const char *input =
            i < 3 ? read[i] : command->argv[command->operand_at[i - 3]];

        if (input != NULL && moe_is_same_file(path, input)) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: %s is what is read, expected another file",
                            option, path);
        }
    }
    return MOE_OK;
}

/* True of an empty file, and of one that begins as a document of moesim's: not
 * as the manifest of a golden folder, which is read. */
static bool is_own_json(FILE *file)
{
    static const char own[] = "{\"schema\":\"moesim-";
    char begin[64];
    char text[64] = "";
    const size_t n = fread(begin, 1, sizeof(begin) - 1, file);
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        if (strchr(" \t\r\n", begin[i]) == NULL) {
            text[used++] = begin[i];
        }
    }
    return n == 0 || (strncmp(text, own, strlen(own)) == 0 &&
                      strncmp(text + strlen(own), "golden-", 7) != 0);
}

/* FILE may be a word that was meant for something else: what is there and no
 * document of moesim's is not replaced. */
static moe_status_t check_own_json(const char *path)
{
    struct stat st;
    FILE *file = NULL;
    bool own = true;

    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        file = fopen(path, "rb");
    }
    if (file != NULL) {
        own = is_own_json(file);
        (void)fclose(file);
    }
    return own ? MOE_OK
               : moe_fail(MOE_ERR_INPUT,
                          "--json: %s is no JSON of moesim's and is not "
                          "replaced, expected another file, or --json=- for "
                          "stdout",
                          path);
}

/* Ranks leave it to their first one, or to the supervisor. A pipe is not
 * opened: its reader would see it end. */
static moe_status_t try_json(const moe_command_t *command)
{
    moe_outfile_t *file;
    moe_status_t status;
    struct stat st;
    FILE *stream;

    if (command->json == NULL || moe_report_json_on_stdout(command) ||
        moe_launch_is_watched() || moe_launch_rank() > 0 ||
        is_in_new_folder(command) ||
        (stat(command->json, &st) == 0 && !S_ISREG(st.st_mode) &&
         !S_ISDIR(st.st_mode))) {
        return MOE_OK;
    }
    status = check_own_json(command->json);
    if (status != MOE_OK) {
        return status;
    }
    status = moe_outfile_open(command->json, &file, &stream);
    if (status == MOE_OK) {
        moe_outfile_abort(file);
    }
    return status;
}

moe_status_t moe_report_may_write_json(const moe_command_t *command)
{
    moe_status_t status = check_inputs(command, "--json", command->json);

    if (status == MOE_OK) {
        status = check_inputs(command, "--trace", command->trace);
    }
    return status == MOE_OK ? try_json(command) : status;
}

moe_status_t moe_report_write_json(const moe_command_t *command,
                                   json_t *document)
{
    if (command->json == NULL) {
        return MOE_OK;
    }
    if (moe_report_json_on_stdout(command)) {
        moe_failure_has_document();
        return leave_stdout(moe_report_json(document, stdout));
    }
    return is_device(command->json)
               ? write_device(command->json, document)
               : moe_report_write_file(command->json, moe_report_json,
                                       document);
}

/* Warnings that no table shows. */
static void say_warnings(json_t *document)
{
    const json_t *warnings = json_object_get(document, "warnings");
    char safe[1100];
    size_t i;

    for (i = 0; i < json_array_size(warnings); ++i) {
        moe_text_escape(json_string_value(json_array_get(warnings, i)), safe,
                        sizeof(safe));
        fprintf(stderr, "moesim: warning: %s\n", safe);
    }
}

void moe_report_say_folder(const moe_command_t *command, const char *folder)
{
    if (!command->quiet && !moe_report_json_on_stdout(command)) {
        printf("report: %s\n", folder);
    }
}

moe_status_t moe_report_write(const moe_command_t *command, json_t *document,
                              const char *folder)
{
    bool table = !command->quiet && !moe_report_json_on_stdout(command);
    moe_status_t status = MOE_OK;

    if (folder != NULL) {
        status = moe_report_replace_folder(command, document, folder);
    }
    if (status == MOE_OK) {
        status = moe_report_write_json(command, document);
    }
    if (!table) {
        say_warnings(document);
    } else if (status == MOE_OK) {
        status = leave_stdout(moe_report_terminal(
            document, moe_report_has_color(command), stdout));
        if (status == MOE_OK && folder != NULL) {
            moe_report_say_folder(command, folder);
        }
    }
    return status;
}
