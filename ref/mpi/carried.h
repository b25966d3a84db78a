/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Unrounded rows that are kept, inside of the reference backend.
 */
#ifndef REF_MPI_CARRIED_H
#define REF_MPI_CARRIED_H

#include "ref/mpi/backend_inside.h"

/* An open element: its terms are [first, first + n) of the list's. */
typedef struct {
    int64_t row;
    int64_t col;
    int64_t first;
    int64_t n;
} moe_ref_carried_open_t;

typedef struct moe_ref_carried {
    moe_sum_t *sum; /* [rows][cols] */
    int64_t cols;
    moe_ref_carried_open_t *open; /* by row, then column */
    int64_t n_open;
    int64_t open_room;
    double *term;
    int64_t n_terms;
    int64_t term_room;
    int64_t most; /* terms of one element */
} moe_ref_carried_t;

/** Rows of zeros; NULL without memory. free accepts NULL. */
moe_ref_carried_t *moe_ref_carried_create(int64_t rows, int64_t cols);
void moe_ref_carried_free(moe_ref_carried_t *carried);

/** Expansions of the rows from row on, [][cols]. */
moe_sum_t *moe_ref_carried_sums(const moe_ref_carried_t *carried, int64_t row);

/** Exact terms of an element, and the most that one has. */
int64_t moe_ref_carried_terms(const moe_ref_carried_t *carried, int64_t row,
                              int64_t col, double *out);
int64_t moe_ref_carried_most(const moe_ref_carried_t *carried);

/** Rows of a float format, or unrounded ones, into kept ones. */
moe_status_t moe_ref_carry(const moe_tensor_t *in, const moe_tensor_t *out);

/** Weighted sums of any rows by an index into kept ones. weights NULL: all are
 * 1. */
moe_status_t moe_ref_sum_carried(const moe_tensor_t *rows,
                                 const moe_ref_index_t *index,
                                 const float *weights, moe_tensor_t *out);

/** Kept rows of zeros that no context knows, like others in all but their
 * number; ended with moe_ref_carried_free(.data). Data NULL: no memory. */
moe_tensor_t moe_ref_carried_like(const moe_tensor_t *like, int64_t rows);

/** An all-to-all-v of unrounded rows, and reductions that leave them so
 * (ref_collectives.c, ref_carried_reduce.c). */
moe_status_t moe_ref_alltoall_carried(const moe_call_t *call, MPI_Comm comm,
                                      moe_ledger_mpi_t *mpi);
moe_status_t moe_ref_reduce_carried(const moe_call_t *call, MPI_Comm comm,
                                    moe_ledger_mpi_t *mpi);
int64_t moe_ref_reduce_carried_bytes(const moe_call_t *call);

/** One more open element, after those before it in rows and columns. */
moe_status_t moe_ref_carried_add_open(moe_ref_carried_t *carried, int64_t row,
                                      int64_t col, const double *term,
                                      int64_t n);

/** First open element not before (row, col). */
int64_t moe_ref_carried_find(const moe_ref_carried_t *carried, int64_t row,
                             int64_t col);

/** Fill rows from any unrounded tensor, open elements with their terms. */
moe_status_t moe_ref_carried_take(const moe_tensor_t *in,
                                  moe_ref_carried_t *carried);

/** An all-to-all of unrounded rows; rows counts rows of 24 bytes an
 * element. In ref_carried.c. */
moe_status_t moe_ref_move_carried(const moe_call_t *call, MPI_Comm comm,
                                  moe_ref_rows_t *rows, moe_ledger_mpi_t *mpi);

#endif
