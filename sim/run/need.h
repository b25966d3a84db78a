/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Memory that a run needs, and whether it is there.
 */
#ifndef SIM_RUN_NEED_H
#define SIM_RUN_NEED_H

#include "sim/options/command.h"

/** Memory of a rank that no tensor accounts for, as measured: shared memory of
 * MPI and buffers of BLAS, which are touched when they are first used, the
 * oracle's rows, buffers of stdio and JSON. */
#define MOE_OTHER_BYTES (INT64_C(12) << 20)

/** A rank's resident memory after start, before it is measured. */
#define MOE_START_BYTES (INT64_C(18) << 20)

/** All ranks together. */
typedef struct {
    int ranks;
    int64_t bytes;    /* at the peak */
    int64_t resident; /* of these, taken already */
    bool one_host;    /* all ranks share the memory of this host */
} moe_need_t;

/**
 * @param[in] limit  --memory-limit, of all ranks together; 0: what is free,
 *                   asked only if all ranks are on one host.
 * @return MOE_ERR_NOMEM with a message if it does not fit.
 */
moe_status_t moe_need_check(const moe_need_t *need, int64_t limit);

/** MOE_ERR_NOMEM with a message if this process may not open the files and
 * start the processes that so many ranks on one host take. */
moe_status_t moe_need_check_limits(int ranks);

/**
 * Before anything of the run is made: by token counts alone, then by the
 * methods' tensors under a sampled routing.
 */
moe_status_t moe_need_estimate(const moe_command_t *command,
                               const moe_scenario_t *scenario);

#endif
