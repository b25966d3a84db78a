/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Indices of rows that travel one by one: by destination, in slots, or as
 * they came in chunks. Each is ended with moe_ref_index_fini().
 */
#ifndef REF_SORT_H
#define REF_SORT_H

#include "ref/permute.h"

#include <stdbool.h>

/** (row, slot) pairs of n_experts experts; capacity rows an expert, the rest
 * of them without a row (-1), pairs beyond left out. */
moe_status_t moe_ref_sort_slots(const int32_t *ids, int64_t rows, int topk,
                                int64_t n_experts, int64_t capacity,
                                moe_ref_index_t *index_p);

/** What rows are sorted by. */
typedef struct {
    const int64_t *of_expert; /* [n_experts] member of each, below n; or -1 */
    int64_t n_experts;
    int64_t n;
    bool in_slots; /* a row has a member in the slot of its first expert there;
                    * else its members are listed in their order */
} moe_ref_members_t;

/** (row, member) pairs, each once, by member, then row. */
moe_status_t moe_ref_sort_members(const int32_t *ids, int64_t rows, int topk,
                                  const moe_ref_members_t *members,
                                  moe_ref_index_t *index_p);

/**
 * Rows in chunks [n_sources][n_experts], by expert, then source.
 * @param[in] stride  Rows from a chunk to the next; 0: they are tight.
 * @param[in] most    Of an expert, later ones have no place; 0: all have.
 */
moe_status_t moe_ref_sort_chunks(const int64_t *chunk, int64_t n_sources,
                                 int64_t n_experts, int64_t stride,
                                 int64_t most, moe_ref_index_t *index_p);

/** dst row i k + s = grouped row of pair (i, s), zeros without one; linear
 * scales. */
void moe_ref_scatter_rows(const moe_rows_t *src, const moe_ref_index_t *index,
                          const moe_rows_t *dst);

#endif
