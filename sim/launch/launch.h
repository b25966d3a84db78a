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

/**
 * A rank ends: says in the run state how, or, if nobody watches and this
 * rank is the one to speak, on stderr.
 * @param[in] speaks  See moe_agreement_speaks().
 * @return exit status of the process.
 */
int moe_launch_end(moe_runstate_t *state, moe_status_t status, bool speaks);

/** Close the run state, which a signal handler marks until then: a rank may be
 * asked to end as long as its process lives. Accepts NULL. */
void moe_launch_close(moe_runstate_t *state);

/** Processors that this process may use. */
int moe_launch_cores(void);

#endif
