/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may still be used: the machine's available memory, or what a control
 * group leaves, whichever is least. Each group from the process's own to the
 * root may have a limit, in version 2 or 1. Pages of files that were not used
 * of late count as used there, but go when somebody needs memory.
 */
#include "config.h"

#include "sim/launch/memory.h"

#include "base/text.h"
#include "ref/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* A number of a file of the kernel; negative if it has none. */
static int64_t read_number(const char *path, const char *key, int64_t unit)
{
    FILE *file = fopen(path, "r");
    int64_t value = -1;
    char line[256];

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        size_t n = strlen(key);
        char *end;
        long long number;

        if (strncmp(line, key, n) != 0) {
            continue;
        }
        number = strtoll(line + n, &end, 10);
        if (end != line + n) {
            value = number * unit;
        }
        break;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return value;
}

/* Where a version of the groups has what. */
typedef struct {
    const char *folder; /* under root */
    const char *limit;
    const char *used;
    const char *cache; /* key in memory.stat */
} version_t;

static const version_t version_2 = {"/sys/fs/cgroup", "memory.max",
                                    "memory.current", "inactive_file "};
static const version_t version_1 = {
    "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
    "total_inactive_file "};

static int64_t group_number(const char *root, const version_t *v,
                            const char *group, const char *file,
                            const char *key)
{
    char *path = moe_strdup_printf("%s%s%s/%s", root, v->folder, group, file);
    int64_t value = path != NULL ? read_number(path, key, 1) : -1;

    free(path);
    return value;
}

/* What one group leaves; negative without a limit. */
static int64_t left_by(const char *root, const version_t *v, const char *group)
{
    int64_t limit = group_number(root, v, group, v->limit, "");
    int64_t used = group_number(root, v, group, v->used, "");
    int64_t cache = group_number(root, v, group, "memory.stat", v->cache);

    if (limit < 0 || used < 0) {
        return -1;
    }
    used -= cache > 0 && cache < used ? cache : 0;
    return limit > used ? limit - used : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* A group and those above it. In a container its own path is not seen from
 * inside, and the root is the container's. */
static int64_t left_by_all(const char *root, const version_t *v, char *group)
{
    int64_t bytes = -1;
    char *slash;

    while ((slash = strrchr(group, '/')) != NULL) {
        if (slash[1] != '\0') {
            bytes = least(bytes, left_by(root, v, group));
        }
        *slash = '\0';
    }
    return least(bytes, left_by(root, v, ""));
}

/* A line of /proc/self/cgroup, NUMBER:CONTROLLERS:PATH; without controllers
 * it is version 2. */
static int64_t left_by_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

    if (group == NULL) {
        return -1;
    }
    group[strcspn(group, "\n")] = '\0';
    *group++ = '\0';
    if (controllers[1] == '\0') {
        return left_by_all(root, &version_2, group);
    }
    for (char *at = controllers; at != NULL; at = strchr(at + 1, ',')) {
        if (strcmp(at + 1, "memory") == 0 ||
            strncmp(at + 1, "memory,", 7) == 0) {
            return left_by_all(root, &version_1, group);
        }
    }
    return -1;
}

static int64_t left_by_groups(const char *root)
{
    char *path = moe_strdup_printf("%s/proc/self/cgroup", root);
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    int64_t bytes = -1;
    char line[4096 + 256];

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        bytes = least(bytes, left_by_line(root, line));
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    free(path);
    return bytes;
}

int64_t moe_memory_free_under(const char *root)
{
    char *path = moe_strdup_printf("%s/proc/meminfo", root);
    int64_t bytes =
        path != NULL ? read_number(path, "MemAvailable:", 1024) : -1;

    free(path);
    return least(bytes, left_by_groups(root));
}

int64_t moe_memory_free(void)
{
    return moe_memory_free_under("");
}

moe_status_t moe_memory_allows_blas(void)
{
    const rlim_t need =
        ((rlim_t)moe_blas_threads() * 128 + 32) * ((rlim_t)1 << 20);
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur >= need) {
        return MOE_OK;
    }
    return moe_fail(MOE_ERR_NOMEM,
                    "an address space of %llu KiB is allowed, BLAS needs %llu: "
                    "ulimit -v, or fewer threads (OPENBLAS_NUM_THREADS)",
                    (unsigned long long)limit.rlim_cur >> 10,
                    (unsigned long long)need >> 10);
}
