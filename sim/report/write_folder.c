/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/report/folder.h"

#include "base/outfile.h"
#include "base/text.h"
#include "reports/report.h"
#include "sim/report/claim.h"
#include "sim/report/head.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

moe_status_t moe_report_write_file(const char *path, moe_report_writer_t *write,
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

/* One file of a report folder. */
static moe_status_t write_into(const char *folder, const char *name,
                               moe_report_writer_t *write, json_t *document)
{
    char *path = moe_strdup_printf("%s/%s", folder, name);
    moe_status_t status;

    if (path == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a file name");
    }
    status = moe_report_write_file(path, write, document);
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

moe_status_t moe_report_replace_folder(const moe_command_t *command,
                                       json_t *document, const char *folder)
{
    moe_report_claim_t *claim = NULL;
    moe_status_t status = moe_report_may_write(command, folder);

    if (status == MOE_OK) {
        status = moe_report_claim(folder, &claim);
    }
    if (status == MOE_OK) {
        status = moe_report_write_folder(document,
                                         moe_report_claim_unfinished(claim));
    }
    if (status == MOE_OK) {
        status = moe_report_folder_publish(folder);
    }
    if (status != MOE_OK) {
        moe_report_claim_abandon(claim);
    }
    moe_report_claim_end(claim);
    return status;
}
