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

/** Name and one-line text of an algorithm; "?" if out of range. */
const char *moe_algorithm_name(moe_algorithm_t algorithm);
const char *moe_algorithm_text(moe_algorithm_t algorithm);

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
 * N is the sum over the members, n_i the part of member i, succ and pred the
 * neighbours of this rank in group order. Sent and received:
 *
 *                      ring                  direct
 *   all-gather(v)      N - n_succ, N - n_me  n_me, N - n_me
 *   reduce-scatter(v)  N - n_me, N - n_pred  N - n_me, (R-1) n_me
 *   broadcast of n     n but by the last,    n by the root,
 *                      n but to the root     n but to the root
 *   all-to-all(v)      what is meant for others, what comes from them
 *   all-reduce of N    a reduce-scatter and an all-gather of N bytes cut in
 *                      R parts of whole elements, longer ones first
 *
 * Steps: ring R-1, twice that for all-reduce; direct 1, and 2. A group of one,
 * and operations that are no collectives, give nothing.
 */
moe_wire_t moe_wire(moe_op_t op, moe_algorithm_t algorithm,
                    const moe_transfer_t *transfer);

#endif
