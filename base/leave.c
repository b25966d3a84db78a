/* SPDX-License-Identifier: Apache-2.0 */
#include "base/leave.h"

#include "base/outfile.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    PIECE = 4096
};

/* Whole whenever it is in use, so that a signal at any moment finds it so. */
static char folder[PATH_MAX];
static atomic_bool has_folder;

void moe_leave_folder(const char *path)
{
    atomic_store(&has_folder, false);
    if (path != NULL && strlen(path) < sizeof(folder)) {
        (void)strcpy(folder, path);
        atomic_store(&has_folder, true);
    }
}

/* Files of a folder, and it: by calls that a signal handler may make, which
 * readdir() is none of. */
static void remove_folder(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _Alignas(struct dirent64) char entries[PIECE];
    long n = fd < 0 ? 0 : syscall(SYS_getdents64, fd, entries, sizeof(entries));

    while (n > 0) {
        for (long at = 0; at < n;) {
            const struct dirent64 *e = (const void *)(entries + at);

            (void)unlinkat(fd, e->d_name, 0); /* of . and .. refused */
            at += e->d_reclen;
        }
        n = syscall(SYS_getdents64, fd, entries, sizeof(entries));
    }
    if (fd >= 0) {
        (void)close(fd);
        (void)rmdir(path);
    }
}

static void leave(int number)
{
    moe_outfile_abort_all();
    if (atomic_load(&has_folder)) {
        remove_folder(folder);
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

void moe_leave_clean(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (signal(numbers[i], leave) == SIG_IGN) {
            (void)signal(numbers[i], SIG_IGN);
        }
    }
}
