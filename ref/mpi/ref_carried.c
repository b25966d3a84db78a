/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unrounded rows that are kept: what an all-to-all brought, or what was made
 * of such rows.
 *
 * An element is an expansion with an error bound, 24 bytes. Where the bound
 * is not 0 the element is open: its exact terms go with it, in a list beside
 * the rows, from rank to rank, so that whoever rounds at last decides without
 * asking. Such elements are rare: 106 bits hold nearly every sum.
 */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include "base/checked.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* An open element: its terms are [first, first + n) of the list's. */
typedef struct {
    int64_t row;
    int64_t col;
    int64_t first;
    int64_t n;
} open_t;

struct moe_ref_carried {
    moe_sum_t *sum; /* [rows][cols] */
    int64_t cols;
    open_t *open; /* by row, then column */
    int64_t n_open;
    int64_t open_room;
    double *term;
    int64_t n_terms;
    int64_t term_room;
    int64_t most; /* terms of one element */
};

moe_ref_carried_t *moe_ref_carried_create(int64_t rows, int64_t cols)
{
    moe_ref_carried_t *c = calloc(1, sizeof(*c));
    size_t n;

    if (c != NULL && moe_mul_size(rows, cols, &n)) {
        c->sum = calloc(n + 1, sizeof(*c->sum));
    }
    if (c == NULL || c->sum == NULL) {
        free(c);
        return NULL;
    }
    c->cols = cols;
    c->most = 2;
    return c;
}

void moe_ref_carried_free(moe_ref_carried_t *c)
{
    if (c != NULL) {
        free(c->sum);
        free(c->open);
        free(c->term);
        free(c);
    }
}

moe_sum_t *moe_ref_carried_sums(const moe_ref_carried_t *c, int64_t row)
{
    return c->sum + row * c->cols;
}

int64_t moe_ref_carried_most(const moe_ref_carried_t *c)
{
    return c->most;
}

static void *grown(void *old, int64_t *room_p, int64_t need, size_t size)
{
    int64_t room = *room_p * 2 > need ? *room_p * 2 : need + 16;
    void *p = realloc(old, (size_t)room * size);

    *room_p = p != NULL ? room : *room_p;
    return p;
}

static moe_status_t add_open(moe_ref_carried_t *c, int64_t row, int64_t col,
                             const double *term, int64_t n)
{
    if (c->n_open == c->open_room) {
        open_t *open =
            grown(c->open, &c->open_room, c->n_open + 1, sizeof(*open));

        if (open == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for open elements");
        }
        c->open = open;
    }
    if (c->n_terms + n > c->term_room) {
        double *more =
            grown(c->term, &c->term_room, c->n_terms + n, sizeof(*more));

        if (more == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for open elements");
        }
        c->term = more;
    }
    c->open[c->n_open++] = (open_t){row, col, c->n_terms, n};
    memcpy(c->term + c->n_terms, term, (size_t)n * sizeof(*term));
    c->n_terms += n;
    c->most = n > c->most ? n : c->most;
    return MOE_OK;
}

