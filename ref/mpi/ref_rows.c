/* SPDX-License-Identifier: Apache-2.0 */
/* Counts and types of MPI's collectives: rows, so that bytes may exceed
 * 2^31. */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include <limits.h>
#include <stdlib.h>

static moe_status_t make_type(int64_t row_bytes, MPI_Datatype *type_p)
{
    moe_status_t status;

    if (row_bytes > INT_MAX) {
        return moe_fail(MOE_ERR_RANGE, "a row of %lld bytes is too long",
                        (long long)row_bytes);
    }
    status = MOE_MPI(MPI_Type_contiguous((int)row_bytes, MPI_BYTE, type_p));
    return status == MOE_OK ? MOE_MPI(MPI_Type_commit(type_p)) : status;
}

moe_status_t moe_ref_rows_init(MPI_Comm comm, int64_t row_bytes, int n,
                               moe_ref_rows_t *rows_p)
{
    moe_ref_rows_t rows = {.comm = comm, .n = n};
    moe_status_t status;

    rows.send_n = calloc(4 * (size_t)n, sizeof(*rows.send_n));
    if (rows.send_n == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for counts");
    }
    rows.send_at = rows.send_n + n;
    rows.recv_n = rows.send_at + n;
    rows.recv_at = rows.recv_n + n;
    status = make_type(row_bytes, &rows.row);
    if (status != MOE_OK) {
        free(rows.send_n);
        return status;
    }
    *rows_p = rows;
    return MOE_OK;
}

void moe_ref_rows_fini(moe_ref_rows_t *rows)
{
    (void)MPI_Type_free(&rows->row);
    free(rows->send_n);
}

static moe_status_t set(int *n_p, int *at_p, int64_t n, int64_t at)
{
    if (n > INT_MAX || at > INT_MAX - n) {
        return moe_fail(MOE_ERR_RANGE, "%lld rows are more than MPI counts",
                        (long long)(at + n));
    }
    *n_p = (int)n;
    *at_p = (int)at;
    return MOE_OK;
}

moe_status_t moe_ref_rows_send(moe_ref_rows_t *rows, int member, int64_t at,
                               int64_t n)
{
    return set(&rows->send_n[member], &rows->send_at[member], n, at);
}

moe_status_t moe_ref_rows_recv(moe_ref_rows_t *rows, int member, int64_t at,
                               int64_t n)
{
    return set(&rows->recv_n[member], &rows->recv_at[member], n, at);
}

void moe_ref_note(moe_ledger_mpi_t *mpi, const char *function, int64_t bytes)
{
    if (mpi->function == NULL) {
        mpi->function = function;
    } else if (mpi->function != function) {
        mpi->second = function;
    }
    mpi->calls++;
    mpi->bytes += bytes;
}
