/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/launch/launch.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Of this process, for its signal handler. */
static _Atomic(moe_runstate_t *) watched_state;
static atomic_bool ends; /* a handler has begun: it does not return */

static int number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long n;

    if (text == NULL || *text == '\0') {
        return -1;
    }
    n = strtol(text, &end, 10);
    return *end == '\0' && n >= 0 && n < (1 << 24) ? (int)n : -1;
}

/* The first of some variables that is a number. */
static int first_number(const char *const *names)
{
    int n = -1;

    for (int i = 0; names[i] != NULL && n < 0; i++) {
        n = number_of(names[i]);
    }
    return n;
}

/* A Slurm step of one task is a user's shell, too; srun of more is not. */
static bool is_slurm_step(void)
{
    return getenv("SLURM_STEP_ID") != NULL &&
           number_of("SLURM_STEP_NUM_TASKS") > 1;
}

int moe_launch_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK",
                                        "PMIX_RANK", NULL};
    int n = first_number(names);

    return n < 0 && is_slurm_step() ? number_of("SLURM_PROCID") : n;
}

bool moe_launch_is_rank(void)
{
    return moe_launch_rank() >= 0;
}

bool moe_launch_is_watched(void)
{
    return getenv(MOE_RUNSTATE_ENV) != NULL && moe_launch_is_rank();
}

static void end_by_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    atomic_store(&ends, true);
    moe_runstate_ended(atomic_load(&watched_state), number,
                       info->si_pid == getppid());
    _exit(128 + number);
}

static void mark_ends(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = end_by_signal;
    action.sa_flags = SA_SIGINFO;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
}

moe_status_t moe_launch_begin(moe_runstate_t **state_p)
{
    moe_status_t status;

    *state_p = NULL;
    if (!moe_launch_is_watched()) {
        return MOE_OK;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    status =
        moe_runstate_open(getenv(MOE_RUNSTATE_ENV), moe_launch_rank(), state_p);
    if (status == MOE_OK) {
        atomic_store(&watched_state, *state_p);
        mark_ends();
    }
    return status;
}

/* With the rank, unless the text names ranks or is what all would say. */
void moe_launch_say(const moe_runstate_t *state, moe_status_t status)
{
    const char *text = moe_error_text();

    if (state != NULL || status == MOE_OK) {
        return;
    }
    if (moe_status_exit(status) == 2 || strncmp(text, "rank", 4) == 0) {
        fprintf(stderr, "moesim: %s\n", text);
    } else {
        fprintf(stderr, "moesim: rank %d: %s\n", moe_launch_rank(), text);
    }
}

int moe_launch_end(moe_runstate_t *state, moe_status_t status,
                   moe_status_t cause)
{
    const int exit_status = moe_status_exit(cause);

    if (status != MOE_OK && status != MOE_ERR_PEER) {
        moe_runstate_fail(state, status, moe_error_text());
    }
    moe_runstate_done(state, exit_status);
    return exit_status;
}

void moe_launch_close(moe_runstate_t *state)
{
    atomic_store(&watched_state, NULL);
    while (atomic_load(&ends)) {
        (void)pause(); /* another thread's handler may have the state */
    }
    moe_runstate_close(state);
}

/* Open MPI 4.1: the memory of a rank that others write to is a file of 4 MiB
 * and a little more; PMIx's has 4 MiB. */
#define MPI_FILE_BYTES ((4 << 20) + 1024)

moe_status_t moe_launch_check_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < MPI_FILE_BYTES) {
        return moe_fail(MOE_ERR_IO,
                        "files may have %llu bytes here, and ranks share "
                        "memory through files of %d: allow larger ones "
                        "(ulimit -f)",
                        (unsigned long long)limit.rlim_cur, MPI_FILE_BYTES);
    }
    return MOE_OK;
}

int moe_launch_cores(void)
{
    cpu_set_t set;
    long n = 0;

    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        n = CPU_COUNT(&set);
    }
    if (n < 1) {
        n = sysconf(_SC_NPROCESSORS_ONLN);
    }
    return n < 1 ? 1 : (int)n;
}
