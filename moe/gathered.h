/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of all tokens that a rank gathered, on their way through its experts:
 * what methods of families F0 and F1 share. Part of moe/method.h.
 *
 * A method whose plan begins with a moe_gathered_t puts the stages below in
 * its card; one that has more to do calls the others from its own stages.
 */
#ifndef MOE_GATHERED_H
#define MOE_GATHERED_H

#include "moe/operations.h"

#include <stdbool.h>

typedef struct {
    const int64_t *rows;   /* [E_local] rows of each local expert, planned */
    moe_mapping_t mapping; /* planned where the rank sees all tokens */
    bool rows_first; /* ranks' rows are summed before a token's are, planned */
    moe_scale_layout_t scales; /* that the kernel reads, planned */
    moe_tensor_t *ids;         /* [P][k] */
    moe_tensor_t *weights;     /* [P][k] */
    moe_tensor_t *x;           /* [P][H], then grouped rows */
    moe_tensor_t *index;
    moe_tensor_t *row_weights; /* [n][1] of the grouped rows, where what the
                                * activation gives is weighed; else NULL */
    moe_tensor_t *y; /* rows that the experts return, then sums [P][H] */
} moe_gathered_t;

/** Plan the rows of local experts of every token of the group, and of n_pad
 * rows of zeros. */
void moe_gathered_plan(moe_ctx_t *c, moe_gathered_t *g, moe_group_t group,
                       int64_t n_pad);

/** Own tokens, routed, weighed if experts want that, and in the dispatch
 * format: x, ids and weights. */
void moe_own_prepare_stage(moe_ctx_t *c);

/** To expert_in, scales in the layout that the kernel reads, then the local
 * experts' rows, sorted by expert (scales linear again). */
void moe_gathered_permute(moe_ctx_t *c, moe_gathered_t *g);
void moe_gathered_permute_stage(moe_ctx_t *c);

/** The experts of the grouped rows. */
void moe_gathered_experts_stage(moe_ctx_t *c);

/** Weighted sums of the local experts' rows, y [P][H]; with rows_first the
 * rows by weight, y [P k][H]. */
void moe_gathered_unpermute(moe_ctx_t *c, moe_gathered_t *g);
void moe_gathered_unpermute_stage(moe_ctx_t *c);

/** The output: rows [row, row + n) of the sum of y over a group, by an
 * all-reduce; with rows_first of its rows, which are summed then. */
void moe_gathered_allreduce(moe_ctx_t *c, moe_gathered_t *g, moe_group_t group,
                            int64_t row, int64_t n);

/** The output: rows [row, row + n) of what a reduction of y returned. Both
 * are released. */
void moe_gathered_output(moe_ctx_t *c, moe_gathered_t *g, moe_tensor_t *sums,
                         int64_t row, int64_t n);

/** What goes along with gathered rows, for ranks to know where those go. */
typedef enum {
    MOE_ALONG_topk,   /* weights and ids */
    MOE_ALONG_logits, /* by which every rank routes all tokens */
    MOE_ALONG_map     /* a probability of each expert, and whether it is one */
} moe_along_t;

/** Of a rank's own tokens, the second may be NULL; logits end, or are the
 * first. Of all, which end: ids and weights of g. And bytes of a row of it. */
void moe_along_own(moe_ctx_t *c, moe_along_t how, moe_tensor_t *logits,
                   moe_tensor_t *own[2]);
void moe_along_all(moe_ctx_t *c, moe_along_t how, moe_tensor_t *all[2],
                   moe_gathered_t *g);
int64_t moe_along_bytes(const moe_model_t *model, moe_along_t how);

/** Member of the reducing group whose chunk of a ring holds a token: it is that
 * of who gets it, or one of equal blocks of all tokens. */
int moe_home_owner(const moe_formula_t *f, int64_t token, int slot);
int moe_home_block(const moe_formula_t *f, int64_t token, int slot);

/**
 * Payload of a rank, in bytes; nothing in a group of one. The first two options
 * are the formats "dispatch" and "combine".
 *
 * @param[in] sent    Rows that it gives to the others,
 * @param[in] routed  bytes of each beside the row itself.
 * @param[in] summed  Rows that are reduced.
 */
void moe_gathered_payload(const moe_formula_t *f, int64_t sent, int64_t routed,
                          int64_t summed, int64_t *out);

#endif
