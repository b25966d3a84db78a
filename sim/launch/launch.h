/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Is this process a rank, and how does it begin and end?
 */
#ifndef SIM_LAUNCH_LAUNCH_H
#define SIM_LAUNCH_LAUNCH_H

#include "base/runstate.h"
#include "base/status.h"

#include <stdbool.h>

/** True if a launcher started this process: moesim's own, mpirun, srun. */
bool moe_launch_is_rank(void);

/** True if moesim itself watches this rank, and prints what it fails with. */
bool moe_launch_is_watched(void);

/** Own rank as the launcher says; -1 if it does not. */
int moe_launch_rank(void);

/**
 * A rank begins, before MPI does: opens the run state, dies with its parent,
 * marks its end when it is asked to end by a signal.
 * @param[out] state_p  NULL if nobody watches.
 */
moe_status_t moe_launch_begin(moe_runstate_t **state_p);

/** A rank that failed tells the user on stderr, if nobody watches. To be
 * called on the one rank that is to speak, while MPI still holds the others:
 * a launcher may end all as soon as one has ended. */
void moe_launch_say(const moe_runstate_t *state, moe_status_t status);

/**
 * A rank ends: says in the run state how.
 * @return exit status of the process: a launcher passes on the first one.
 */
int moe_launch_end(moe_runstate_t *state, moe_status_t status,
                   moe_status_t cause);

/** Close the run state, which a signal handler marks until then: a rank may be
 * asked to end as long as its process lives. Accepts NULL. */
void moe_launch_close(moe_runstate_t *state);

/**
 * See that files may be as large as the start of MPI makes them (ulimit -f):
 * it says little of use if they may not.
 * @return MOE_OK; MOE_ERR_IO with a message.
 */
moe_status_t moe_launch_check_files(void);

/** Processors that this process may use. */
int moe_launch_cores(void);

#endif
