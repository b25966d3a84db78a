/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A small process beside rank 0 of a launcher that is not ours.
 *
 * Such a launcher gives its ranks no time when it ends them: what rank 0 has
 * begun in the report's folder is removed by this process, once rank 0 is
 * gone, however it went.
 */
#ifndef SIM_RUN_JANITOR_H
#define SIM_RUN_JANITOR_H

#include "sim/report/claim.h"

typedef struct moe_janitor moe_janitor_t;

/** Start it: before MPI, which may not be forked. It ends with the calling
 * process.
 * @return NULL if there can be none: a killed run leaves its hidden folder. */
moe_janitor_t *moe_janitor_start(void);

/** This claim is to be abandoned if the calling process goes now. NULL is
 * allowed for the janitor. */
void moe_janitor_watch(moe_janitor_t *janitor, const moe_report_claim_t *claim);

/** Nothing is to be removed any more, and it ends. NULL is allowed. */
void moe_janitor_dismiss(moe_janitor_t *janitor);

#endif
