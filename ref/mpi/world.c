/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/mpi/comm.h"

#include <stdlib.h>
#include <string.h>

static moe_status_t start_mpi(void)
{
    int provided = 0;
    int started = 0;
    moe_status_t status = MOE_MPI(MPI_Initialized(&started));

    if (status == MOE_OK && !started) {
        status = MOE_MPI(
            MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided));
    }
    return status;
}

static moe_status_t duplicate(MPI_Comm *comm_p)
{
    moe_status_t status = MOE_MPI(MPI_Comm_dup(MPI_COMM_WORLD, comm_p));

    if (status == MOE_OK) {
        status = MOE_MPI(MPI_Comm_set_errhandler(*comm_p, MPI_ERRORS_RETURN));
    }
    return status;
}

/*
 * Open MPI's own choice for a small all-gather-v is a gather and a broadcast,
 * collectives inside a collective, which an outside witness of the bytes
 * (pml_monitoring) counts too. A ring moves what the call says. What the
 * user set stays.
 */
static void choose_algorithms(void)
{
    (void)setenv("OMPI_MCA_coll_tuned_use_dynamic_rules", "1", 0);
    (void)setenv("OMPI_MCA_coll_tuned_allgatherv_algorithm", "3", 0);
    (void)setenv("OMPI_MCA_coll_tuned_allgather_algorithm", "4", 0);
}

static moe_status_t join(moe_world_t *world)
{
    moe_status_t status = start_mpi();

    if (status == MOE_OK) {
        status =
            MOE_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    }
    if (status == MOE_OK) {
        status = MOE_MPI(MPI_Comm_rank(MPI_COMM_WORLD, &world->rank));
    }
    if (status == MOE_OK) {
        status = MOE_MPI(MPI_Comm_size(MPI_COMM_WORLD, &world->size));
    }
    if (status == MOE_OK) {
        status = duplicate(&world->world);
    }
    return status == MOE_OK ? duplicate(&world->shadow) : status;
}

moe_status_t moe_world_create(moe_runstate_t *state, moe_world_t **world_p)
{
    moe_world_t *world = calloc(1, sizeof(*world));
    moe_status_t status;

    if (world == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for MPI");
    }
    world->state = state;
    world->world = world->shadow = MPI_COMM_NULL;
    for (int g = 0; g < MOE_GROUP_COUNT; g++) {
        world->group[g] = MPI_COMM_NULL;
    }
    moe_runstate_stage(state, "the start of MPI");
    choose_algorithms();
    moe_runstate_wait(state, MOE_PLACE_MPI_STARTS, 0, "the start of MPI");
    status = join(world);
    moe_runstate_go(state);
    if (status != MOE_OK) {
        free(world);
        return status;
    }
    *world_p = world;
    return MOE_OK;
}

static void free_comm(MPI_Comm *comm)
{
    if (*comm != MPI_COMM_NULL) {
        (void)MPI_Comm_free(comm);
        *comm = MPI_COMM_NULL;
    }
}

static void free_groups(moe_world_t *world)
{
    while (world->groups != NULL) {
        moe_groups_t *next = world->groups->next;

        for (int g = 0; g < MOE_GROUP_COUNT; g++) {
            free_comm(&world->groups->comm[g]);
        }
        free(world->groups);
        world->groups = next;
    }
}

void moe_world_free(moe_world_t *world)
{
    if (world == NULL) {
        return;
    }
    moe_runstate_wait(world->state, MOE_PLACE_MPI_ENDS, 0, "the end of MPI");
    free_groups(world);
    free_comm(&world->world);
    free_comm(&world->shadow);
    (void)MPI_Finalize();
    moe_runstate_go(world->state);
    free(world);
}

_Noreturn void moe_world_abort(moe_world_t *world, int exit_status)
{
    (void)world;
    (void)MPI_Abort(MPI_COMM_WORLD, exit_status);
    _Exit(exit_status);
}

int moe_world_rank(const moe_world_t *world)
{
    return world->rank;
}

int moe_world_size(const moe_world_t *world)
{
    return world->size;
}

moe_runstate_t *moe_world_state(const moe_world_t *world)
{
    return world->state;
}

static moe_status_t split(moe_world_t *world, const moe_layout_t *layout,
                          moe_group_t group, MPI_Comm *comm)
{
    int first = moe_layout_group_member(layout, group, world->rank, 0);
    moe_status_t status =
        MOE_MPI(MPI_Comm_split(world->world, first, world->rank, comm));

    if (status == MOE_OK) {
        status = MOE_MPI(MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN));
    }
    return status;
}

static moe_status_t make_groups(moe_world_t *world, const moe_layout_t *layout)
{
    moe_groups_t *groups = calloc(1, sizeof(*groups));
    moe_status_t status = MOE_OK;

    if (groups == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for groups");
    }
    groups->layout = *layout;
    for (int g = 0; g < MOE_GROUP_COUNT; g++) {
        groups->comm[g] = MPI_COMM_NULL;
    }
    groups->next = world->groups;
    world->groups = groups;
    moe_runstate_wait(world->state, ++world->places, 0, "making groups");
    for (int g = 0; status == MOE_OK && g < MOE_GROUP_COUNT; g++) {
        status = split(world, layout, (moe_group_t)g, &groups->comm[g]);
    }
    moe_runstate_go(world->state);
    return status;
}

static const moe_groups_t *find_groups(const moe_world_t *world,
                                       const moe_layout_t *layout)
{
    const moe_groups_t *groups = world->groups;

    while (groups != NULL && !moe_layout_equal(&groups->layout, layout)) {
        groups = groups->next;
    }
    return groups;
}

moe_status_t moe_world_set_layout(moe_world_t *world,
                                  const moe_layout_t *layout)
{
    int ranks = moe_layout_world(layout);
    const moe_groups_t *groups = find_groups(world, layout);
    moe_status_t status = MOE_OK;

    if (ranks != world->size) {
        return moe_fail(MOE_ERR_INPUT,
                        "the layout has %d ranks, the launcher started %d: "
                        "--ranks %d would re-lay the scenario",
                        ranks, world->size, world->size);
    }
    if (groups == NULL) {
        status = make_groups(world, layout);
        groups = world->groups;
    }
    if (status == MOE_OK) {
        memcpy(world->group, groups->comm, sizeof(world->group));
    }
    return status;
}
