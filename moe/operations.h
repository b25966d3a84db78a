/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Operations that a method's stages enqueue; those on rows that travel from
 * rank to rank one by one are in moe/movement.h. Part of moe/method.h.
 *
 * Every handle that an operation returns is released once, also where it is
 * the argument again (a group of one rank, rows in the format already).
 */
#ifndef MOE_OPERATIONS_H
#define MOE_OPERATIONS_H

#include "moe/plan.h"
#include "moe/tensor.h"

#include <stdbool.h>
#include <stdint.h>

/* --- tensors ------------------------------------------------------------ */

/** Hidden states of the rank's own tokens, [T_i][H]. */
moe_tensor_t *moe_hidden(moe_ctx_t *c);

/** New rows, contents undefined. */
moe_tensor_t *moe_new(moe_ctx_t *c, moe_role_t role, moe_format_t format,
                      int64_t rows, int64_t cols);

/** View of rows [row, row + n) of a tensor. */
moe_tensor_t *moe_slice(moe_ctx_t *c, moe_tensor_t *t, int64_t row, int64_t n);

/** n rows: those of a tensor, then rows of zeros; a view where there is nothing
 * to fill. */
moe_tensor_t *moe_pad_rows(moe_ctx_t *c, moe_tensor_t *t, int64_t n);

/** n new rows of a role: those of a tensor from a row on, zeros elsewhere. */
moe_tensor_t *moe_place_rows(moe_ctx_t *c, moe_tensor_t *t, moe_role_t role,
                             int64_t row, int64_t n);

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

/** Choices as a map of all experts, [n][E] bytes, 1 where one was chosen, with
 * weights [n][E] fp32, 0 elsewhere; and back, then by ascending expert: ids
 * [n][k] int32 and weights [n][k] fp32. Arguments are the caller's. */
void moe_map_choices(moe_ctx_t *c, moe_tensor_t *ids, moe_tensor_t *weights,
                     moe_tensor_t **map_p, moe_tensor_t **probs_p);
void moe_list_choices(moe_ctx_t *c, moe_tensor_t *map, moe_tensor_t *probs,
                      moe_tensor_t **ids_p, moe_tensor_t **weights_p);

/**
 * Rows as experts are given them: times their one routing weight, rounded to
 * their format, where the contract weighs the input; else the same handle
 * again. Called before rows are quantised.
 */
moe_tensor_t *moe_weigh_input(moe_ctx_t *c, moe_tensor_t *rows,
                              moe_tensor_t *weights);

/**
 * Rows in the storage of a place of the chain: quantised, rounded, or the
 * same handle again if they are in it already. From a block format: exact
 * decode, then the quantiser.
 */
moe_tensor_t *moe_to(moe_ctx_t *c, moe_tensor_t *rows, moe_role_t role);

/** The same rows, scales in a tiled layout; a tensor without scales, or
 * with scales wider than a byte, is returned as it is. */
moe_tensor_t *moe_swizzle(moe_ctx_t *c, moe_tensor_t *rows,
                          moe_scale_layout_t layout);

void moe_fill_zero(moe_ctx_t *c, moe_tensor_t *t, int64_t row, int64_t n);

void moe_copy_rows(moe_ctx_t *c, moe_tensor_t *dst, int64_t dst_row,
                   moe_tensor_t *src, int64_t src_row, int64_t n);

/**
 * Index that sorts (row, slot) pairs of the local experts by expert, then
 * row.
 *
 * @param[in] mapping          Experts that ids mean.
 * @param[in] rows_per_expert  [E_local] from the plan.
 */
moe_tensor_t *moe_group_rows(moe_ctx_t *c, moe_tensor_t *ids,
                             moe_mapping_t mapping,
                             const int64_t *rows_per_expert);

moe_tensor_t *moe_gather_rows(moe_ctx_t *c, moe_tensor_t *rows,
                              moe_tensor_t *index);

/** gemm1 -> gemm1_out -> SwiGLU -> act_out -> gemm2_in -> gemm2 ->
 * gemm2_out of grouped rows: the experts stage of every method.
 * @param[in] weights  [n][1] of the rows, where the contract weighs what the
 *                     activation gives: weighted_act then; else NULL. */
moe_tensor_t *moe_experts(moe_ctx_t *c, moe_tensor_t *rows, moe_tensor_t *index,
                          moe_tensor_t *weights);

/** The same with the rank's part of I alone, of every expert: w1 and w3 by
 * columns, w2 by rows. What comes out are terms of a sum over the group.
 * @param[in] separate  w1 and w3 are matmuls of their own; else one. */
moe_tensor_t *moe_experts_part(moe_ctx_t *c, moe_group_t group, bool separate,
                               moe_tensor_t *rows, moe_tensor_t *index);

/** Grouped rows times the weight of their pair, in the combine format
 * (`faithful`), or unrounded (`exact`). */
moe_tensor_t *moe_weigh_grouped(moe_ctx_t *c, moe_tensor_t *rows,
                                moe_tensor_t *index, moe_tensor_t *weights);

/**
 * Sum over each token's local expert rows of weight x value, [n][H]: in the
 * combine format (`faithful`), or unrounded (`exact`).
 */
moe_tensor_t *moe_weighted_sum(moe_ctx_t *c, moe_tensor_t *rows,
                               moe_tensor_t *index, moe_tensor_t *weights);

#endif
