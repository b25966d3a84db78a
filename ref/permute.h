/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Sorting (row, slot) pairs by local expert, and gathering rows so.
 */
#ifndef REF_PERMUTE_H
#define REF_PERMUTE_H

#include "base/status.h"
#include "ref/rows.h"

#include <stdint.h>

/** Index of the pairs whose expert is local, by expert, then row. */
typedef struct {
    int64_t n;           /* grouped rows */
    int64_t source_rows; /* rows that ids had */
    int topk;
    int64_t n_experts;
    int64_t *offset; /* [n_experts + 1] first grouped row of an expert */
    int64_t *row;    /* [n] source row of a grouped row; -1: a slot without */
    int64_t *place;  /* [source_rows][k] grouped row of a pair, or -1 */
} moe_ref_index_t;

/** Build; ended with moe_ref_index_fini(). Ids outside [first, first +
 * n_experts), -1 among them, are skipped. fini accepts NULL. */
moe_status_t moe_ref_index_init(const int32_t *ids, int64_t rows, int topk,
                                int64_t first, int64_t n_experts,
                                moe_ref_index_t *index_p);
void moe_ref_index_fini(moe_ref_index_t *index);

/** Bytes of an index of n grouped rows. */
int64_t moe_ref_index_bytes(int64_t rows, int topk, int64_t n_experts,
                            int64_t n);

/** dst row i = src row index->row[i], zeros without one; scales are read in
 * src's layout and written linear. Storages are the same. */
void moe_ref_gather_rows(const moe_rows_t *src, const moe_ref_index_t *index,
                         const moe_rows_t *dst);

/** The same of a part of the rows: src holds rows from `first` on, and rows of
 * dst whose own are not among them are left as they are. */
void moe_ref_gather_some(const moe_rows_t *src, int64_t first,
                         const moe_ref_index_t *index, const moe_rows_t *dst);

#endif
