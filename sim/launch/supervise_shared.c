/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that ranks share through files: in a folder of the run's own, which
 * goes with it even if ranks were killed; and with the next run if the
 * supervisor was. */
#include "config.h"

#include "sim/launch/supervise_parts.h"

#include "base/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACE "/dev/shm"
#define NAME  "moesim-"

static char folder[64];

/* True for a folder of a process that is no more. */
static bool is_stale(const char *name)
{
    char *end;
    long pid;

    if (strncmp(name, NAME, strlen(NAME)) != 0) {
        return false;
    }
    pid = strtol(name + strlen(NAME), &end, 10);
    return pid > 0 && *end == '-' && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void remove_stale(void)
{
    DIR *dir = opendir(PLACE);
    const struct dirent *entry;
    char path[512];

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (is_stale(entry->d_name)) {
            (void)snprintf(path, sizeof(path), PLACE "/%s", entry->d_name);
            moe_remove_tree(path);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

const char *moe_supervise_shared(void)
{
    remove_stale();
    (void)snprintf(folder, sizeof(folder), PLACE "/" NAME "%ld-XXXXXX",
                   (long)getpid());
    if (mkdtemp(folder) == NULL) {
        folder[0] = '\0';
    }
    return folder;
}

void moe_supervise_forget(void)
{
    if (folder[0] != '\0') {
        moe_remove_tree(folder);
        folder[0] = '\0';
    }
}
