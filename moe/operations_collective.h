/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Collectives that a method's stages enqueue. Part of moe/method.h.
 */
#ifndef MOE_OPERATIONS_COLLECTIVE_H
#define MOE_OPERATIONS_COLLECTIVE_H

#include "moe/operations.h"

/* Rows of a block format move as two transfers, codes then scales, and one
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

/** The same of rows that are terms of a later sum: unrounded ones stay so. */
moe_tensor_t *moe_allreduce_terms(moe_ctx_t *c, moe_group_t group,
                                  moe_tensor_t *t);

/** Sum over the group, member d gets rows[d] rows, in group order. */
moe_tensor_t *moe_reducescatterv(moe_ctx_t *c, moe_group_t group,
                                 moe_tensor_t *t, const int64_t *rows);

/** The same, equal rows to each member. */
moe_tensor_t *moe_reducescatter(moe_ctx_t *c, moe_group_t group,
                                moe_tensor_t *t);

/** The same of rows that are terms of a later sum: unrounded ones stay so. */
moe_tensor_t *moe_reducescatter_terms(moe_ctx_t *c, moe_group_t group,
                                      moe_tensor_t *t);

/** Equal rows to each member, which its rows are cut into. */
moe_tensor_t *moe_alltoall(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t);

/** send[d] rows to member d, recv[s] rows from member s. */
moe_tensor_t *moe_alltoallv(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                            const int64_t *send, const int64_t *recv);

/** The same of records of so many bytes that begin with a row; what a kernel
 * sends behind it is blank. Unrounded rows go as they are, and count as
 * records. 0: plain rows. */
moe_tensor_t *moe_alltoallv_records(moe_ctx_t *c, moe_group_t group,
                                    moe_tensor_t *t, int64_t bytes,
                                    const int64_t *send, const int64_t *recv);

/** Rows of member root, at every member. */
moe_tensor_t *moe_broadcast(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                            int root, int64_t rows);

/** Rows [row, row + rows) of member root's tensor into the same rows of every
 * other's, in place. Rows of a format without scales. */
void moe_broadcast_rows(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                        int root, int64_t row, int64_t rows);

/** Bracket: fused is one kernel of a library, batch one launch of several
 * operations (an NCCL group). */
void moe_group_begin(moe_ctx_t *c, bool fused, const char *name);
void moe_group_end(moe_ctx_t *c);

#endif
