/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a method may call: questions of its plan, and operations that its
 * stages enqueue. Part of moe/method.h.
 *
 * Every handle that an operation returns is released once, also where it is
 * the argument again (a group of one rank, rows in the format already).
 */
#ifndef MOE_OPERATIONS_H
#define MOE_OPERATIONS_H

#include "moe/backend.h"
#include "moe/layer.h"
#include "moe/tensor.h"

#include <stdint.h>

typedef struct moe_ctx moe_ctx_t; /* one method on one rank */

/* --- what a plan may ask ------------------------------------------------ */

const moe_layer_t *moe_ctx_layer(const moe_ctx_t *c);
const moe_model_t *moe_ctx_model(const moe_ctx_t *c);
int moe_ctx_rank(const moe_ctx_t *c);
void *moe_ctx_plan(moe_ctx_t *c);

/** Value of option number i of the method's list. */
int64_t moe_ctx_option(const moe_ctx_t *c, int i);

/** Size of the rank's group of a kind, and its place in it. */
int moe_ctx_group_size(const moe_ctx_t *c, moe_group_t group);
int moe_ctx_group_index(const moe_ctx_t *c, moe_group_t group);

/** The plan found that the method cannot run: ends it, one sentence. */
void moe_ctx_refuse(moe_ctx_t *c, const char *why);

/** Zeroed array of n numbers, of n spans, that lives as the context does. */
int64_t *moe_ctx_array(moe_ctx_t *c, int64_t n);
moe_span_t *moe_ctx_spans(moe_ctx_t *c, int64_t n);

/** Global range of a rank's tokens. */
moe_range_t moe_ctx_tokens(const moe_ctx_t *c, int rank);

/**
 * What each member of a group contributes, [R][n], in group order. Owned by
 * the context. NULL after an error.
 *
 * @param[in] dtype       Of a number on the modelled wire: i32, i64.
 * @param[in] contribute  Pure function of a rank's own routing.
 */
const int64_t *moe_agree(moe_ctx_t *c, moe_group_t group, moe_agree_kind_t kind,
                         moe_dtype_t dtype, int n,
                         moe_contribute_func_t *contribute);

/** Sums over the members, [n]; kind host or device. */
const int64_t *moe_agree_sum(moe_ctx_t *c, moe_group_t group,
                             moe_agree_kind_t kind, int n,
                             moe_contribute_func_t *contribute);

/** Maxima over the members, [n], by an all-reduce. */
const int64_t *moe_agree_max(moe_ctx_t *c, moe_group_t group, moe_dtype_t dtype,
                             int n, moe_contribute_func_t *contribute);

/** What each member tells this rank, [R][each], by an all-to-all: a rank
 * contributes [R][each], for each member. */
const int64_t *moe_agree_told(moe_ctx_t *c, moe_group_t group,
                              moe_dtype_t dtype, int each,
                              moe_contribute_func_t *contribute);

/** Tokens of each member of a group, [R]; kind host: schedulers know. */
const int64_t *moe_agree_tokens(moe_ctx_t *c, moe_group_t group);

/**
 * Rows of each of the rank's local experts, if every token of the group and
 * n_pad rows of zeros reach them: [E_local]; kind device. May size nothing
 * but valid rows.
 */
const int64_t *moe_agree_expert_rows(moe_ctx_t *c, moe_group_t group,
                                     int64_t n_pad);

/** Experts of this rank in its ep group. */
moe_range_t moe_ctx_experts(const moe_ctx_t *c);

/* --- tensors ------------------------------------------------------------ */

/** Hidden states of the rank's own tokens, [T_i][H]. */
moe_tensor_t *moe_hidden(moe_ctx_t *c);

/** New rows, contents undefined. */
moe_tensor_t *moe_new(moe_ctx_t *c, moe_role_t role, moe_format_t format,
                      int64_t rows, int64_t cols);

/** View of rows [row, row + n) of a tensor. */
moe_tensor_t *moe_slice(moe_ctx_t *c, moe_tensor_t *t, int64_t row, int64_t n);

/** The method no longer needs a tensor. NULL is fine. */
void moe_release(moe_ctx_t *c, moe_tensor_t *t);

/** The rows that the layer returns for the rank's own tokens, [T_i][H];
 * rounded to the chain's output format if they are not in it. */
void moe_output(moe_ctx_t *c, moe_tensor_t *t);

/* --- local operations --------------------------------------------------- */

moe_tensor_t *moe_logits(moe_ctx_t *c, moe_tensor_t *rows);

