/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/report/folder.h"

#include "base/outfile.h"
#include "base/text.h"
#include "sim/launch/launch.h"
#include "sim/report/head.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT "moesim-out"
#define GOLDEN  MOE_REPORT_GOLDEN

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

moe_status_t moe_report_folder_choose(const moe_command_t *command,
                                      const char *name, char **folder_p)
{
    const char *told =
        moe_launch_is_watched() ? getenv(MOE_REPORT_FOLDER_ENV) : NULL;
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

char *moe_report_folder_unfinished(const char *folder)
{
    return moe_strdup_printf("%s/" MOE_REPORT_HIDDEN, folder);
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

/* True if there is FOLDER/NAME. */
static bool holds(const char *folder, const char *name)
{
    char *path = moe_strdup_printf("%s/%s", folder, name);
    struct stat st;
    const bool there = path != NULL && lstat(path, &st) == 0;

    free(path);
    return there;
}

static void remove_file(const char *folder, const char *name)
{
    char *path = moe_strdup_printf("%s/%s", folder, name);

    if (path != NULL) {
        (void)unlink(path);
    }
    free(path);
}

/* The golden folder, of runs that write one; an older one goes, whose user
 * said --force. */
static moe_status_t move_golden(const char *unfinished, const char *folder)
{
    char *from = moe_strdup_printf("%s/" GOLDEN, unfinished);
    char *to = moe_strdup_printf("%s/" GOLDEN, folder);
    char *manifest = moe_strdup_printf("%s/" GOLDEN "/manifest.json", folder);
    moe_status_t status = MOE_OK;

    if (from == NULL || to == NULL || manifest == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    } else if (access(from, F_OK) == 0) {
        if (access(manifest, F_OK) == 0) {
            moe_remove_tree(to);
        }
        status = move_file(unfinished, folder, GOLDEN);
    }
    free(from);
    free(to);
    free(manifest);
    return status;
}

/* What a folder holds of an older report goes first: old and new never stand
 * beside each other. */
static moe_status_t move_all(const char *unfinished, const char *folder)
{
    moe_status_t status = move_golden(unfinished, folder);

    for (size_t i = 0; status == MOE_OK && moe_report_parts[i] != NULL; i++) {
        remove_file(folder, moe_report_parts[i]);
    }
    for (size_t i = 0; status == MOE_OK && moe_report_parts[i] != NULL; i++) {
        if (holds(unfinished, moe_report_parts[i])) {
            status = move_file(unfinished, folder, moe_report_parts[i]);
        }
    }
    return status;
}

static bool is_part(const char *name)
{
    for (size_t i = 0; moe_report_parts[i] != NULL; i++) {
        if (strcmp(name, moe_report_parts[i]) == 0) {
            return true;
        }
    }
    return strcmp(name, GOLDEN) == 0 || strcmp(name, ".") == 0 ||
           strcmp(name, "..") == 0;
}

/* Leave nothing in a folder but the report. */
static void keep_parts(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char *path = is_part(entry->d_name)
                         ? NULL
                         : moe_strdup_printf("%s/%s", folder, entry->d_name);

        if (path != NULL) {
            moe_remove_tree(path);
        }
        free(path);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static bool is_hidden(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           strcmp(name, MOE_REPORT_HIDDEN) == 0;
}

static bool is_part_or_hidden(const char *name)
{
    return is_part(name) || is_hidden(name);
}

/* True if a folder can be read and all in it has such names. */
static bool holds_only(const char *folder, bool (*is)(const char *name))
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    bool only = dir != NULL;

    while (only && (entry = readdir(dir)) != NULL) {
        only = is(entry->d_name);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return only;
}

/* True if a folder is as this program makes one: then its hidden one may take
 * its place. */
static bool is_ours(const char *folder, const char *unfinished)
{
    struct stat a;
    struct stat b;

    return lstat(folder, &a) == 0 && S_ISDIR(a.st_mode) &&
           lstat(unfinished, &b) == 0 && a.st_mode == b.st_mode &&
           a.st_uid == b.st_uid && a.st_gid == b.st_gid;
}

/* The hidden folder, stepped beside the empty report's, replaces it in one
 * rename. False, and *from_p is where the files lie, if it cannot. */
static bool replace_empty(const char *beside, const char *folder,
                          const char **from_p)
{
    if (rename(*from_p, beside) != 0) {
        return false;
    }
    *from_p = beside;
    keep_parts(beside);
    return rename(beside, folder) == 0;
}

/* The folder of an older report changes places with a new one, which has only
 * the new; the old goes, the hidden folder in it too. False as above. */
static bool replace_older(const char *beside, const char *folder,
                          const char **from_p)
{
#ifdef RENAME_EXCHANGE
    if (mkdir(beside, 0777) != 0) {
        return false;
    }
    if (move_all(*from_p, beside) != MOE_OK) {
        moe_error_clear(); /* a folder of another file system */
        (void)rmdir(beside);
        return false;
    }
    *from_p = beside;
    if (renameat2(AT_FDCWD, beside, AT_FDCWD, folder, RENAME_EXCHANGE) != 0) {
        return false;
    }
    moe_remove_tree(beside);
    return true;
#else
    (void)beside;
    (void)folder;
    (void)from_p;
    return false;
#endif
}

static bool replace_at_once(const char *beside, const char *folder,
                            const char **from_p)
{
    if (!is_ours(folder, *from_p)) {
        return false;
    }
    if (holds_only(folder, is_hidden)) {
        return replace_empty(beside, folder, from_p);
    }
    return holds_only(folder, is_part_or_hidden) &&
           (!holds(folder, GOLDEN) || holds(*from_p, GOLDEN)) &&
           replace_older(beside, folder, from_p);
}

/* A name beside a folder's, however many slashes end that. */
static char *name_beside(const char *folder)
{
    size_t n = strlen(folder);

    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    return moe_strdup_printf("%.*s.%ld" MOE_REPORT_HIDDEN, (int)n, folder,
                             (long)getpid());
}

/* Whole or not at all; file by file where that cannot be: in a folder that
 * holds other things, or is the root of a file system. */
static moe_status_t move_at_once(const char *unfinished, const char *folder)
{
    char *beside = name_beside(folder);
    const char *from = unfinished;
    moe_status_t status = MOE_OK;

    if (beside == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    }
    if (!replace_at_once(beside, folder, &from)) {
        status = move_all(from, folder);
        if (status == MOE_OK || from == beside) {
            moe_remove_tree(from);
        }
        if (status == MOE_OK) {
            moe_remove_tree(unfinished);
        }
    }
    free(beside);
    return status;
}

/* True if nothing is there, or a link. */
static bool may_be_link(const char *path)
{
    struct stat st;

    return lstat(path, &st) != 0 || S_ISLNK(st.st_mode);
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

    if (base != NULL && link != NULL && fresh != NULL && may_be_link(link) &&
        strncmp(folder, DEFAULT "/", strlen(DEFAULT) + 1) == 0 &&
        symlink(basename(base), fresh) == 0 && rename(fresh, link) != 0) {
        (void)unlink(fresh);
    }
    free(copy);
    free(base);
    free(link);
    free(fresh);
}

moe_status_t moe_report_folder_publish(const char *folder)
{
    char *unfinished = moe_report_folder_unfinished(folder);
    moe_status_t status;
    sigset_t all;
    sigset_t before;

    if (unfinished == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    }
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    status = move_at_once(unfinished, folder);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (status == MOE_OK) {
        point_latest(folder);
    }
    free(unfinished);
    return status;
}
