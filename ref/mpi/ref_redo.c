/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roundings that an expansion leaves open: the member that rounds asks all
 * members for their exact terms of the element, point to point, and sums
 * them with as many bits as it takes. Three rounds: how many, which, terms.
 */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include <stdlib.h>

/* What a member asks, what it is answered, and how it answers. */
typedef struct {
    int64_t n;
    int64_t words;         /* of its answers: number of terms, the terms */
    moe_ref_open_t *asked; /* [n] */
    double *answer;        /* [n][our words] */
} asked_t;

typedef struct {
    const moe_ref_reduction_t *r;
    const moe_ref_open_list_t *open;
    int64_t words;          /* of our answers */
    asked_t *by;            /* [members] what each asks of us */
    double **answer;        /* [members] to our own list, [n][its words] */
    moe_message_t *message; /* [2 members] */
    int n_messages;
} redo_t;

static void add_message(redo_t *d, int peer, int is_send, void *data,
                        int64_t size)
{
    d->message[d->n_messages++] = (moe_message_t){peer, is_send, data, size};
}

static moe_status_t exchange(redo_t *d)
{
    moe_status_t status =
        moe_mpi_exchange(d->r->comm, d->message, d->n_messages);

    d->n_messages = 0;
    return status;
}

static moe_status_t tell_counts(redo_t *d)
{
    int64_t own[2] = {d->open->n, d->words};
    moe_status_t status;

    for (int i = 0; i < d->r->call->n_ranks; i++) {
        if (i != d->r->call->me) {
            add_message(d, i, 0, &d->by[i].n, (int64_t)sizeof(own));
            add_message(d, i, 1, own, (int64_t)sizeof(own));
        }
    }
    status = exchange(d);
    d->by[d->r->call->me].words = d->words;
    return status;
}

static bool make_room(redo_t *d, int i)
{
    asked_t *by = &d->by[i];
    size_t asked = (size_t)by->n;

    by->asked = malloc((asked + 1) * sizeof(*by->asked));
    by->answer =
        calloc(1, (asked + 1) * (size_t)d->words * sizeof(*by->answer));
    d->answer[i] = calloc(1, ((size_t)d->open->n + 1) * (size_t)by->words *
                                 sizeof(*d->answer[i]));
    return by->asked != NULL && by->answer != NULL && d->answer[i] != NULL;
}

static moe_status_t ask(redo_t *d)
{
    int64_t item = (int64_t)sizeof(moe_ref_open_t);

    for (int i = 0; i < d->r->call->n_ranks; i++) {
        if (!make_room(d, i)) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for open roundings");
        }
        if (i != d->r->call->me) {
            add_message(d, i, 0, d->by[i].asked, d->by[i].n * item);
            add_message(d, i, 1, d->open->item, d->open->n * item);
        }
    }
    return exchange(d);
}

static void answer_one(const moe_tensor_t *in, const moe_ref_open_t *open,
                       double *out)
{
    out[0] = (double)moe_ref_element(in, open->row, open->col, out + 1);
}

static moe_status_t answer(redo_t *d)
{
    const moe_call_t *call = d->r->call;
    int64_t item = d->words * (int64_t)sizeof(double);

    for (int i = 0; i < call->n_ranks; i++) {
        if (i == call->me) {
            continue;
        }
        for (int64_t j = 0; j < d->by[i].n; j++) {
            answer_one(call->in[0], &d->by[i].asked[j],
                       d->by[i].answer + j * d->words);
        }
        add_message(d, i, 0, d->answer[i],
                    d->open->n * d->by[i].words * (int64_t)sizeof(double));
        add_message(d, i, 1, d->by[i].answer, d->by[i].n * item);
    }
    for (int64_t j = 0; j < d->open->n; j++) {
        answer_one(call->in[0], &d->open->item[j],
                   d->answer[call->me] + j * d->words);
    }
    return exchange(d);
}

static void decide(const redo_t *d, int64_t j, double *terms)
{
    const moe_ref_reduction_t *r = d->r;
    const moe_ref_open_t *open = &d->open->item[j];
    const moe_tensor_t *out = r->call->out[0];
    int64_t own_row = open->row - r->at[r->call->me];
    int64_t n = 0;

    for (int i = 0; i < r->call->n_ranks; i++) {
        const double *words = d->answer[i] + j * d->by[i].words;

        for (int t = 0; t < (int)words[0]; t++) {
            terms[n++] = words[1 + t];
        }
    }
    moe_ref_store(out, r->out_row + own_row, open->col,
                  moe_ref_round_terms(terms, n, out->storage.format));
}

static moe_status_t decide_all(const redo_t *d)
{
    size_t most = 0;
    double *terms;

    for (int i = 0; i < d->r->call->n_ranks; i++) {
        most += (size_t)d->by[i].words;
    }
    terms = malloc(most * sizeof(*terms));
    if (terms == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for open roundings");
    }
    for (int64_t j = 0; j < d->open->n; j++) {
        decide(d, j, terms);
    }
    free(terms);
    return MOE_OK;
}

/* Nobody asks us, and we ask nobody: nothing follows. */
static bool is_idle(const redo_t *d)
{
    int64_t n = d->open->n;

    for (int i = 0; i < d->r->call->n_ranks; i++) {
        n += d->by[i].n;
    }
    return n == 0;
}

static moe_status_t redo(redo_t *d)
{
    moe_status_t status = tell_counts(d);

    if (status != MOE_OK || is_idle(d)) {
        return status;
    }
    status = ask(d);
    if (status == MOE_OK) {
        status = answer(d);
    }
    return status == MOE_OK ? decide_all(d) : status;
}

moe_status_t moe_ref_redo(const moe_ref_reduction_t *r,
                          const moe_ref_open_list_t *open)
{
    size_t n = (size_t)r->call->n_ranks;
    redo_t d = {.r = r,
                .open = open,
                .words = 1 + moe_ref_element_most(r->call->in[0])};
    moe_status_t status = MOE_ERR_NOMEM;

    d.by = calloc(n, sizeof(*d.by));
    d.answer = calloc(n, sizeof(*d.answer));
    d.message = calloc(2 * n, sizeof(*d.message));
    if (d.by != NULL && d.answer != NULL && d.message != NULL) {
        status = redo(&d);
    }
    for (size_t i = 0; d.by != NULL && d.answer != NULL && i < n; i++) {
        free(d.by[i].asked);
        free(d.by[i].answer);
        free(d.answer[i]);
    }
    free(d.by);
    free(d.answer);
    free(d.message);
    return status == MOE_OK ? MOE_OK
                            : moe_fail(status, "no memory for open roundings");
}
