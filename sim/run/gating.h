/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Gates of methods: what each gave, held against the oracle's, and the routing
 * that is left for the oracle's tokens.
 */
#ifndef SIM_RUN_GATING_H
#define SIM_RUN_GATING_H

#include "sim/run/join.h"

/** Called by the backend: keeps what the gate of the method at hand gave.
 * self is the job. */
moe_status_t moe_job_on_gate(void *self, const moe_call_t *call);

/** Every gate that ran against the oracle's, on each rank its own tokens:
 * fills found[].gate, and where pairs are dropped gated[], of all tokens. All
 * ranks call it. */
moe_status_t moe_job_judge_gates(moe_job_t *job);

/** The routing of all tokens, of which each rank has its own, as a method lays
 * them: [own][k]. All ranks call it. */
moe_status_t moe_job_share_routing(moe_job_t *job, size_t method, int32_t *ids,
                                   float *weights, moe_routing_t *all_p);

/** The routing that the oracle is to follow for a method: what its gate left,
 * or NULL: the source. */
const moe_routing_t *moe_job_gated(const moe_job_t *job, size_t method);

/** What a method's gates gave, for the report: null without one. */
json_t *moe_run_gating(const moe_job_t *job, const moe_joined_t *j, size_t m);

void moe_job_gates_fini(moe_job_t *job);

/** True if two methods, whose chains round alike, compute the same. */
bool moe_job_routes_alike(const moe_job_t *job, size_t a, size_t b);

#endif
