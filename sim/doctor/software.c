/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What moesim is built on: data files, libraries, MPI, GPUs.
 */
#include "config.h"

#include "sim/doctor/doctor.h"

#include "base/yaml.h"
#include "gpu/gpu.h"
#include "ref/version.h"
#include "ref/mpi/version.h"
#include "ref/mpi/world.h"
#include "sim/data/data.h"
#include "sim/launch/launch.h"
#include "sim/list/list.h"
#include "sim/launch/supervise.h"

#include <jansson.h>
#include <string.h>

static size_t count_names(const char *folder)
{
    moe_names_t names = {0};
    size_t n = 0;

    if (moe_data_list(NULL, folder, &names) == MOE_OK) {
        n = names.n;
        moe_names_fini(&names);
    }
    moe_error_clear();
    return n;
}

void moe_doctor_data(const moe_command_t *command, moe_finding_t *finding)
{
    size_t models = count_names("models/moe");
    size_t machines = count_names("models/machines");
    size_t scenarios = 0;

    (void)command;
    for (size_t i = 0; moe_scenario_folders[i] != NULL; i++) {
        scenarios += count_names(moe_scenario_folders[i]);
    }
    moe_finding_set(
        finding, models > 0 && machines > 0 ? MOE_HEALTH_ok : MOE_HEALTH_fail,
        models > 0 && machines > 0
            ? ""
            : "install moesim's data files (make install), or set "
              "MOESIM_PATH to the folder that has models/",
        "%zu models, %zu machines, %zu scenarios", models, machines, scenarios);
}

void moe_doctor_libraries(const moe_command_t *command, moe_finding_t *finding)
{
    (void)command;
    moe_finding_set(finding, MOE_HEALTH_ok, "",
                    "libyaml %s, jansson %s, MPFR %s, %s", moe_yaml_version(),
                    JANSSON_VERSION, moe_mpfr_version(), moe_mpi_version());
}

/* One of the ranks: everybody tells everybody its number. */
static moe_status_t check_ranks(moe_world_t *world)
{
    int rank = moe_world_rank(world);
    moe_blob_t *all = NULL;
    moe_status_t status;
    int i;

    status = moe_world_share(world, &rank, sizeof(rank), &all);
    for (i = 0; status == MOE_OK && i < moe_world_size(world); ++i) {
        int said = -1;

        if (all[i].size == (int64_t)sizeof(said)) {
            memcpy(&said, all[i].data, sizeof(said));
        }
        if (said != i) {
            status = moe_fail(MOE_ERR_MPI, "rank %d said it was %d", i, said);
        }
    }
    moe_blobs_free(all);
    return status;
}

int moe_cmd_rankcheck(const moe_command_t *command)
{
    moe_runstate_t *state = NULL;
    moe_world_t *world = NULL;
    moe_status_t status;
    int exit_status;

    (void)command;
    status = moe_launch_begin(&state);
    if (status == MOE_OK) {
        status = moe_world_create(state, &world);
    }
    if (status == MOE_OK) {
        status = check_ranks(world);
    }
    moe_launch_say(state, status);
    if (status == MOE_OK) {
        moe_world_free(world);
    }
    exit_status = moe_launch_end(state, status, status);
    moe_launch_close(state);
    return exit_status;
}

void moe_doctor_mpi(const moe_command_t *command, moe_finding_t *finding)
{
    static char name[] = "moesim";
    static char verb[] = "rankcheck";
    static char *const argv[] = {name, verb, NULL};
    const moe_supervise_t what = {.ranks = 2, .argv = argv, .quiet = true};
    int status;

    (void)command;
    if (moe_launch_is_rank()) {
        moe_finding_set(finding, MOE_HEALTH_warning,
                        "run doctor without mpirun to have this tested",
                        "not tested: doctor itself was started as a rank");
        return;
    }
    (void)fflush(stdout);
    status = moe_supervise(&what);
    if (status != 0) {
        moe_finding_set(finding, MOE_HEALTH_fail,
                        "install Open MPI (Debian: apt-get install "
                        "openmpi-bin) and look at what it said above",
                        "2 ranks under mpirun ended with status %d", status);
        return;
    }
    moe_finding_set(finding, MOE_HEALTH_ok, "",
                    "2 ranks under mpirun found each other");
}

void moe_doctor_gpu(const moe_command_t *command, moe_finding_t *finding)
{
    (void)command;
    moe_finding_set(finding, MOE_HEALTH_ok, "", "%s",
                    moe_gpu_built() ? "built in" : "not built in");
}