/* First open element not before (row, col). */
static int64_t find_open(const moe_ref_carried_t *c, int64_t row, int64_t col)
{
    int64_t low = 0;
    int64_t high = c->n_open;

    while (low < high) {
        int64_t mid = (low + high) / 2;
        const open_t *o = &c->open[mid];

        if (o->row < row || (o->row == row && o->col < col)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

int64_t moe_ref_carried_terms(const moe_ref_carried_t *c, int64_t row,
                              int64_t col, double *out)
{
    const moe_sum_t *sum = moe_ref_carried_sums(c, row) + col;
    const open_t *o;

    if (!(sum->err > 0.0)) {
        out[0] = sum->hi;
        out[1] = sum->lo;
        return 2;
    }
    o = &c->open[find_open(c, row, col)];
    memcpy(out, c->term + o->first, (size_t)o->n * sizeof(*out));
    return o->n;
}

/* --- made here -------------------------------------------------------------
 */

/* Sums of any unrounded tensor, and the terms of its open elements. */
static moe_status_t take_rows(const moe_tensor_t *in, moe_ref_carried_t *c)
{
    double *terms = malloc((size_t)moe_ref_element_most(in) * sizeof(*terms));
    moe_status_t status = MOE_OK;

    if (terms == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a sum");
    }
    moe_ref_sums(in, 0, in->valid_rows, c->sum);
    for (int64_t i = 0; status == MOE_OK && i < in->valid_rows * c->cols; i++) {
        if (c->sum[i].err > 0.0) {
            int64_t n = moe_ref_element(in, i / c->cols, i % c->cols, terms);

            status = add_open(c, i / c->cols, i % c->cols, terms, n);
        }
    }
    free(terms);
    return status;
}

moe_status_t moe_ref_carry(const moe_tensor_t *in, const moe_tensor_t *out)
{
    moe_ref_carried_t *c = out->data;
    moe_rows_t rows = moe_ref_rows(in);
    double value;

    if (in->carried_exact) {
        return take_rows(in, c);
    }
    for (int64_t i = 0; i < in->valid_rows * c->cols; i++) {
        moe_rows_values(&rows, i / c->cols, i % c->cols, 1, &value);
        c->sum[i] = (moe_sum_t){value, 0.0, 0.0};
    }
    return MOE_OK;
}

/* Weighted sums of unrounded rows. */
typedef struct {
    const moe_tensor_t *rows;
    const moe_ref_index_t *index;
    const float *weights; /* NULL: all are 1 */
    double *terms;
    moe_ref_carried_t *out;
} summing_t;

/* Weight times value as two exact terms. */
static int64_t add_product(double weight, double value, double *out)
{
    double product = weight * value;

    out[0] = product;
    out[1] = isfinite(product) ? fma(weight, value, -product) : 0.0;
    return 2;
}

/* Exact terms of an element of the sum. */
static int64_t sum_terms(const summing_t *s, int64_t row, int64_t col)
{
    int topk = s->index->topk;
    int64_t most = moe_ref_element_most(s->rows);
    double *from = s->terms + 2 * topk * most;
    int64_t n = 0;

    for (int slot = 0; slot < topk; slot++) {
        int64_t at = row * topk + slot;
        int64_t place = s->index->place[at];
        int64_t m = place < 0 ? 0 : moe_ref_element(s->rows, place, col, from);

        for (int64_t i = 0; i < m; i++) {
            n += add_product(s->weights == NULL ? 1.0 : (double)s->weights[at],
                             from[i], s->terms + n);
        }
    }
    return n;
}

/* Unweighted sum of kept rows; open if one of them is, or it lost bits. */
static moe_sum_t add_kept(const summing_t *s, int64_t row, int64_t col)
{
    const moe_ref_carried_t *rows = s->rows->data;
    moe_sum_t sum = {0.0, 0.0, 0.0};

    for (int slot = 0; slot < s->index->topk; slot++) {
        int64_t place = s->index->place[row * s->index->topk + slot];

        if (place >= 0) {
            moe_sum_add(&sum, moe_ref_carried_sums(rows, place) + col);
        }
    }
    return sum;
}

static moe_sum_t add_terms(const double *term, int64_t n)
{
    moe_sum_t sum = {0.0, 0.0, 0.0};

    for (int64_t i = 0; i < n; i++) {
        moe_sum_add_value(&sum, term[i]);
    }
    return sum;
}

static moe_status_t sum_element(const summing_t *s, int64_t row, int64_t col)
{
    bool kept = s->weights == NULL && moe_ref_is_kept(s->rows);
    int64_t n = kept ? 0 : sum_terms(s, row, col);
    moe_sum_t sum = kept ? add_kept(s, row, col) : add_terms(s->terms, n);

    moe_ref_carried_sums(s->out, row)[col] = sum;
    if (!(sum.err > 0.0)) {
        return MOE_OK;
    }
    n = kept ? sum_terms(s, row, col) : n;
    return add_open(s->out, row, col, s->terms, n);
}

moe_status_t moe_ref_sum_carried(const moe_call_t *call)
{
    int64_t most = moe_ref_element_most(call->in[0]);
    summing_t s = {.rows = call->in[0],
                   .index = moe_ref_index_of(call->in[1]),
                   .weights = call->n_in > 2 ? call->in[2]->data : NULL,
                   .out = call->out[0]->data};
    moe_status_t status = MOE_OK;

    if (s.index == NULL) {
        return MOE_OK;
    }
    s.terms =
        malloc((size_t)((2 * s.index->topk + 1) * most) * sizeof(*s.terms));
    if (s.terms == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a sum");
    }
    for (int64_t i = 0; status == MOE_OK && i < call->out[0]->valid_rows; i++) {
        for (int64_t c = 0; status == MOE_OK && c < s.out->cols; c++) {
            status = sum_element(&s, i, c);
        }
    }
    free(s.terms);
    return status;
}

/* --- moved -----------------------------------------------------------------
 */

/* What goes to a member beside its rows, or comes from it. */
typedef struct {
    int64_t size[2]; /* open elements, their terms */
    int64_t at;      /* first of the open elements that go */
    int64_t row;     /* at which its rows begin */
    open_t *open;    /* that come */
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
        b->at = find_open(from, b->row, 0);
        end = find_open(from, send_row, 0);
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
        int64_t item = (int64_t)sizeof(open_t);
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
            status = add_open(m->to, r->open[o].row - sender_row[i] + r->row,
                              r->open[o].col, r->term + at, r->open[o].n);
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
    status = made ? take_rows(in, own) : MOE_OK;
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
