/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run_folder.h"

#include "base/outfile.h"
#include "base/text.h"
#include "sim/launch.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT "moesim-out"

static char *default_folder(const char *name)
{
    char when[32];
    time_t now = time(NULL);
    struct tm utc;

    if (gmtime_r(&now, &utc) == NULL ||
        strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &utc) == 0) {
        return NULL;
    }
    return moe_strdup_printf(DEFAULT "/%s/%s-%ld", name, when, (long)getpid());
}

moe_status_t moe_run_folder_choose(const moe_command_t *command,
                                   const char *name, char **folder_p)
{
    const char *told =
        moe_launch_is_watched() ? getenv(MOE_RUN_FOLDER_ENV) : NULL;
    char *folder;

    if (told != NULL && told[0] != '\0') {
        folder = strdup(told);
    } else if (command->output != NULL) {
        folder = strdup(command->output);
    } else {
        folder = default_folder(name);
    }
    if (folder == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    }
    *folder_p = folder;
    return MOE_OK;
}

char *moe_run_folder_unfinished(const char *folder)
{
    return moe_strdup_printf("%s/" MOE_RUN_HIDDEN, folder);
}

static moe_status_t move_file(const char *from_folder, const char *folder,
                              const char *name)
{
    char *from = moe_strdup_printf("%s/%s", from_folder, name);
    char *to = moe_strdup_printf("%s/%s", folder, name);
    moe_status_t status = MOE_OK;

    if (from == NULL || to == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    } else if (rename(from, to) != 0) {
        status = moe_fail(MOE_ERR_IO, "%s: %s", to, strerror(errno));
    }
    free(from);
    free(to);
    return status;
}

/* Only what a report is made of; the rest is scratch. */
static moe_status_t move_all(const char *unfinished, const char *folder)
{
    static const char *const names[] = {MOE_RUN_LEDGER, "report.md",
                                        "report.json"};
    moe_status_t status = MOE_OK;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (status == MOE_OK) {
            status = move_file(unfinished, folder, names[i]);
        }
    }
    return status;
}

/* Best effort: a file system without links is no fault of the run. */
static void point_latest(const char *folder)
{
    char *copy = strdup(folder);
    char *base = strdup(folder);
    char *above = copy == NULL ? NULL : dirname(copy);
    char *link = above == NULL ? NULL : moe_strdup_printf("%s/latest", above);
    char *fresh = above == NULL ? NULL
                                : moe_strdup_printf("%s/.latest-%ld", above,
                                                    (long)getpid());

    if (base != NULL && link != NULL && fresh != NULL &&
        strncmp(folder, DEFAULT "/", strlen(DEFAULT) + 1) == 0 &&
        symlink(basename(base), fresh) == 0 && rename(fresh, link) != 0) {
        (void)unlink(fresh);
    }
    free(copy);
    free(base);
    free(link);
    free(fresh);
}

moe_status_t moe_run_folder_publish(const char *folder)
{
    char *unfinished = moe_run_folder_unfinished(folder);
    moe_status_t status;

    if (unfinished == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    }
    status = move_all(unfinished, folder);
    if (status == MOE_OK) {
        moe_remove_tree(unfinished);
        point_latest(folder);
    }
    free(unfinished);
    return status;
}
