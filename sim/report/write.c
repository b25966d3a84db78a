/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/report/head.h"

#include "base/outfile.h"
#include "base/text.h"
#include "reports/report.h"
#include "sim/launch/failure.h"
#include "sim/launch/launch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef moe_status_t writer_t(json_t *document, FILE *stream);

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

static moe_status_t write_file(const char *path, writer_t *write,
                               json_t *document)
{
    moe_outfile_t *file;
    moe_status_t status;
    FILE *stream;

    status = moe_outfile_open(path, &file, &stream);
    if (status != MOE_OK) {
        return status;
    }
    status = write(document, stream);
    if (status == MOE_ERR_IO && ferror(stream) != 0) {
        /* it says path and reason */
        moe_error_clear();
        return moe_outfile_commit(file);
    }
    if (status != MOE_OK) {
        moe_outfile_abort(file);
        return status;
    }
    return moe_outfile_commit(file);
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
               : write_file(command->json, moe_report_json, document);
}

/* One file of a report folder. */
static moe_status_t write_into(const char *folder, const char *name,
                               writer_t *write, json_t *document)
{
    char *path = moe_strdup_printf("%s/%s", folder, name);
    moe_status_t status;

    if (path == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a file name");
    }
    status = write_file(path, write, document);
    free(path);
    return status;
}

/* The first part of a path that is there and no folder. NULL if none. */
static char *find_file(const char *path)
{
    char *part = strdup(path);
    char *slash = part;
    struct stat st;

    while (slash != NULL && part[0] != '\0') {
        if (stat(part, &st) == 0) {
            if (S_ISDIR(st.st_mode)) {
                break;
            }
            return part;
        }
        slash = strrchr(part, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
    }
    free(part);
    return NULL;
}

moe_status_t moe_report_make_folder(const char *folder)
{
    moe_status_t status = moe_make_folder(folder);
    char reason[1100];
    char *file;

    if (status != MOE_ERR_IO) {
        return status;
    }
    (void)snprintf(reason, sizeof(reason), "%s", moe_error_text());
    moe_error_clear();
    file = find_file(folder);
    if (file != NULL) {
        status = moe_fail(MOE_ERR_INPUT,
                          "%s: is a file, expected the name of a folder for "
                          "the report: choose another with -o",
                          file);
    } else {
        status =
            moe_fail(MOE_ERR_IO,
                     "%s; -o DIR names another place for the report", reason);
    }
    free(file);
    return status;
}

const char *const moe_report_parts[] = {MOE_REPORT_LEDGER, "report.md",
                                        "report.json", NULL};

/* True if FOLDER/NAME is there, or a link of that name. */
static bool holds(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    const int n = snprintf(path, sizeof(path), "%s/%s", folder, name);

    return n > 0 && (size_t)n < sizeof(path) && lstat(path, &st) == 0;
}

static moe_status_t may_write_golden(const moe_command_t *command,
                                     const char *folder)
{
    if (!command->golden || !holds(folder, MOE_REPORT_GOLDEN)) {
        return MOE_OK;
    }
    if (!command->force) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s/" MOE_REPORT_GOLDEN
                        " is there already: choose another folder, or --force",
                        folder);
    }
    if (!holds(folder, MOE_REPORT_GOLDEN "/manifest.json")) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s/" MOE_REPORT_GOLDEN
                        " holds no manifest.json, so it is not replaced: "
                        "choose another folder",
                        folder);
    }
    return MOE_OK;
}

moe_status_t moe_report_may_write(const moe_command_t *command,
                                  const char *folder)
{
    for (size_t i = 0; moe_report_parts[i] != NULL && !command->force; i++) {
        if (holds(folder, moe_report_parts[i])) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s holds another run's report, %s: choose another "
                            "folder, or --force",
                            folder, moe_report_parts[i]);
        }
    }
    return may_write_golden(command, folder);
}

/* --force over the report of a run leaves no ledger beside one that has
 * none. */
static void remove_ledger(const char *folder)
{
    char *path = moe_strdup_printf("%s/" MOE_REPORT_LEDGER, folder);

    if (path != NULL) {
        (void)unlink(path);
    }
    free(path);
}

moe_status_t moe_report_write_folder(json_t *document, const char *folder)
{
    moe_status_t status = moe_report_make_folder(folder);

    if (status == MOE_OK) {
        status = write_into(folder, "report.md", moe_report_markdown, document);
    }
    if (status == MOE_OK) {
        status = write_into(folder, "report.json", moe_report_json, document);
    }
    return status;
}

static moe_status_t replace_folder(const moe_command_t *command,
                                   json_t *document, const char *folder)
{
    moe_status_t status = moe_report_may_write(command, folder);

    if (status == MOE_OK) {
        status = moe_report_write_folder(document, folder);
    }
    if (status == MOE_OK && command->force) {
        remove_ledger(folder);
    }
    return status;
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
        status = replace_folder(command, document, folder);
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
