/* SPDX-License-Identifier: Apache-2.0 */
/* Unrounded rows from rank to rank: the rows by MPI's all-to-all-v, the terms
 * of open elements beside them, point to point. */
#include "config.h"

#include "ref/mpi/carried.h"

#include <stdlib.h>

/* What goes to a member beside its rows, or comes from it. */
typedef struct {
    int64_t size[2];              /* open elements, their terms */
    int64_t at;                   /* first of the open elements that go */
    int64_t row;                  /* at which its rows begin */
    moe_ref_carried_open_t *open; /* that come */
    double *term;
} beside_t;

typedef struct {
    const moe_call_t *call;
    MPI_Comm comm;
    const moe_ref_carried_t *from;
    moe_ref_carried_t *to;
    beside_t *send; /* [n] */
    beside_t *recv;
    moe_message_t *message; /* [4 n] */
    int n_messages;
} moving_t;

static void add_message(moving_t *m, int peer, int is_send, void *data,
                        int64_t bytes)
{
    if (bytes > 0) {
        m->message[m->n_messages++] =
            (moe_message_t){peer, is_send, data, bytes};
    }
}

static moe_status_t exchange(moving_t *m)
{
    moe_status_t status = moe_mpi_exchange(m->comm, m->message, m->n_messages);

    m->n_messages = 0;
    return status;
}

static void cut(moving_t *m)
{
    const moe_ref_carried_t *from = m->from;
    int64_t send_row = 0;
    int64_t recv_row = 0;

    for (int i = 0; i < m->call->n_ranks; i++) {
        beside_t *b = &m->send[i];
        int64_t end;

        b->row = send_row;
        send_row += m->call->send_rows[i];
        b->at = moe_ref_carried_find(from, b->row, 0);
        end = moe_ref_carried_find(from, send_row, 0);
        b->size[0] = end - b->at;
        for (int64_t o = b->at; o < end; o++) {
            b->size[1] += from->open[o].n;
        }
        m->recv[i].row = recv_row;
        recv_row += m->call->recv_rows[i];
    }
}

static moe_status_t tell_sizes(moving_t *m)
{
    for (int i = 0; i < m->call->n_ranks; i++) {
        add_message(m, i, 0, m->recv[i].size, sizeof(m->recv[i].size));
        add_message(m, i, 1, m->send[i].size, sizeof(m->send[i].size));
    }
    return exchange(m);
}

static moe_status_t tell_terms(moving_t *m)
{
    for (int i = 0; i < m->call->n_ranks; i++) {
        beside_t *r = &m->recv[i];
        const beside_t *s = &m->send[i];
        int64_t item = (int64_t)sizeof(moe_ref_carried_open_t);
        int64_t term = (int64_t)sizeof(double);

        r->open = malloc((size_t)(r->size[0] * item) + 1);
        r->term = malloc((size_t)(r->size[1] * term) + 1);
        if (r->open == NULL || r->term == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for open elements");
        }
        add_message(m, i, 0, r->open, r->size[0] * item);
        add_message(m, i, 0, r->term, r->size[1] * term);
        if (s->size[0] > 0) {
            add_message(m, i, 1, m->from->open + s->at, s->size[0] * item);
            add_message(m, i, 1, m->from->term + m->from->open[s->at].first,
                        s->size[1] * term);
        }
    }
    return exchange(m);
}

/* Rows are the sender's: they become ours. */
static moe_status_t keep_terms(const moving_t *m, const int64_t *sender_row)
{
    moe_status_t status = MOE_OK;

    for (int i = 0; i < m->call->n_ranks; i++) {
        const beside_t *r = &m->recv[i];
        int64_t at = 0;

        for (int64_t o = 0; status == MOE_OK && o < r->size[0]; o++) {
            status = moe_ref_carried_add_open(
                m->to, r->open[o].row - sender_row[i] + r->row, r->open[o].col,
                r->term + at, r->open[o].n);
            at += r->open[o].n;
        }
    }
    return status;
}

/* Where each member's rows for this rank begin in its own. */
static moe_status_t tell_rows(moving_t *m, int64_t *sender_row)
{
    for (int i = 0; i < m->call->n_ranks; i++) {
        add_message(m, i, 0, &sender_row[i], (int64_t)sizeof(*sender_row));
        add_message(m, i, 1, &m->send[i].row, (int64_t)sizeof(*sender_row));
    }
    return exchange(m);
}

static moe_status_t move_beside(moving_t *m)
{
    int n = m->call->n_ranks;
    int64_t *sender_row = calloc((size_t)n, sizeof(*sender_row));
    moe_status_t status = MOE_ERR_NOMEM;

    m->send = calloc((size_t)n, sizeof(*m->send));
    m->recv = calloc((size_t)n, sizeof(*m->recv));
    m->message = calloc(4 * (size_t)n, sizeof(*m->message));
    if (sender_row == NULL || m->send == NULL || m->recv == NULL ||
        m->message == NULL) {
        status = moe_fail(status, "no memory for open elements");
    } else {
        cut(m);
        status = tell_sizes(m);
    }
    status = status == MOE_OK ? tell_rows(m, sender_row) : status;
    status = status == MOE_OK ? tell_terms(m) : status;
    status = status == MOE_OK ? keep_terms(m, sender_row) : status;
    for (int i = 0; m->recv != NULL && i < n; i++) {
        free(m->recv[i].open);
        free(m->recv[i].term);
    }
    free(sender_row);
    free(m->send);
    free(m->recv);
    free(m->message);
    return status;
}

moe_status_t moe_ref_move_carried(const moe_call_t *call, MPI_Comm comm,
                                  moe_ref_rows_t *rows, moe_ledger_mpi_t *mpi)
{
    const moe_tensor_t *in = call->in[0];
    bool made = !moe_ref_is_kept(in);
    moe_ref_carried_t *own =
        made ? moe_ref_carried_create(in->valid_rows, in->dim[1]) : in->data;
    moving_t m = {
        .call = call, .comm = comm, .from = own, .to = call->out[0]->data};
    moe_status_t status;

    if (own == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for unrounded rows");
    }
    status = made ? moe_ref_carried_take(in, own) : MOE_OK;
    if (status == MOE_OK) {
        moe_ref_note(mpi, "MPI_Alltoallv",
                     in->valid_rows * in->dim[1] * (int64_t)sizeof(moe_sum_t));
        status = MOE_MPI(MPI_Alltoallv(own->sum, rows->send_n, rows->send_at,
                                       rows->row, m.to->sum, rows->recv_n,
                                       rows->recv_at, rows->row, rows->comm));
    }
    status = status == MOE_OK ? move_beside(&m) : status;
    if (made) {
        moe_ref_carried_free(own);
    }
    return status;
}
