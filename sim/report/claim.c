/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/report/claim.h"

#include "base/outfile.h"
#include "base/text.h"
#include "sim/report/head.h"
#include "sim/report/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER "owner" /* the locked file: the number of a process */
#define TRIES 100     /* while others come and go */

struct moe_report_claim {
    char *folder;
    char *unfinished;
    char *owner; /* path of the locked file */
    int lock;    /* its descriptor; -1: not held */
    int made;    /* folders that were not there before */
};

/* How many folders of a path are not there yet. */
static int count_missing(const char *path)
{
    char *part = strdup(path);
    char *slash = part;
    int n = 0;

    while (slash != NULL && part[0] != '\0' && access(part, F_OK) != 0) {
        n++;
        slash = strrchr(part, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
    }
    free(part);
    return n;
}

/* True if a path still leads to an open file. */
static bool is_same_file(int fd, const char *path)
{
    struct stat open_one;
    struct stat named;

    return fstat(fd, &open_one) == 0 && stat(path, &named) == 0 &&
           open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

static moe_status_t taken(const moe_report_claim_t *claim, int fd)
{
    char pid[32] = "";

    if (read(fd, pid, sizeof(pid) - 1) < 0) {
        pid[0] = '\0';
    }
    (void)close(fd);
    return moe_fail(MOE_ERR_INPUT,
                    "%s: another run%s%s%s is making its report there: choose "
                    "another folder with -o, or wait for it",
                    claim->folder, pid[0] != '\0' ? " (process " : "", pid,
                    pid[0] != '\0' ? ")" : "");
}

static moe_status_t cannot(const char *path)
{
    return moe_fail(MOE_ERR_IO,
                    "%s: %s; -o DIR names another place for the report", path,
                    strerror(errno));
}

/* Lock the owner's file; *again_p if it went away meanwhile. */
static moe_status_t lock_once(moe_report_claim_t *claim, bool *again_p)
{
    int fd =
        open(claim->owner, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);

    *again_p = false;
    if (fd < 0) {
        *again_p = errno == ENOENT;
        return *again_p ? MOE_OK : cannot(claim->owner);
    }
    /* a file system without locks: nothing is known of other runs */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return taken(claim, fd);
    }
    if (!is_same_file(fd, claim->owner)) {
        (void)close(fd);
        *again_p = true;
        return MOE_OK;
    }
    claim->lock = fd;
    return MOE_OK;
}

/* True if a folder holds nothing. */
static bool is_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    bool empty = dir != NULL;

    while (empty && (entry = readdir(dir)) != NULL) {
        empty =
            strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return empty;
}

/* What has the hidden folder's name must be one that a run made: it will be
 * emptied. */
static moe_status_t check_hidden(const moe_report_claim_t *claim)
{
    struct stat st;

    if (lstat(claim->unfinished, &st) != 0 ||
        (S_ISDIR(st.st_mode) &&
         (access(claim->owner, F_OK) == 0 || is_empty(claim->unfinished)))) {
        return MOE_OK;
    }
    return moe_fail(MOE_ERR_INPUT,
                    "%s: is not what a run left, expected nothing there: "
                    "choose another folder with -o",
                    claim->unfinished);
}

static moe_status_t lock(moe_report_claim_t *claim)
{
    moe_status_t status = MOE_OK;
    bool again = true;

    for (int i = 0; status == MOE_OK && again && i < TRIES; i++) {
        status = moe_report_make_folder(claim->unfinished);
        if (status == MOE_OK) {
            status = lock_once(claim, &again);
        }
    }
    if (status == MOE_OK && claim->lock < 0) {
        return moe_fail(MOE_ERR_IO, "%s: other runs come and go there",
                        claim->folder);
    }
    return status;
}

/* Whatever lies there is no living run's: the lock is ours. */
static void remove_left_over(const moe_report_claim_t *claim)
{
    DIR *dir = opendir(claim->unfinished);
    const struct dirent *entry;
    struct stat st;
    bool found = fstat(claim->lock, &st) == 0 && st.st_size > 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char *path =
            moe_strdup_printf("%s/%s", claim->unfinished, entry->d_name);

        if (path != NULL && strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, OWNER) != 0) {
            found = true;
            moe_remove_tree(path);
        }
        free(path);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (found) {
        char safe[1100];

        moe_text_escape(claim->folder, safe, sizeof(safe));
        fprintf(stderr,
                "moesim: warning: %s: removed what a run that was killed left "
                "unfinished there\n",
                safe);
    }
}

