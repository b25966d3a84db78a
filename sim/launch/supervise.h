/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Starts the ranks of a run under mpirun and watches them.
 *
 * The supervisor alone prints: progress on a terminal, and one message if
 * the run fails. A rank that dies, fails or hangs ends all of them within 10
 * seconds, and no process is left behind. Slow computing is no fault.
 */
#ifndef SIM_LAUNCH_SUPERVISE_H
#define SIM_LAUNCH_SUPERVISE_H

#include <stdbool.h>

typedef struct {
    int ranks;
    const char *program;     /* NULL: this program's own file */
    char *const *argv;       /* ended by NULL; argv[0] is the name */
    const char *folder;      /* of the run state; NULL: $TMPDIR or /tmp */
    bool quiet;              /* no progress */
    bool agreed;             /* ranks agree on each call before they enter it:
                              * all of them in one call are slow, not hung */
    void (*cleanup)(void *); /* after all ranks have ended; may be NULL */
    void *cleanup_self;
} moe_supervise_t;

/**
 * Run and wait.
 *
 * What mpirun and the ranks print is shown only if the run fails without a
 * better message: stdout is the supervisor's alone.
 *
 * @return exit status: 0; 1 a check failed or ranks disagree; 2 the input is
 *         wrong; 3 the environment is (a rank died, memory, MPI,
 *         interrupted). What failed was printed on stderr.
 */
int moe_supervise(const moe_supervise_t *what);

/** Threads of BLAS that each rank gets. */
int moe_supervise_threads(int ranks);

#endif
