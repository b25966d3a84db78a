/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What all ranks of a run found, brought together on rank 0.
 */
#ifndef SIM_RUN_JOIN_H
#define SIM_RUN_JOIN_H

#include "sim/run/job.h"

typedef struct {
    moe_found_t *found;     /* [n_methods] */
    int64_t *peak;          /* [W] largest resident memory */
    int64_t *start;         /* [W] resident after start */
    int64_t *payload;       /* [W][n_methods][MOE_STAGE_COUNT] */
    moe_gate_found_t *gate; /* [W][n_methods] */
} moe_joined_t;

/**
 * Gather point to point; every rank calls it, rank 0 has the sums.
 * @param[out] joined_p  Ended with moe_joined_fini(). Untouched on error.
 */
moe_status_t moe_run_join(moe_job_t *job, moe_joined_t *joined_p);
void moe_joined_fini(moe_joined_t *joined);

#endif
