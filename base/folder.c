/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Making and removing folders.
 */
#include "base/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 100 /* of a tree to be removed; ours have two levels */

/* Make one folder; it may be there already. 0, or an errno. */
static int make_one(const char *path)
{
    struct stat st;
    int error;

    if (mkdir(path, 0777) == 0) {
        return 0;
    }
    /* a read-only parent may say so before it says that the folder exists */
    error = errno;
    if (stat(path, &st) != 0) {
        return error;
    }
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

moe_status_t moe_make_folder(const char *path)
{
    char *part = strdup(path);
    int error = 0;

    if (part == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "%s: out of memory", path);
    }
    for (size_t i = 1; part[0] != '\0' && part[i] != '\0' && error == 0; i++) {
        if (part[i] == '/' && part[i - 1] != '/') {
            part[i] = '\0';
            error = make_one(part);
            part[i] = '/';
        }
    }
    if (error == 0) {
        error = make_one(part);
    }
    free(part);
    if (error != 0) {
        return moe_fail(MOE_ERR_IO, "%s: %s", path, strerror(error));
    }
    return MOE_OK;
}

/* Remove what has this name in a folder. Opened folders, not paths, so that
 * nobody can slip in a link while this runs. */
static void remove_at(int parent, const char *name, int depth)
{
    const struct dirent *entry;
    DIR *folder;
    int fd;

    if (unlinkat(parent, name, 0) == 0 || depth > DEPTH_MAX) {
        return;
    }
    fd = openat(parent, name,
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return;
    }
    folder = fdopendir(fd);
    if (folder == NULL) {
        (void)close(fd);
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            remove_at(fd, entry->d_name, depth + 1);
        }
    }
    (void)closedir(folder);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void moe_remove_tree(const char *path)
{
    remove_at(AT_FDCWD, path, 0);
}