/**
 * ids [n][k] int32 and weights [n][k] fp32 of the logits' rows.
 *
 * @param[in] spans  [n_spans] which tokens the rows are; the others are rows
 *                   of zeros. The result is held against the routing source.
 */
void moe_topk(moe_ctx_t *c, moe_tensor_t *logits, const moe_span_t *spans,
              int n_spans, moe_tensor_t **ids_p, moe_tensor_t **weights_p);

/**
 * Rows in the storage of a place of the chain: quantised, rounded, or the
 * same handle again if they are in it already. From a block format: exact
 * decode, then the quantiser.
 */
moe_tensor_t *moe_to(moe_ctx_t *c, moe_tensor_t *rows, moe_role_t role);

/** The same rows, scales in a tiled layout; a tensor without scales is
 * returned as it is. */
moe_tensor_t *moe_swizzle(moe_ctx_t *c, moe_tensor_t *rows,
                          moe_scale_layout_t layout);

void moe_fill_zero(moe_ctx_t *c, moe_tensor_t *t, int64_t row, int64_t n);

void moe_copy_rows(moe_ctx_t *c, moe_tensor_t *dst, int64_t dst_row,
                   moe_tensor_t *src, int64_t src_row, int64_t n);

/**
 * Index that sorts (row, slot) pairs of the local experts by expert, then
 * row. @param[in] rows_per_expert  [E_local] from the plan.
 */
moe_tensor_t *moe_group_rows(moe_ctx_t *c, moe_tensor_t *ids,
                             const int64_t *rows_per_expert);

moe_tensor_t *moe_gather_rows(moe_ctx_t *c, moe_tensor_t *rows,
                              moe_tensor_t *index);

/** Rows of all tokens that a rank gathered, on their way through its
 * experts: what methods of families F0 and F1 share. */
typedef struct {
    const int64_t *rows;   /* [E_local] rows of each local expert, planned */
    moe_tensor_t *ids;     /* [P][k] */
    moe_tensor_t *weights; /* [P][k] */
    moe_tensor_t *x;       /* [P][H], then grouped rows */
    moe_tensor_t *index;
    moe_tensor_t *y; /* rows that the experts return, then sums */
} moe_gathered_t;

/** To expert_in, scales in the layout that the kernel reads, then the local
 * experts' rows, sorted by expert (scales linear again). */
void moe_gathered_permute(moe_ctx_t *c, moe_gathered_t *g,
                          moe_scale_layout_t layout);

/** The experts of the grouped rows. */
void moe_gathered_experts(moe_ctx_t *c, moe_gathered_t *g);

/** Weighted sums of the local experts' rows, y [P][H]. */
void moe_gathered_unpermute(moe_ctx_t *c, moe_gathered_t *g);

/** gemm1 -> gemm1_out -> SwiGLU -> act_out -> gemm2_in -> gemm2 ->
 * gemm2_out of grouped rows: the experts stage of every method. */
moe_tensor_t *moe_experts(moe_ctx_t *c, moe_tensor_t *rows,
                          moe_tensor_t *index);

/**
 * Sum over each token's local expert rows of weight x value, [n][H]: in the
 * combine format (`faithful`), or unrounded (`exact`).
 */
moe_tensor_t *moe_weighted_sum(moe_ctx_t *c, moe_tensor_t *rows,
                               moe_tensor_t *index, moe_tensor_t *weights);

/* --- collectives --------------------------------------------------------
 *
 * Rows of a block format move as two transfers, codes then scales, and one
 * handle comes back. In a group of one rank nothing is called: the result
 * is the argument (rounded, for a reduction). Reductions of unrounded sums
 * return rows in the output format, others in their own. */

/** Rows of every member, in group order; rows[R] from the plan. */
moe_tensor_t *moe_allgatherv(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                             const int64_t *rows);

/** The same with equal rows of every member. */
moe_tensor_t *moe_allgather(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t);

/** Sum over the group, to every member. */
moe_tensor_t *moe_allreduce(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t);

/** Sum over the group, member d gets rows[d] rows, in group order. */
moe_tensor_t *moe_reducescatterv(moe_ctx_t *c, moe_group_t group,
                                 moe_tensor_t *t, const int64_t *rows);

/** send[d] rows to member d, recv[s] rows from member s. */
moe_tensor_t *moe_alltoallv(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                            const int64_t *send, const int64_t *recv);

/** Rows of member root, at every member. */
moe_tensor_t *moe_broadcast(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                            int root, int64_t rows);

/** Bracket: fused is one kernel of a library, batch one launch of several
 * operations (an NCCL group). */
void moe_group_begin(moe_ctx_t *c, bool fused, const char *name);
void moe_group_end(moe_ctx_t *c);

#endif
