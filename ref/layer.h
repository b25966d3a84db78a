/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A rank's share of one MoE layer in process, stage by stage: a range of
 * tokens and a range of experts, without ranks, methods or communication.
 *
 * A layer holds tensors by their place in the chain. moe_ref_layer_make()
 * computes one from those before it, which it makes where they are missing;
 * moe_ref_layer_give() puts somebody else's tensor in a place, and all that
 * is made later comes from that one. Everything is the exact result rounded
 * once, as doc/numerics.md has it.
 *
 * Rows are tokens (hidden, logits, topk_ids, topk_weights, dispatch, combine,
 * output), or pairs of a token and one of its experts, of those experts that
 * are local (expert_in to gemm2_out): by expert, then token. Letters: T
 * tokens, n pairs, E experts of the model, H hidden, I intermediate, k topk.
 *
 * Where experts are placed (moe/placing.h), what is local are slots: pairs are
 * sorted by slot, then token, and each slot has the weights of its expert. Ids
 * and all that a router reads stay those of experts.
 */
#ifndef REF_LAYER_H
#define REF_LAYER_H

#include "base/status.h"
#include "moe/chain.h"
#include "moe/layout.h"
#include "moe/placing.h"
#include "ref/fault.h"
#include "ref/matmul.h"
#include "ref/permute.h"
#include "ref/stats.h"

#include <stdbool.h>

/** What a layer is made of. */
typedef struct {
    const moe_model_t *model; /* kept */
    moe_chain_t chain;
    uint64_t seed;       /* of hidden, router, bias, weights */
    moe_range_t tokens;  /* by global number */
    moe_range_t experts; /* the local ones; slots, where they are placed */
    moe_data_t data;     /* what is drawn */
    const moe_placed_t *placed; /* kept; NULL: slot p holds expert p */
} moe_ref_case_t;

/** Pair i is token token[i] - its global number -, its slot[i]-th choice, and
 * computed by expert[i], a global number too, in the slot physical[i]. */
typedef struct {
    int64_t *token;
    int32_t *slot;
    int32_t *expert;
    int32_t *physical; /* expert, unless they are placed */
} moe_ref_pairs_t;

/** Norms of one expert's weights, upper bounds each. */
typedef struct {
    float *norm;   /* [N] of a row (an output), over K */
    float *most;   /* [N] largest magnitude of a row */
    double square; /* mean of the squares of all elements */
} moe_ref_norms_t;

/** Treat as read-only but through the functions below; weights[] may be set
 * before the first make. */
typedef struct {
    moe_ref_case_t about;
    moe_ref_weights_t weights[2]; /* by moe_weight_t */
    moe_rows_t at[MOE_ROLE_COUNT];
    bool held[MOE_ROLE_COUNT]; /* at[] has data */
    bool owned[MOE_ROLE_COUNT];
    uint16_t *router; /* [E][H] bf16; NULL until wanted */
    float *bias;      /* [E]; NULL until wanted, or without */
    moe_ref_index_t index;
    moe_ref_pairs_t pairs;     /* NULLs until the ids are there */
    moe_ref_norms_t *norms[2]; /* [local experts] by moe_weight_t, or NULL */
    moe_fault_t fault;         /* a mistake to make; none: all is right */
    struct moe_ref_before *before; /* what ref/fault_tile.c keeps, or NULL */
    moe_ref_stats_t stats;
} moe_ref_layer_t;

/** Start without tensors. Ended with moe_ref_layer_fini(), which accepts a
 * zeroed object. @return MOE_OK; MOE_ERR_RANGE for ranges that are none;
 * MOE_ERR_UNSUPPORTED for data that the layer would round (ref/grid.h). */
moe_status_t moe_ref_layer_init(const moe_ref_case_t *about,
                                moe_ref_layer_t *layer_p);
void moe_ref_layer_fini(moe_ref_layer_t *layer);

/** What local experts are counted in: slots, or experts of the model. */
int64_t moe_ref_case_slots(const moe_ref_case_t *about);

/** Slots of the ids of a case's tokens, [T][k]: as they are, unless experts are
 * placed; -1 stays. */
void moe_ref_case_route(const moe_ref_case_t *about, const int32_t *ids,
                        int32_t *slots);

