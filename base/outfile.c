/* SPDX-License-Identifier: Apache-2.0 */
#include "base/outfile.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNFINISHED_MAX 64 /* temporaries open at a time */

struct moe_outfile {
    char *path;      /* links followed */
    char *temporary; /* NULL: path is a device or pipe, written in place */
    FILE *stream;
    int slot; /* in unfinished[]; -1: none */
};

/* What moe_outfile_abort_all() unlinks. A slot's text is written before it is
 * in use, and is in the table itself, so that a signal at any moment finds
 * either a whole path or none. */
static struct {
    atomic_int state; /* one of the SLOT_ values */
    char path[PATH_MAX];
} unfinished[UNFINISHED_MAX];

enum {
    SLOT_FREE,
    SLOT_TAKEN,
    SLOT_USED
};

static int slot_take(const char *path)
{
    for (int i = 0; i < UNFINISHED_MAX; i++) {
        int state = SLOT_FREE;

        if (atomic_compare_exchange_strong(&unfinished[i].state, &state,
                                           SLOT_TAKEN)) {
            (void)strcpy(unfinished[i].path, path);
            atomic_store(&unfinished[i].state, SLOT_USED);
            return i;
        }
    }
    return -1;
}

static void slot_give(int slot)
{
    if (slot >= 0) {
        atomic_store(&unfinished[slot].state, SLOT_FREE);
    }
}

void moe_outfile_abort_all(void)
{
    const int error = errno;

    for (int i = 0; i < UNFINISHED_MAX; i++) {
        if (atomic_load(&unfinished[i].state) == SLOT_USED) {
            (void)unlink(unfinished[i].path);
        }
    }
    errno = error;
}

static void file_free(moe_outfile_t *file)
{
    slot_give(file->slot);
    free(file->path);
    free(file->temporary);
    free(file);
}

/* Whether a path leads to something that must not be replaced by a file:
 * /dev/null, a pipe. */
static bool is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* An object for path, nothing opened; NULL with *status_p if it cannot be. */
static moe_outfile_t *file_new(const char *path, moe_status_t *status_p)
{
    static atomic_uint serial;
    moe_outfile_t *file = calloc(1, sizeof(*file));

    if (file == NULL) {
        *status_p = moe_fail(MOE_ERR_NOMEM, "%s: out of memory", path);
        return NULL;
    }
    file->slot = -1;
    /* a link stays, and the file that it leads to is replaced */
    file->path = realpath(path, NULL);
    if (file->path == NULL) {
        file->path = strdup(path);
    }
    if (file->path != NULL && !is_special(file->path)) {
        file->temporary =
            moe_strdup_printf("%s.tmp-%ld-%u", file->path, (long)getpid(),
                              atomic_fetch_add(&serial, 1));
    }
    if (file->path == NULL ||
        (file->temporary == NULL && !is_special(file->path))) {
        *status_p = moe_fail(MOE_ERR_NOMEM, "%s: out of memory", path);
    } else if (file->temporary != NULL && strlen(file->temporary) >= PATH_MAX) {
        *status_p =
            moe_fail(MOE_ERR_IO, "%s: %s", path, strerror(ENAMETOOLONG));
    } else {
        return file;
    }
    file_free(file);
    return NULL;
}

/* Open what is written to: never through what somebody else put beside the
 * path, and never waiting for a pipe's reader. */
static int open_target(const moe_outfile_t *file)
{
    int fd;

    if (file->temporary != NULL) {
        return open(file->temporary,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    }
    fd = open(file->path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && fcntl(fd, F_SETFL, 0) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void remove_temporary(const moe_outfile_t *file)
{
    if (file->temporary != NULL) {
        (void)unlink(file->temporary);
    }
}

moe_status_t moe_outfile_open(const char *path, moe_outfile_t **file_p,
                              FILE **stream_p)
{
    moe_status_t status = MOE_OK;
    moe_outfile_t *file = file_new(path, &status);
    int fd;

    if (file == NULL) {
        return status;
    }
    if (file->temporary != NULL) {
        file->slot = slot_take(file->temporary);
        if (file->slot < 0) {
            status = moe_fail(MOE_ERR_IO, "%s: more than %d files at once",
                              path, UNFINISHED_MAX);
            goto err_free;
        }
    }
    fd = open_target(file);
    if (fd < 0) {
        status = moe_fail(MOE_ERR_IO, "%s: %s", path, strerror(errno));
        goto err_free;
    }
    file->stream = fdopen(fd, "w");
    if (file->stream == NULL) {
        status = moe_fail(MOE_ERR_IO, "%s: %s", path, strerror(errno));
        (void)close(fd);
        remove_temporary(file);
        goto err_free;
    }
    *file_p = file;
    *stream_p = file->stream;
    return MOE_OK;

err_free:
    file_free(file);
    return status;
}

/* A file system without fsync() says EINVAL; that is no lost data. */
static bool sync_file(int fd)
{
    int rc;

    do {
        rc = fsync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 || errno == EINVAL || errno == ENOTSUP;
}

/* The first error of a stream's writes, 0 if there is none; closes it. A
 * write that failed earlier has lost its errno: writing on finds it again. */
static int finish(FILE *stream)
{
    int error = 0;

    errno = 0;
    if (ferror(stream) != 0) {
        clearerr(stream);
        error = fputc('\n', stream) == EOF || fflush(stream) != 0 ? errno : 0;
        error = error != 0 ? error : EIO;
    } else if (fflush(stream) != 0 || !sync_file(fileno(stream))) {
        error = errno != 0 ? errno : EIO;
    }
    if (fclose(stream) != 0 && error == 0) {
        error = errno != 0 ? errno : EIO;
    }
    return error;
}

const char *moe_outfile_path(const moe_outfile_t *file)
{
    return file->path;
}

moe_status_t moe_outfile_commit(moe_outfile_t *file)
{
    moe_status_t status = MOE_OK;
    int error = finish(file->stream);

    if (error == 0 && file->temporary != NULL &&
        rename(file->temporary, file->path) != 0) {
        error = errno;
    }
    if (error != 0) {
        remove_temporary(file);
        status = moe_fail(MOE_ERR_IO, "%s: %s", file->path, strerror(error));
    }
    file_free(file);
    return status;
}

void moe_outfile_abort(moe_outfile_t *file)
{
    if (file == NULL) {
        return;
    }
    (void)fclose(file->stream);
    remove_temporary(file);
    file_free(file);
}

bool moe_is_same_file(const char *a, const char *b)
{
    struct stat one;
    struct stat other;

    return stat(a, &one) == 0 && stat(b, &other) == 0 && S_ISREG(one.st_mode) &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}
