/* SPDX-License-Identifier: Apache-2.0 */
/* A program whose ranks misbehave as they are told, for check_supervise.
 * Usage: rank_probe MODE PIDFILE; each rank adds its process id to PIDFILE. */
#include "config.h"

#include "ref/mpi/agreement.h"
#include "sim/launch/launch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    moe_runstate_t *state;
    moe_world_t *world;
    moe_agreement_t *agreement;
    int rank;
} probe_t;

static void note_pid(const char *path)
{
    FILE *file = fopen(path, "a");

    if (file != NULL) {
        fprintf(file, "%ld\n", (long)getpid());
        (void)fclose(file);
    }
}

static void compute(double seconds)
{
    clock_t end = clock() + (clock_t)(seconds * CLOCKS_PER_SEC);

    while (clock() < end) {
    }
}

/* In the start of MPI there is nobody yet to ask which rank this is. */
static bool stops_early(const char *mode)
{
    return strcmp(mode, "stop") == 0 && moe_launch_rank() == 1;
}

/* One thing that goes wrong, or not, on rank 1. */
static moe_status_t misbehave(probe_t *p, const char *mode)
{
    bool odd = p->rank == 1;

    if (strcmp(mode, "kill") == 0 && odd) {
        (void)raise(SIGKILL);
    } else if (strcmp(mode, "segv") == 0 && odd) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    } else if (strcmp(mode, "exit") == 0 && odd) {
        _exit(5);
    } else if (strcmp(mode, "fail") == 0 && odd) {
        return moe_fail(MOE_ERR_NOMEM, "no room at all");
    } else if (strcmp(mode, "input") == 0) {
        return moe_fail(MOE_ERR_INPUT, "file:1:2: key: no such thing");
    } else if (strcmp(mode, "fail-alone") == 0 && !odd) {
        compute(60.0);
    } else if (strcmp(mode, "fail-alone") == 0) {
        return moe_fail(MOE_ERR_IO, "a full disk");
    } else if (strcmp(mode, "slow") == 0 && odd) {
        compute(8.0);
    } else if (strcmp(mode, "long") == 0) {
        compute(60.0);
    } else if (strcmp(mode, "hang") == 0 && odd) {
        return moe_world_recv(p->world, 0, &p->rank, 4);
    } else if (strcmp(mode, "noise") == 0) {
        printf("to stdout\n");
        fprintf(stderr, "to stderr\n");
    }
    return MOE_OK;
}

static moe_status_t work(probe_t *p, const char *mode)
{
    moe_status_t status = moe_world_create(p->state, &p->world);

    if (status != MOE_OK) {
        return status;
    }
    p->rank = moe_world_rank(p->world);
    status = moe_agreement_create(p->world, true, &p->agreement);
    if (status == MOE_OK) {
        moe_runstate_stage(p->state, "stage %s", "probe");
        status = misbehave(p, mode);
        status = moe_agreement_finish(p->agreement, status, "the end");
    }
    return status;
}

int main(int argc, char **argv)
{
    probe_t p = {0};
    moe_status_t status;
    int exit_status;

    if (argc != 3) {
        return 2;
    }
    note_pid(argv[2]);
    status = moe_launch_begin(&p.state);
    if (stops_early(argv[1])) {
        moe_runstate_stage(p.state, "stage stop");
        (void)raise(SIGSTOP);
    }
    if (status == MOE_OK) {
        status = work(&p, argv[1]);
    }
    if (p.agreement == NULL || moe_agreement_speaks(p.agreement)) {
        moe_launch_say(p.state, status);
    }
    exit_status = moe_launch_end(p.state, status, status);
    if (p.agreement != NULL && !moe_agreement_complete(p.agreement)) {
        moe_world_abort(p.world, exit_status);
    }
    moe_agreement_free(p.agreement);
    moe_world_free(p.world);
    moe_launch_close(p.state);
    return exit_status;
}
