/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows that go once to each member of a group that holds one of their
 * experts, with all their ids and weights, and the members' sums the same way
 * back: family F4, one hop of it. Part of moe/method.h.
 *
 * The plan says how many rows go to each member and come from it. A member
 * weighs and sums its own experts (moe_gathered_t), so that one row comes back
 * for each that went.
 */
#ifndef MOE_HOP_H
#define MOE_HOP_H

#include "moe/gathered.h"
#include "moe/movement.h"
#include "moe/operations_collective.h"
#include "moe/routing.h"

typedef struct {
    moe_group_t group;
    bool used;     /* false: a level that the layout does not have */
    bool in_slots; /* sums are added in the slots where members first occur,
                    * in the contract's order; else in member order, fp32 */
    const int64_t *send; /* [members] rows to each */
    const int64_t *recv; /* [members] and from each */
    int64_t back;        /* bytes of the record that a sum comes back as; 0: as
                          * it is */
    moe_tensor_t *index;
} moe_hop_t;

/** One hop, to all ranks: each tells each by a flag how many rows come. */
void moe_hop_plan_flags(moe_ctx_t *c, moe_hop_t *hop);

/** Rows of g to the members, each a record of x, ids and weights; g becomes
 * what came. @param[in] stride  Bytes of a record. */
void moe_hop_go(moe_ctx_t *c, moe_hop_t *hop, int64_t stride,
                moe_gathered_t *g);

/** Sums y of g back, in the combine format, and added up. */
void moe_hop_back(moe_ctx_t *c, moe_hop_t *hop, moe_gathered_t *g);

/** Stage finalize of such a plan: y is what the layer returns. */
void moe_hop_finalize_stage(moe_ctx_t *c);

/** Rows of a rank's own tokens for each rank of its ep group, out[R], in one
 * pass over their ids. */
void moe_hop_count(const moe_layer_t *layer, const moe_routing_t *routing,
                   int rank, int64_t *out);

/** Payload of a rank by stage, in bytes written, of one hop to all ranks with
 * flags, in groups of more than one: prepare 4 R, permute D message, unpermute
 * G rowc, with D the (token, rank) pairs of its tokens, G those of all tokens
 * with this rank. */
void moe_hop_payload(const moe_formula_t *f, int64_t message,
                     moe_format_t combine, int64_t *out);

/**
 * Rows of hops, for closed formulas: tokens of the dp ranks first, first +
 * stride, .. that have an expert with the ranks [to, to + n_to).
 */
int64_t moe_hop_rows(const moe_layer_t *layer, const moe_routing_t *routing,
                     int first, int stride, int to, int n_to);

#endif
