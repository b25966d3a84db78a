/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions of unrounded rows that leave them so.
 *
 * Every member gets its block of all members' rows and adds them up: an
 * all-to-all of kept rows, so that the terms of open elements come along. In an
 * all-reduce another one gives the sums to every member.
 */
#include "config.h"

#include "ref/mpi/carried.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const moe_call_t *call;
    MPI_Comm comm;
    moe_ledger_mpi_t *mpi;
    int64_t *block; /* [n] rows that each member adds up */
    int64_t *own;   /* [n] own ones, to or from each */
} adding_t;

moe_tensor_t moe_ref_carried_like(const moe_tensor_t *like, int64_t rows)
{
    moe_tensor_t t = *like;

    t.parent = NULL;
    t.dim[0] = t.valid_rows = rows;
    t.carried_exact = t.kept = true;
    memset(t.source, 0, sizeof(t.source));
    t.data = moe_ref_carried_create(rows, like->dim[1]);
    return t;
}

/* Rows that a member adds up. */
static int64_t block_of(const moe_call_t *call, int member)
{
    const moe_range_t block =
        moe_layout_part(call->in[0]->valid_rows, call->n_ranks, member);

    return call->op == MOE_OP_allreduce ? block.end - block.begin
                                        : call->send_rows[member];
}

int64_t moe_ref_reduce_carried_bytes(const moe_call_t *call)
{
    const moe_tensor_t *in = call->in[0];
    const int64_t copies = call->op == MOE_OP_allreduce ? 2 : 1;

    return moe_ref_row_bytes(in,
                             copies * call->n_ranks * block_of(call, call->me) +
                                 (moe_ref_is_kept(in) ? 0 : in->valid_rows));
}

static moe_status_t move(const adding_t *a, const moe_tensor_t *in,
                         moe_tensor_t *out, const int64_t *send,
                         const int64_t *recv)
{
    moe_call_t call = *a->call;

    call.op = MOE_OP_alltoallv;
    call.in[0] = in;
    call.out[0] = out;
    call.send_rows = send;
    call.recv_rows = recv;
    return moe_ref_alltoall_carried(&call, a->comm, a->mpi);
}

/* Sum of an element of all members; open ones with all their terms. */
static moe_status_t add_element(const moe_ref_carried_t *parts, int n,
                                int64_t rows, int64_t row, int64_t col,
                                double *terms, moe_ref_carried_t *out)
{
    moe_sum_t sum = {0.0, 0.0, 0.0};
    int64_t n_terms = 0;

    for (int i = 0; i < n; i++) {
        moe_sum_add(&sum, moe_ref_carried_sums(parts, i * rows + row) + col);
    }
    moe_ref_carried_sums(out, row)[col] = sum;
    if (!(sum.err > 0.0)) {
        return MOE_OK;
    }
    for (int i = 0; i < n; i++) {
        n_terms +=
            moe_ref_carried_terms(parts, i * rows + row, col, terms + n_terms);
    }
    return moe_ref_carried_add_open(out, row, col, terms, n_terms);
}

static moe_status_t add_up(const moe_ref_carried_t *parts, int n, int64_t rows,
                           moe_ref_carried_t *out)
{
    double *terms =
        malloc((size_t)(n * moe_ref_carried_most(parts)) * sizeof(*terms));
    moe_status_t status = MOE_OK;

    if (terms == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a sum");
    }
    for (int64_t i = 0; status == MOE_OK && i < rows * out->cols; i++) {
        status = add_element(parts, n, rows, i / out->cols, i % out->cols,
                             terms, out);
    }
    free(terms);
    return status;
}

/* The first rows once more for every other member. */
static moe_status_t repeat(moe_ref_carried_t *c, int n, int64_t rows)
{
    const int64_t n_open = c->n_open;
    moe_status_t status = MOE_OK;

    for (int i = 1; i < n; i++) {
        memcpy(moe_ref_carried_sums(c, i * rows), c->sum,
               (size_t)(rows * c->cols) * sizeof(*c->sum));
        for (int64_t o = 0; status == MOE_OK && o < n_open; o++) {
            const moe_ref_carried_open_t open = c->open[o];
            double *terms = malloc((size_t)open.n * sizeof(*terms) + 1);

            if (terms == NULL) {
                return moe_fail(MOE_ERR_NOMEM, "no memory for open elements");
            }
            memcpy(terms, c->term + open.first,
                   (size_t)open.n * sizeof(*terms));
            status = moe_ref_carried_add_open(c, i * rows + open.row, open.col,
                                              terms, open.n);
            free(terms);
        }
    }
    return status;
}

/* Own block of all members, added up. */
static moe_status_t scatter(const adding_t *a, moe_ref_carried_t *sums)
{
    const moe_call_t *call = a->call;
    const int64_t rows = a->block[call->me];
    moe_tensor_t parts =
        moe_ref_carried_like(call->in[0], call->n_ranks * rows);
    moe_status_t status;

    if (parts.data == NULL || sums == NULL) {
        moe_ref_carried_free(parts.data);
        return moe_fail(MOE_ERR_NOMEM, "no memory for unrounded rows");
    }
    status = move(a, call->in[0], &parts, a->block, a->own);
    if (status == MOE_OK) {
        status = add_up(parts.data, call->n_ranks, rows, sums);
    }
    moe_ref_carried_free(parts.data);
    return status;
}

static moe_status_t allreduce(const adding_t *a)
{
    const moe_call_t *call = a->call;
    const int64_t rows = a->block[call->me];
    moe_tensor_t sums = moe_ref_carried_like(call->in[0], call->n_ranks * rows);
    moe_status_t status = scatter(a, sums.data);

    if (status == MOE_OK) {
        status = repeat(sums.data, call->n_ranks, rows);
    }
    if (status == MOE_OK) {
        status = move(a, &sums, call->out[0], a->own, a->block);
    }
    moe_ref_carried_free(sums.data);
    return status;
}

moe_status_t moe_ref_reduce_carried(const moe_call_t *call, MPI_Comm comm,
                                    moe_ledger_mpi_t *mpi)
{
    const int n = call->n_ranks;
    adding_t a = {.call = call,
                  .comm = comm,
                  .mpi = mpi,
                  .block = calloc(2 * (size_t)n, sizeof(*a.block))};
    moe_status_t status;

    if (a.block == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a reduction");
    }
    a.own = a.block + n;
    for (int i = 0; i < n; i++) {
        a.block[i] = block_of(call, i);
        a.own[i] = block_of(call, call->me);
    }
    status = call->op == MOE_OP_allreduce ? allreduce(&a)
                                          : scatter(&a, call->out[0]->data);
    free(a.block);
    return status;
}
