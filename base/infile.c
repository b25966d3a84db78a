/* SPDX-License-Identifier: Apache-2.0 */
#include "base/infile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Errors that another path would cure. */
static bool is_path_error(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES ||
           error == ELOOP || error == ENAMETOOLONG || error == ENXIO ||
           error == EISDIR || error == EINVAL || error == ENODEV;
}

/* What a file is that is not a regular one. */
static const char *kind_text(mode_t mode)
{
    if (S_ISDIR(mode)) {
        return "is a folder, expected a file";
    }
    if (S_ISFIFO(mode)) {
        return "is a pipe, expected a regular file";
    }
    if (S_ISSOCK(mode)) {
        return "is a socket, expected a regular file";
    }
    return "is a device, expected a regular file";
}

int moe_infile_open(const char *path, int64_t *size_p, const char **why_p,
                    bool *user_p)
{
    struct stat st;
    int fd;

    /* the kind is looked at before the opening, which itself may act on a
     * device, and after it, when the path can no longer change its meaning */
    if (stat(path, &st) != 0) {
        goto err_errno;
    }
    if (!S_ISREG(st.st_mode)) {
        goto err_kind;
    }
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        goto err_errno;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        goto err_kind;
    }
    *size_p = (int64_t)st.st_size;
    return fd;

err_errno:
    *why_p = strerror(errno);
    *user_p = is_path_error(errno);
    return -1;
err_kind:
    *why_p = kind_text(st.st_mode);
    *user_p = true;
    return -1;
}

int64_t moe_infile_read(int fd, void *out, size_t size, int64_t offset)
{
    const size_t piece_max = (size_t)1 << 30; /* read() may take no more */
    char *to = out;
    size_t done = 0;

    while (done < size) {
        size_t piece = size - done < piece_max ? size - done : piece_max;
        ssize_t n = pread(fd, to + done, piece, (off_t)offset + (off_t)done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (int64_t)done;
}

bool moe_is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}
