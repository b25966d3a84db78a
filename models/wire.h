/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Bytes on the wire: a function of payload and a named algorithm.
 */
#ifndef MODELS_WIRE_H
#define MODELS_WIRE_H

#include "moe/trace.h"

typedef enum {
#define MOE_ALGORITHM(id, text) MOE_ALGORITHM_##id,
#include "models/algorithm.def"
#undef MOE_ALGORITHM
    MOE_ALGORITHM_COUNT
} moe_algorithm_t;

const char *moe_algorithm_name(moe_algorithm_t algorithm);

/** Algorithm that a collective uses by default: ring for gathers,
 * reductions and broadcasts, direct for all-to-all. */
moe_algorithm_t moe_wire_algorithm(moe_op_t op);

typedef struct {
    int64_t sent; /* bytes that this rank sends */
    int64_t received;
    int steps; /* messages one after the other */
} moe_wire_t;

/**
 * Wire of one collective for the rank transfer->me.
 *
 * Ring, in group order: all-gather(v) sends N - n_succ; reduce-scatter(v)
 * N - n_me; all-reduce cuts its rows' bytes in R parts, longer first, and
 * sends 2 N less the two parts that stop at it; broadcast n unless last in
 * the chain. Direct: what is meant for others.
 */
moe_wire_t moe_wire(moe_op_t op, moe_algorithm_t algorithm,
                    const moe_transfer_t *transfer);

#endif
