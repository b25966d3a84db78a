/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a run says of its methods: bytes as planned, bits as the oracle's.
 */
#ifndef SIM_RUN_VERDICT_H
#define SIM_RUN_VERDICT_H

#include "sim/run/join.h"

/**
 * Methods of a run into the document: what was priced and what was judged.
 * @return MOE_ERR_INTERNAL if a payload that was executed is not what meta
 *         or the closed formula says.
 */
moe_status_t moe_run_add_methods(const moe_job_t *job, const moe_joined_t *j,
                                 json_t *document);

/** In `exact`: MOE_ERR_CHECK if an output is not the oracle's, or if methods
 * with the same rounding points differ; with a message. */
moe_status_t moe_run_verdict(const moe_job_t *job, const moe_joined_t *j);

#endif