/** True for the places that a layer can hold: hidden to output. */
bool moe_ref_layer_has(moe_role_t role);

/** True where rows are pairs. */
bool moe_ref_layer_is_paired(moe_role_t role);

/** True where elements are codes that a quantiser or the router chose; else
 * they are numbers with rounding errors. */
bool moe_ref_layer_is_code(const moe_ref_layer_t *layer, moe_role_t role);

/** The tensor that is computed into a place: its storage. */
moe_storage_t moe_ref_layer_storage(const moe_ref_layer_t *layer,
                                    moe_role_t role);

/**
 * Rows and columns of a place; rows of pairs are known once the ids are held.
 * @return false if they are not yet.
 */
bool moe_ref_layer_shape(const moe_ref_layer_t *layer, moe_role_t role,
                         int64_t *rows_p, int64_t *cols_p);

/**
 * Let a place hold its tensor: computed from the places before it, unless it
 * is held already.
 *
 * combine is the sum over the local experts, rounded once to its float
 * format; output is the same sum rounded to output's, and an error unless
 * the experts are all of them.
 *
 * @return MOE_OK; MOE_ERR_NOMEM; MOE_ERR_RANGE; MOE_ERR_UNSUPPORTED for
 *         formats or a router that the stages do not have.
 */
moe_status_t moe_ref_layer_make(moe_ref_layer_t *layer, moe_role_t role);

/**
 * Put a tensor in a place; borrowed until the layer ends or the place is
 * dropped. It may be wider than the chain says (fp32 for bf16).
 *
 * topk_ids are int32, -1 for none; what was made from other ids is dropped.
 *
 * @return MOE_OK; MOE_ERR_RANGE if the shape is not that of the place, or an
 *         id is no expert; MOE_ERR_NOMEM.
 */
moe_status_t moe_ref_layer_give(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *rows);

/** Forget the tensor of a place; of topk_ids all pairs as well. */
void moe_ref_layer_drop(moe_ref_layer_t *layer, moe_role_t role);

/**
 * The same as make, but to the caller's rows, whose float format may be
 * another than the chain's: the exact result rounded once to that one. Only
 * for places that are no codes.
 */
moe_status_t moe_ref_layer_compute(moe_ref_layer_t *layer, moe_role_t role,
                                   const moe_rows_t *out);

/** Storage for rows of a format: codes, and linear scales where it has some.
 * Ended with moe_ref_rows_free(), which accepts zeroed rows. */
moe_status_t moe_ref_rows_alloc(const moe_storage_t *storage, int64_t rows,
                                int64_t cols, moe_rows_t *rows_p);
void moe_ref_rows_free(moe_rows_t *rows);

/** Rows of one storage to another, row by row: rounded, quantised or decoded.
 * @return MOE_OK; MOE_ERR_UNSUPPORTED; MOE_ERR_NOMEM. */
moe_status_t moe_ref_to_storage(const moe_rows_t *src, const moe_rows_t *dst);

/**
 * Upper bounds of the sum of the magnitudes of all products behind each
 * element of a sum: logits, gemm1_out, gemm2_out (by the norms of row and
 * weights: pi / 2 times too large on normal numbers, more where magnitudes
 * spread wider), combine, output; of other floats, which are given or rounded
 * alone, the magnitude itself. out [rows][cols]. Needs what make needs.
 * @return MOE_ERR_RANGE of ids and codes; else as make.
 */
moe_status_t moe_ref_layer_abs(moe_ref_layer_t *layer, moe_role_t role,
                               float *out);

/** Magnitudes of rows of floats: out [rows][cols]. */
void moe_ref_rows_abs(const moe_rows_t *rows, float *out);

/** Norms of the weights of a local expert, 0.., made when first wanted. */
moe_status_t moe_ref_layer_norms(moe_ref_layer_t *layer, moe_weight_t weight,
                                 int64_t expert,
                                 const moe_ref_norms_t **norms_p);

/** Bytes that a layer takes when all its places are held and no expert has
 * more than `pairs` of the pairs in all. */
int64_t moe_ref_layer_bytes(const moe_ref_case_t *about, int64_t pairs);

#endif
