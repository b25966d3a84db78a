/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a rank's layer is fed with: its own tokens, the router, and the
 * routing source.
 */
#ifndef SIM_INPUTS_INPUTS_H
#define SIM_INPUTS_INPUTS_H

#include "base/safetensors.h"
#include "base/status.h"
#include "moe/routing.h"
#include "ref/fault.h"
#include "ref/mpi/world.h"
#include "ref/stats.h"
#include "sim/scenario/scenario.h"

typedef struct {
    const moe_scenario_t *scenario; /* kept */
    int rank;                       /* of the world; -1: no run of ranks */
    moe_fault_kind_t chooses;       /* a router's mistake, made here */
    moe_range_t before;             /* tokens with hidden states of the call
                                     * before */
    bool spoilt;                    /* own inputs are others than right */
    moe_range_t own;                /* global range of the rank's tokens */
    uint16_t *hidden;               /* [own][H] bf16 bits */
    uint16_t *router;               /* [E][H] bf16 bits */
    float *bias;                    /* [E]; NULL if the model has none */
    moe_routing_t routing;          /* of the own tokens */
    moe_ref_stats_t stats;          /* of logits and routing */
    moe_safetensors_t *hidden_file; /* NULL: generated */
} moe_inputs_t;

/**
 * Make the inputs of a rank. Only own tokens are made; router and bias are
 * every rank's.
 *
 * @param[in]  rank  World rank.
 * @param[in]  fault  A mistake of the inputs to make, or none: a router's that
 *                    chooses others, hidden states of the call before. What it
 *                    means nothing for stays right.
 * @param[in]  of     The rank of whose tokens; -1: of all.
 * @param[out] in_p  Ended with moe_inputs_fini(). Untouched on error.
 */
moe_status_t moe_inputs_make(const moe_scenario_t *scenario, int rank,
                             moe_fault_kind_t fault, int of,
                             moe_inputs_t *in_p);
void moe_inputs_fini(moe_inputs_t *in);

/** Hidden state of any token, for the oracle: out [H], right whatever the
 * mistake. */
moe_status_t moe_inputs_token(const moe_inputs_t *in, int64_t token,
                              uint16_t *out);

/** Router weights of a scenario that has them in a file: out [E][H]. */
moe_status_t moe_inputs_gate(const moe_scenario_t *scenario, uint16_t *out);

/** Hidden states of tokens [first, first + n): out [n][H]. */
moe_status_t moe_inputs_hidden(const moe_inputs_t *in, int64_t first, int64_t n,
                               uint16_t *out);

/** What moe_inputs_make() takes beside the own tokens, in bytes. */
int64_t moe_inputs_bytes(const moe_scenario_t *scenario, int rank);

/**
 * Routing of tokens [first, first + n) from the scenario's trace: topk_ids
 * [total][k] int32 or int64, and topk_weights [total][k] fp32, scaling / k
 * without.
 */
moe_status_t moe_routing_read(const moe_scenario_t *scenario, int64_t first,
                              int64_t n, moe_routing_t *routing_p);

/** A routing as bytes, to be shared: ids, then weights. */
size_t moe_routing_pack_size(const moe_routing_t *routing);
void moe_routing_pack(const moe_routing_t *routing, void *out);

/**
 * The routing of all tokens from the packed parts of all ranks.
 * @param[in] part  [n] in order of rank.
 * @param[in] own   Whose pad rows are taken.
 */
moe_status_t moe_routing_join(const moe_layer_t *layer, int n,
                              const moe_blob_t *part, const moe_routing_t *own,
                              moe_routing_t *all_p);

#endif
