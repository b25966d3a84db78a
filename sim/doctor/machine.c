/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: processor, memory, disk.
 */
#include "config.h"

#include "sim/doctor/doctor.h"

#include "reports/units.h"
#include "sim/launch/launch.h"
#include "sim/launch/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define GIB (INT64_C(1) << 30)
#define MIB (INT64_C(1) << 20)

static void cpu_name(char *out, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    (void)snprintf(out, size, "unknown processor");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            (void)snprintf(out, size, "%s", colon + 1 + (colon[1] == ' '));
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* The features that kernels of the reference choose by. */
static const char *cpu_features(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni")) {
        return "avx2, avx512vnni";
    }
    if (__builtin_cpu_supports("avx2")) {
        return "avx2";
    }
#endif
    return "";
}

void moe_doctor_cpu(const moe_command_t *command, moe_finding_t *finding)
{
    const char *features = cpu_features();
    char name[200];

    (void)command;
    cpu_name(name, sizeof(name));
    if (*features == '\0') {
        moe_finding_set(finding, MOE_HEALTH_warning,
                        "runs use the plain C paths, which are slower",
                        "%s, %d cores, neither avx2 nor avx512vnni", name,
                        moe_launch_cores());
        return;
    }
    moe_finding_set(finding, MOE_HEALTH_ok, "", "%s, %d cores, %s", name,
                    moe_launch_cores(), features);
}

void moe_doctor_memory(const moe_command_t *command, moe_finding_t *finding)
{
    int64_t bytes = moe_memory_free();
    char text[MOE_UNIT_SIZE];

    (void)command;
    if (bytes < 0) {
        moe_finding_set(finding, MOE_HEALTH_warning,
                        "give --memory-limit to be warned in time",
                        "the system does not say how much is free");
    } else if (bytes < 4 * GIB) {
        moe_finding_set(finding, MOE_HEALTH_warning,
                        "a full-size layer takes up to 4 GiB: close programs, "
                        "or run smaller scenarios",
                        "%s free", moe_unit_bytes(bytes, text));
    } else {
        moe_finding_set(finding, MOE_HEALTH_ok, "", "%s free",
                        moe_unit_bytes(bytes, text));
    }
}

static void look_at_disk(const char *folder, int64_t needed, const char *advice,
                         moe_finding_t *finding)
{
    struct statvfs disk;
    char text[MOE_UNIT_SIZE];
    int64_t bytes;

    if (statvfs(folder, &disk) != 0 || access(folder, W_OK) != 0) {
        moe_finding_set(finding, MOE_HEALTH_fail, advice, "%s: %s", folder,
                        strerror(errno));
        return;
    }
    bytes = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
    moe_finding_set(finding,
                    bytes < needed ? MOE_HEALTH_warning : MOE_HEALTH_ok,
                    bytes < needed ? advice : "", "%s free in %s",
                    moe_unit_bytes(bytes, text), folder);
}

void moe_doctor_disk(const moe_command_t *command, moe_finding_t *finding)
{
    const char *folder = access("moesim-out", F_OK) == 0 ? "moesim-out" : ".";

    (void)command;
    look_at_disk(folder, 256 * MIB,
                 "reports are written below the current folder: make room, "
                 "or give run another one with -o",
                 finding);
}

void moe_doctor_shared_memory(const moe_command_t *command,
                              moe_finding_t *finding)
{
    (void)command;
    if (moe_launch_check_files() != MOE_OK) {
        moe_finding_set(finding, MOE_HEALTH_fail,
                        "MPI cannot start without it: ulimit -f unlimited",
                        "%s", moe_error_text());
        moe_error_clear();
        return;
    }
    look_at_disk("/dev/shm", 64 * MIB,
                 "MPI exchanges through it: in a container give it more "
                 "(docker run --shm-size=1g)",
                 finding);
}
