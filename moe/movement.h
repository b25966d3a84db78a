/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows on their way from rank to rank one by one: sorted by where they go,
 * packed into records, laid into slots, and brought back. Part of
 * moe/method.h.
 *
 * An index is made from ids or from counts, on the device; how many rows it
 * has is of the plan. moe_gather_rows() lays rows out as an index says,
 * moe_scatter_rows() takes them back.
 */
#ifndef MOE_MOVEMENT_H
#define MOE_MOVEMENT_H

#include "moe/plan.h"
#include "moe/tensor.h"

/* --- indices ------------------------------------------------------------ */

/**
 * Every (row, slot) pair, by expert, then row: so by the rank that holds the
 * expert. @param[in] rows_per_expert  [E] from the plan.
 */
moe_tensor_t *moe_sort_pairs(moe_ctx_t *c, moe_tensor_t *ids,
                             const int64_t *rows_per_expert);

/** The same in slots: capacity rows an expert, of which the first hold its
 * pairs in order of rows, the rest zeros; pairs beyond are left out. */
moe_tensor_t *moe_sort_pairs_in_slots(moe_ctx_t *c, moe_tensor_t *ids,
                                      const int64_t *rows_per_expert,
                                      int64_t capacity);

/**
 * Every (row, member) pair, once, where one of the row's experts is with a
 * member of the group; by member, then row. A row has its members in group
 * order. @param[in] rows_per_member  [R] from the plan.
 */
moe_tensor_t *moe_sort_members(moe_ctx_t *c, moe_tensor_t *ids,
                               moe_group_t group,
                               const int64_t *rows_per_member);

/** The same, but a row has each member in the slot where it first occurs, as
 * the contract's order of ranks may want it. */
moe_tensor_t *moe_sort_first_slots(moe_ctx_t *c, moe_tensor_t *ids,
                                   moe_group_t group,
                                   const int64_t *rows_per_member);

/**
 * Rows that came as chunks, of each source in turn those of each local
 * expert, by expert, then source.
 *
 * @param[in] rows    [n_sources][E_local] valid rows of each chunk, planned.
 * @param[in] stride  Rows from one chunk to the next; 0: they are tight.
 */
moe_tensor_t *moe_sort_chunks(moe_ctx_t *c, const int64_t *rows, int n_sources,
                              int64_t stride);

/** Routing weights [n][k] of the pairs that an index sorts, [m][1] fp32, as
 * they travel with the rows; 0 in rows that hold no pair. */
moe_tensor_t *moe_pair_weights(moe_ctx_t *c, moe_tensor_t *weights,
                               moe_tensor_t *index);

/** Whose each row of an index of pairs is, [n][3]: rank, row, slot. */
moe_tensor_t *moe_origins(moe_ctx_t *c, moe_tensor_t *index);

/** Rows by the member that they came from, as their origins say; those of a
 * member stay in their order. @param[in] rows_per_member  [R] planned. */
moe_tensor_t *moe_sort_sources(moe_ctx_t *c, moe_tensor_t *origins,
                               moe_group_t group,
                               const int64_t *rows_per_member);

/* --- rows by an index --------------------------------------------------- */

/** One row a (row, slot) pair of the index, from grouped rows; a pair that
 * it leaves out is a row of zeros. */
moe_tensor_t *moe_scatter_rows(moe_ctx_t *c, moe_tensor_t *rows,
                               moe_tensor_t *index);

/**
 * Sum of the grouped rows of each row of the index, unweighted, in the order
 * of its slots: in the combine format, bf16 where that is quantised
 * (`faithful`), or unrounded (`exact`).
 */
moe_tensor_t *moe_sum_rows(moe_ctx_t *c, moe_tensor_t *rows,
                           moe_tensor_t *index);

/** Rows as they travel home one by one: in the combine format (`faithful`); in
 * `exact` a float combine format sizes them, no more. To a quantised one, in
 * both, by bf16. */
moe_tensor_t *moe_to_combine(moe_ctx_t *c, moe_tensor_t *rows);

/* --- records ------------------------------------------------------------ */

#define MOE_FIELDS_MAX 6

/**
 * Rows of several tensors as records of bytes, [n][stride]. Every tensor
 * begins at a multiple of align, codes then scales; bytes between are zero.
 *
 * @param[in] stride  Bytes of a record, moe_record_bytes() at least.
 */
moe_tensor_t *moe_pack_rows(moe_ctx_t *c, moe_tensor_t *const *fields, int n,
                            int64_t align, int64_t stride);

/**
 * Back to tensors, which have the places and formats of like's.
 *
 * @param[in]  like    [n] fields that were packed so, here or elsewhere.
 * @param[out] fields  [n] NULL after an error.
 */
void moe_unpack_rows(moe_ctx_t *c, moe_tensor_t *records,
                     moe_tensor_t *const *like, int n, int64_t align,
                     moe_tensor_t **fields);

/** Bytes up to a multiple of a unit. */
static inline int64_t moe_align(int64_t bytes, int64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/** Bytes of a record that fields of so many bytes, codes or scales, take. */
int64_t moe_record_bytes(const int64_t *bytes, int n, int64_t align);

#endif