static moe_status_t sign(const moe_report_claim_t *claim)
{
    char pid[32];
    int n = snprintf(pid, sizeof(pid), "%ld", (long)getpid());

    if (ftruncate(claim->lock, 0) != 0 ||
        pwrite(claim->lock, pid, (size_t)n, 0) != n) {
        return cannot(claim->owner);
    }
    return MOE_OK;
}

static moe_status_t set_names(moe_report_claim_t *claim, const char *folder)
{
    claim->lock = -1;
    claim->made = count_missing(folder);
    claim->folder = strdup(folder);
    claim->unfinished = moe_report_folder_unfinished(folder);
    claim->owner = moe_strdup_printf("%s/" MOE_REPORT_HIDDEN "/" OWNER, folder);
    return claim->folder == NULL || claim->unfinished == NULL ||
                   claim->owner == NULL
               ? moe_fail(MOE_ERR_NOMEM, "no memory for a path")
               : MOE_OK;
}

/* rmdir leaves alone what is not empty. */
static void remove_made(const moe_report_claim_t *claim)
{
    char *above = strdup(claim->folder);

    for (int i = 0; above != NULL && i < claim->made; i++) {
        char *slash = strrchr(above, '/');

        if (rmdir(above) != 0 || slash == NULL) {
            break;
        }
        *slash = '\0';
    }
    free(above);
}

moe_status_t moe_report_claim(const char *folder, moe_report_claim_t **claim_p)
{
    moe_report_claim_t *claim = calloc(1, sizeof(*claim));
    moe_status_t status;

    if (claim == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a folder");
    }
    status = set_names(claim, folder);
    if (status == MOE_OK) {
        status = check_hidden(claim);
    }
    if (status == MOE_OK) {
        status = lock(claim);
    }
    if (status == MOE_OK) {
        remove_left_over(claim);
        status = sign(claim);
        if (status != MOE_OK) {
            moe_report_claim_abandon(claim);
        }
    } else if (status != MOE_ERR_NOMEM) {
        /* empty, on a full disk; another run's is not */
        (void)rmdir(claim->unfinished);
        remove_made(claim);
    }
    if (status != MOE_OK) {
        moe_report_claim_end(claim);
        return status;
    }
    *claim_p = claim;
    return MOE_OK;
}

const char *moe_report_claim_folder(const moe_report_claim_t *claim)
{
    return claim->folder;
}

int moe_report_claim_made(const moe_report_claim_t *claim)
{
    return claim->made;
}

const char *moe_report_claim_unfinished(const moe_report_claim_t *claim)
{
    return claim->unfinished;
}

void moe_report_claim_abandon(const moe_report_claim_t *claim)
{
    if (claim != NULL) {
        moe_remove_tree(claim->unfinished);
        remove_made(claim);
    }
}

void moe_report_claim_abandon_dead(const char *folder, int made)
{
    moe_report_claim_t claim = {.lock = -1};
    bool again;

    if (set_names(&claim, folder) == MOE_OK && access(claim.owner, F_OK) == 0 &&
        lock_once(&claim, &again) == MOE_OK && claim.lock >= 0) {
        claim.made = made;
        moe_report_claim_abandon(&claim);
        (void)close(claim.lock);
    }
    free(claim.folder);
    free(claim.unfinished);
    free(claim.owner);
}

void moe_report_claim_end(moe_report_claim_t *claim)
{
    if (claim == NULL) {
        return;
    }
    if (claim->lock >= 0) {
        (void)close(claim->lock);
    }
    free(claim->folder);
    free(claim->unfinished);
    free(claim->owner);
    free(claim);
}
