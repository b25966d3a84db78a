/* SPDX-License-Identifier: Apache-2.0 */
/* Collectives: agreed upon, done by MPI's own, noted in the ledger. */
#include "config.h"

#include "ref/mpi/carried.h"

#include <stdlib.h>
#include <string.h>

/* Rows from each member, one after the other. */
static moe_status_t set_recv(const moe_call_t *call, moe_ref_rows_t *rows)
{
    moe_status_t status = MOE_OK;
    int64_t at = 0;

    for (int i = 0; status == MOE_OK && i < call->n_ranks; i++) {
        status = moe_ref_rows_recv(rows, i, at, call->recv_rows[i]);
        at += call->recv_rows[i];
    }
    return status;
}

static moe_status_t set_send(const moe_call_t *call, moe_ref_rows_t *rows)
{
    moe_status_t status = MOE_OK;
    int64_t at = 0;

    for (int i = 0; status == MOE_OK && i < call->n_ranks; i++) {
        status = moe_ref_rows_send(rows, i, at, call->send_rows[i]);
        at += call->send_rows[i];
    }
    return status;
}

static moe_status_t allgather(const moe_call_t *call, moe_ref_rows_t *rows,
                              moe_ledger_mpi_t *mpi)
{
    moe_status_t status =
        moe_ref_rows_send(rows, 0, 0, call->send_rows[call->me]);

    if (status != MOE_OK) {
        return status;
    }
    moe_ref_note(mpi, "MPI_Allgather",
                 moe_tensor_row_bytes(call->in[0], rows->send_n[0]));
    return MOE_MPI(MPI_Allgather(call->in[0]->data, rows->send_n[0], rows->row,
                                 call->out[0]->data, rows->send_n[0], rows->row,
                                 rows->comm));
}

static moe_status_t allgatherv(const moe_call_t *call, moe_ref_rows_t *rows,
                               moe_ledger_mpi_t *mpi)
{
    moe_status_t status = set_recv(call, rows);

    if (status == MOE_OK) {
        status = moe_ref_rows_send(rows, 0, 0, call->send_rows[call->me]);
    }
    if (status != MOE_OK) {
        return status;
    }
    moe_ref_note(mpi, "MPI_Allgatherv",
                 moe_tensor_row_bytes(call->in[0], rows->send_n[0]));
    return MOE_MPI(MPI_Allgatherv(call->in[0]->data, rows->send_n[0], rows->row,
                                  call->out[0]->data, rows->recv_n,
                                  rows->recv_at, rows->row, rows->comm));
}

static moe_status_t alltoall(const moe_call_t *call, moe_ref_rows_t *rows,
                             moe_ledger_mpi_t *mpi)
{
    moe_status_t status =
        moe_ref_rows_send(rows, 0, 0, call->send_rows[call->me]);

    if (status != MOE_OK) {
        return status;
    }
    moe_ref_note(mpi, "MPI_Alltoall",
                 moe_tensor_row_bytes(call->in[0], rows->send_n[0] *
                                                       (int64_t)call->n_ranks));
    return MOE_MPI(MPI_Alltoall(call->in[0]->data, rows->send_n[0], rows->row,
                                call->out[0]->data, rows->send_n[0], rows->row,
                                rows->comm));
}

static moe_status_t alltoallv(const moe_call_t *call, moe_ref_rows_t *rows,
                              moe_ledger_mpi_t *mpi)
{
    moe_status_t status = set_send(call, rows);

    if (status == MOE_OK) {
        status = set_recv(call, rows);
    }
    if (status != MOE_OK) {
        return status;
    }
    moe_ref_note(
        mpi, "MPI_Alltoallv",
        moe_tensor_row_bytes(call->in[0],
                             moe_mpi_rows(call->send_rows, call->n_ranks)));
    return MOE_MPI(MPI_Alltoallv(call->in[0]->data, rows->send_n, rows->send_at,
                                 rows->row, call->out[0]->data, rows->recv_n,
                                 rows->recv_at, rows->row, rows->comm));
}

static moe_status_t broadcast(const moe_call_t *call, moe_ref_rows_t *rows,
                              moe_ledger_mpi_t *mpi)
{
    bool is_root = call->me == call->root;
    int64_t n =
        is_root ? call->send_rows[call->me] : call->recv_rows[call->root];
    size_t bytes = (size_t)moe_tensor_row_bytes(call->in[0], n);
    moe_status_t status = moe_ref_rows_send(rows, 0, 0, n);

    if (status != MOE_OK) {
        return status;
    }
    if (is_root && bytes > 0 && call->out[0]->data != call->in[0]->data) {
        memcpy(call->out[0]->data, call->in[0]->data, bytes);
    }
    moe_ref_note(mpi, "MPI_Bcast", is_root ? (int64_t)bytes : 0);
    return MOE_MPI(MPI_Bcast(call->out[0]->data, rows->send_n[0], rows->row,
                             call->root, rows->comm));
}

typedef moe_status_t mover_func_t(const moe_call_t *call, moe_ref_rows_t *rows,
                                  moe_ledger_mpi_t *mpi);

static mover_func_t *const movers[MOE_OP_COUNT] = {
    [MOE_OP_allgather] = allgather, [MOE_OP_allgatherv] = allgatherv,
    [MOE_OP_alltoall] = alltoall,   [MOE_OP_alltoallv] = alltoallv,
    [MOE_OP_broadcast] = broadcast,
};

