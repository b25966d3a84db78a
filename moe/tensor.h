/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Tensor handles: shapes that methods pass around and backends give data to.
 */
#ifndef MOE_TENSOR_H
#define MOE_TENSOR_H

#include "moe/chain.h"
#include "moe/format.h"
#include "moe/mapping.h"
#include "moe/vocabulary.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    MOE_PLACE_none,
    MOE_PLACE_host,
    MOE_PLACE_device
} moe_place_t;

typedef enum {
    MOE_SCALES_linear, /* [rows][blocks] */
    MOE_SCALES_128x4,  /* tiles of 128 rows x 4 blocks, rows padded */
    MOE_SCALES_8x4,    /* tiles of 8 rows x 4 blocks */
    MOE_SCALES_COUNT
} moe_scale_layout_t;

const char *moe_scale_layout_name(moe_scale_layout_t layout);

/** What the rows of an index are sorted by, and so what its parts are. */
typedef enum {
    MOE_INDEX_experts,     /* pairs of local experts, by expert */
    MOE_INDEX_pairs,       /* (row, slot) pairs of all experts, by expert */
    MOE_INDEX_members,     /* (row, member) pairs, by member of a group */
    MOE_INDEX_first_slots, /* the same, in the slot of a member's first expert
                            */
    MOE_INDEX_chunks,      /* rows that came in chunks, by local expert */
    MOE_INDEX_sources      /* rows of the experts, by the rank they came from */
} moe_index_kind_t;

/** How a list tells a grouped matmul the rows of its experts; those but none
 * in the order of npu_grouped_matmul's group_list_type, 0 and 1. */
typedef enum {
    MOE_GROUP_LIST_none,
    MOE_GROUP_LIST_cumsum, /* rows up to and with the expert */
    MOE_GROUP_LIST_count   /* rows of the expert */
} moe_group_list_t;

typedef struct moe_tensor moe_tensor_t;

/**
 * A tensor. Rows x cols here; dim[0] = rows, dim[1] = cols.
 *
 * Fields are fixed when the tensor is made. Only backends touch data.
 * A view shares its parent's data from row_offset on.
 */
struct moe_tensor {
    int id; /* from 1, unique in a method's run on a rank */
    moe_role_t role;
    moe_storage_t storage; /* format, quantiser profile, global scale */
    bool carried_exact;    /* modelled in storage.format, held unrounded */
    bool kept;             /* of these: rows that have come from other ranks,
                            * or sums of such: not made late, and the exact
                            * terms of undecided elements are with them */
    bool is_scale;         /* the scales of a block-format tensor */
    moe_dtype_t dtype;     /* of one element: a code, or a scale */
    int ndim;
    int64_t dim[4];
    int64_t row_stride; /* elements from a row to the next */
    int64_t valid_rows; /* rows that hold data, at most dim[0] */
    moe_place_t place;
    moe_tensor_t *scale;             /* block formats: its scales; else NULL */
    moe_scale_layout_t scale_layout; /* of a scale tensor */
    moe_tensor_t *parent;            /* of a view */
    int64_t row_offset;              /* of a view */
    /* an index: rows per part, [n_experts], owned by the tensor; parts are
     * experts from first_expert on, or members */
    moe_index_kind_t index;
    moe_mapping_t mapping; /* of an index */
    int64_t *rows_per_expert;
    int64_t first_expert;
    int64_t n_experts;
    int64_t capacity; /* rows that each part takes; 0: as many as it has */
    int64_t sorted;   /* rows that an index without a source was made from */
    int64_t bin;      /* above 0: rows that each expert computes, with or
                       * without data, of an index; else 0 */
    int64_t block;    /* above 1: experts compute multiples of so many rows of
                       * a part; dim[0] has them, valid_rows those that are */
    moe_group_list_t list_type;
    moe_tensor_t *list; /* [1][n_experts] int64 of that type; without rows
                         * there is none */
    /* what an unrounded sum is made from, kept alive by it */
    moe_tensor_t *source[3];
    int refs;
    int64_t bytes;      /* that the context counts: 0 if made in a stage that
                         * is left out, where nothing touches its memory */
    void *data;         /* the backend's */
    moe_tensor_t *next; /* list of a context */
};

/** Rows and columns. */
static inline int64_t moe_tensor_rows(const moe_tensor_t *t)
{
    return t->dim[0];
}

static inline int64_t moe_tensor_cols(const moe_tensor_t *t)
{
    return t->dim[1];
}

/** An unrounded sum that is made from its sources when it is read, and has
 * no data of its own; or a view of one. */
bool moe_tensor_is_lazy(const moe_tensor_t *t);

/** Bytes of n rows of this tensor alone, without its scales, as modelled. */
int64_t moe_tensor_row_bytes(const moe_tensor_t *t, int64_t n);

#endif
