/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int64_t moe_memory_free(void)
{
    int64_t bytes = read_number("/proc/meminfo", "MemAvailable:", 1024);
    int64_t limit = read_number("/sys/fs/cgroup/memory.max", "", 1);
    int64_t used = read_number("/sys/fs/cgroup/memory.current", "", 1);

    if (limit >= 0 && used >= 0 && limit - used < bytes) {
        return limit - used;
    }
    return bytes;
}