moe_status_t moe_ref_alltoall_carried(const moe_call_t *call, MPI_Comm comm,
                                      moe_ledger_mpi_t *mpi)
{
    int64_t row_bytes = call->in[0]->dim[1] * (int64_t)sizeof(moe_sum_t);
    moe_ref_rows_t rows;
    moe_status_t status;

    if (call->op != MOE_OP_alltoall && call->op != MOE_OP_alltoallv) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "%s of unrounded sums",
                        moe_op_name(call->op));
    }
    status = moe_ref_rows_init(comm, row_bytes, call->n_ranks, &rows);
    if (status != MOE_OK) {
        return status;
    }
    status = set_send(call, &rows);
    if (status == MOE_OK) {
        status = set_recv(call, &rows);
    }
    if (status == MOE_OK) {
        status = moe_ref_move_carried(call, comm, &rows, mpi);
    }
    moe_ref_rows_fini(&rows);
    return status;
}

static moe_status_t move(moe_ref_backend_t *be, const moe_call_t *call,
                         moe_ledger_mpi_t *mpi)
{
    MPI_Comm comm = be->in.world->group[call->group];
    moe_ref_rows_t rows;
    moe_status_t status;

    if (movers[call->op] == NULL) {
        return moe_ref_reduce(be, call, mpi);
    }
    if (call->in[0]->carried_exact) {
        return moe_ref_alltoall_carried(call, comm, mpi);
    }
    status = moe_ref_rows_init(comm, moe_tensor_row_bytes(call->in[0], 1),
                               call->n_ranks, &rows);
    if (status == MOE_OK) {
        status = movers[call->op](call, &rows, mpi);
        moe_ref_rows_fini(&rows);
    }
    return status;
}

/* --- faults on demand ----------------------------------------------------- */

static moe_injection_t *due(moe_ref_backend_t *be, moe_injection_kind_t kind)
{
    return moe_injection_due(be->in.injections, be->in.n_injections, kind,
                             be->in.world->rank);
}

/* Counts off by one; one less where there are some, so that no real transfer
 * leaves its buffer. */
static int64_t *wrong_counts(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_injection_t *wrong = due(be, MOE_INJECTION_count_mismatch);
    int64_t *rows;

    if (wrong == NULL) {
        return NULL;
    }
    rows = calloc((size_t)call->n_ranks, sizeof(*rows));
    for (int i = 0; rows != NULL && i < call->n_ranks; i++) {
        rows[i] = call->send_rows[i] + (call->send_rows[i] > 0 ? -1 : 1);
    }
    wrong->fired = rows != NULL;
    return rows;
}

static moe_intent_t intent_of(const moe_call_t *call, const int64_t *send_rows)
{
    return (moe_intent_t){.call = call->call,
                          .op = call->op,
                          .stage = call->stage,
                          .group = call->group,
                          .dtype = call->in[0]->dtype,
                          .row_bytes = moe_tensor_row_bytes(call->in[0], 1),
                          .root = call->root,
                          .n = call->n_ranks,
                          .me = call->me,
                          .ranks = call->ranks,
                          .send_rows = send_rows,
                          .recv_rows = call->recv_rows};
}

static bool leaves_out(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_injection_t *skip = due(be, MOE_INJECTION_skip_collective);
    const moe_intent_t intent = intent_of(call, call->send_rows);

    if (skip == NULL || (skip->last && be->n_calls != be->in.n_calls)) {
        return false;
    }
    skip->fired = true;
    moe_agreement_passed(be->in.agreement, &intent);
    return true;
}

static moe_status_t enter(moe_ref_backend_t *be, const moe_call_t *call,
                          const int64_t *send_rows, moe_trace_record_t *record)
{
    const moe_intent_t intent = intent_of(call, send_rows);

    return moe_agreement_enter(be->in.agreement, &intent, &record->agree_s);
}

void moe_ref_computes(const moe_ref_reduction_t *r)
{
    moe_runstate_go(r->be->in.world->state);
}

void moe_ref_waits(const moe_ref_reduction_t *r)
{
    const moe_world_t *world = r->be->in.world;

    moe_runstate_wait(world->state, world->places, MOE_REF_PIECE_BYTES,
                      moe_op_name(r->call->op));
}

static moe_status_t perform(moe_ref_backend_t *be, const moe_call_t *call,
                            moe_trace_record_t *record)
{
    moe_world_t *world = be->in.world;
    moe_ledger_mpi_t mpi = {0};
    moe_status_t status;

    moe_runstate_wait(world->state, ++world->places,
                      record->carried * call->n_ranks, moe_op_name(call->op));
    status = move(be, call, &mpi);
    moe_runstate_go(world->state);
    if (status == MOE_OK) {
        status = moe_ledger_add(be->in.ledger, be->use->label, record, &mpi);
    }
    return status;
}

moe_status_t moe_ref_collective(moe_ref_backend_t *be, const moe_call_t *call,
                                moe_trace_record_t *record)
{
    moe_call_t told = *call;
    int64_t *wrong;
    moe_status_t status;

    be->n_calls++;
    if (leaves_out(be, call)) {
        return MOE_OK;
    }
    wrong = wrong_counts(be, call);
    told.send_rows = wrong == NULL ? call->send_rows : wrong;
    status = enter(be, &told, told.send_rows, record);
    /* without agreements the wrong counts go to MPI, unless there are none
     * to take from */
    if (wrong != NULL && wrong[call->me] > call->send_rows[call->me]) {
        told.send_rows = call->send_rows;
    }
    if (status == MOE_OK) {
        status = perform(be, &told, record);
    }
    free(wrong);
    return status;
}
