/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What one operation costs, by the constant of the machine that it is
 * proportional to; inside of models/.
 */
#ifndef MODELS_COST_H
#define MODELS_COST_H

#include "models/price.h"

/* Terms of a cost. Those of formats and tiers are the first of several. */
enum {
    MOE_COST_launch,     /* launch_s */
    MOE_COST_collective, /* collective_s */
    MOE_COST_memory,     /* hbm_bytes_per_s, memory_efficiency */
    MOE_COST_compute,    /* flops[format], matmul_efficiency */
    MOE_COST_latency = MOE_COST_compute + MOE_FORMAT_COUNT, /* of a tier */
    MOE_COST_bandwidth = MOE_COST_latency + MOE_TIERS_MAX,  /* of a tier */
    MOE_COST_COUNT = MOE_COST_bandwidth + MOE_TIERS_MAX
};

/** Seconds by term; a duration is their sum. */
typedef struct {
    double s[MOE_COST_COUNT];
    /* the same times log2(n / ranks), of groups n larger than the source of
     * the constant measured: what its error counts for once more */
    double beyond[MOE_COST_COUNT];
} moe_cost_t;

void moe_cost_add(moe_cost_t *sum, const moe_cost_t *more);
double moe_cost_seconds(const moe_cost_t *cost);
moe_parts_t moe_cost_parts(const moe_cost_t *cost);

/**
 * The duration with its 90 % interval.
 *
 * A constant known to a relative error e lies between v / (1 + e) and
 * v (1 + e). The time that is proportional to one constant moves as a whole,
 * so errors of one constant add linearly over operations. So do those of
 * constants that one fit gave (same kind and source): they share its misfit.
 * Others are taken as independent and add as squares. Beyond the largest
 * group that a source measured each doubling adds the error once more.
 */
moe_time_t moe_cost_time(const moe_machine_t *machine, const moe_cost_t *cost);

/** Number of constants of a machine, and each: place i in the order of the
 * machine file. us is what it moves of a cost. */
int moe_constant_count(const moe_machine_t *machine);
moe_price_constant_t moe_constant_get(const moe_machine_t *machine, int i,
                                      const moe_cost_t *cost);

/** Refuse a machine whose constants cannot be computed with. */
moe_status_t moe_machine_check(const moe_machine_t *machine);

/* --- local operations: models/compute.c --------------------------------- */

/**
 * Launch, and the larger of memory and matrix time.
 * @param[out] rate_p  Format whose matrix rate was taken: a wider one where
 *                     the machine has none for the operands. Not set
 *                     if no matrix is multiplied.
 * @return MOE_OK; MOE_ERR_RANGE if the machine has no rate at all.
 */
moe_status_t moe_cost_local(const moe_machine_t *machine,
                            const moe_trace_record_t *record,
                            moe_cost_t *cost_p, moe_format_t *rate_p);

/** True for operations whose flops are those of a matrix unit. */
bool moe_cost_is_matmul(moe_op_t op);

/* --- collectives: models/collectives.c ---------------------------------- */

/** The smallest tier that holds the ranks from low to high. MOE_ERR_RANGE if
 * none does. */
moe_status_t moe_cost_tier(const moe_machine_t *machine, int low, int high,
                           int *tier_p);

/**
 * alpha-beta: start + steps x latency + bytes / bandwidth of a rank; nothing
 * if no byte moves.
 * @param[in] n      Members.
 * @param[in] bytes  Of the busiest member, sent or received.
 */
moe_cost_t moe_cost_collective(const moe_machine_t *machine, int tier, int n,
                               int64_t bytes, int steps);

#endif
