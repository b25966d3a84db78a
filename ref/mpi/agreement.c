/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/mpi/agreement_wire.h"
#include "ref/mpi/comm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a failed rank waits for the others before it ends them. */
#define PATIENCE_S 5.0

struct moe_agreement {
    moe_world_t *world;
    bool enabled;
    moe_told_t own;   /* method, call, label so far */
    moe_told_t sent;  /* in the agreement under way */
    moe_told_t *told; /* [W] */
    int64_t *counts;  /* [W + 1][2 W]: all ranks', then own */
    int64_t number;   /* of agreements so far */
    double seconds;
    moe_status_t broken; /* of the first disagreement or failure */
    moe_status_t cause;  /* status of the rank that failed */
    bool speaks;
    bool complete;
};

moe_status_t moe_agreement_create(moe_world_t *world, bool enabled,
                                  moe_agreement_t **agreement_p)
{
    size_t ranks = (size_t)world->size;
    moe_agreement_t *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for agreements");
    }
    a->told = calloc(ranks, sizeof(*a->told));
    a->counts = calloc((ranks + 1) * 2 * ranks, sizeof(*a->counts));
    if (a->told == NULL || a->counts == NULL) {
        moe_agreement_free(a);
        return moe_fail(MOE_ERR_NOMEM, "no memory for agreements");
    }
    a->world = world;
    a->enabled = enabled;
    a->complete = true;
    *agreement_p = a;
    return MOE_OK;
}

void moe_agreement_free(moe_agreement_t *agreement)
{
    if (agreement != NULL) {
        free(agreement->told);
        free(agreement->counts);
        free(agreement);
    }
}

void moe_agreement_method(moe_agreement_t *agreement, const char *label)
{
    agreement->own.method++;
    agreement->own.call = 0;
    (void)snprintf(agreement->own.label, sizeof(agreement->own.label), "%s",
                   label);
}

/* The call of an intent, as the others are told of it. */
static void note_call(const moe_intent_t *intent, moe_told_t *told)
{
    told->call = intent->call;
    told->op = intent->op;
    told->stage = intent->stage;
    told->group = intent->group;
    told->dtype = intent->dtype;
    told->row_bytes = intent->row_bytes;
    told->root = intent->root;
    told->n = intent->n;
    told->me = intent->me;
    told->leader = intent->ranks[0];
    told->send_rows = moe_mpi_rows(intent->send_rows, intent->n);
    told->recv_rows = moe_mpi_rows(intent->recv_rows, intent->n);
}

void moe_agreement_passed(moe_agreement_t *agreement,
                          const moe_intent_t *intent)
{
    note_call(intent, &agreement->own);
}

/* The failed rank's message, told to all. */
static moe_status_t hear(moe_agreement_t *a, int failed)
{
    const moe_told_t *t = &a->told[failed];
    char text[MOE_AGREEMENT_TEXT] = "";
    MPI_Request request;
    moe_status_t status;

    if (failed == a->world->rank) {
        (void)snprintf(text, sizeof(text), "%s", moe_error_text());
    }
    status = MOE_MPI(MPI_Ibcast(text, (int)sizeof(text), MPI_CHAR, failed,
                                a->world->shadow, &request));
    if (status == MOE_OK) {
        status = moe_mpi_wait(&request, 1);
    }
    a->speaks = failed == a->world->rank;
    a->cause = (moe_status_t)t->status;
    if (status != MOE_OK || a->speaks) {
        return status != MOE_OK ? status : (moe_status_t)t->status;
    }
    text[sizeof(text) - 1] = '\0';
    return moe_fail(MOE_ERR_PEER, "rank %d: %s", failed, text);
}

static moe_status_t disagree(moe_agreement_t *a, const char *text)
{
    a->speaks = a->world->rank == 0;
    moe_error_clear();
    return moe_fail(MOE_ERR_DISAGREE, "%s", text);
}

static moe_status_t judge_headers(moe_agreement_t *a, const moe_tellings_t *all)
{
    char text[MOE_AGREEMENT_TEXT];
    int failed = moe_tellings_failed(all);

    if (!moe_tellings_agree(all, text, sizeof(text))) {
        return disagree(a, text);
    }
    return failed >= 0 ? hear(a, failed) : MOE_OK;
}

/* Every rank's header to every rank. A rank that failed does not wait for
 * ever. */
static moe_status_t tell(moe_agreement_t *a, const moe_told_t *own)
{
    double patience = own->kind == MOE_TOLD_failed ? PATIENCE_S : -1.0;
    int n = (int)sizeof(*own);
    MPI_Request request;
    int done = 0;
    moe_status_t status = MOE_MPI(MPI_Iallgather(
        own, n, MPI_BYTE, a->told, n, MPI_BYTE, a->world->shadow, &request));

    if (status == MOE_OK) {
        status = moe_mpi_wait_for(&request, 1, patience, &done);
    }
    if (status == MOE_OK && !done) {
        a->complete = false;
        a->speaks = true;
        status = (moe_status_t)own->status;
    }
    return status;
}

static moe_status_t tell_counts(moe_agreement_t *a, moe_tellings_t *all)
{
    int64_t *own = a->counts + 2 * all->ranks * (int64_t)all->ranks;
    MPI_Request request;
    moe_status_t status;

    /* from [2 W] to what the widest group needs */
    memmove(own + all->width, own + all->ranks,
            (size_t)all->width * sizeof(*own));
    status = MOE_MPI(MPI_Iallgather(own, (int)(2 * all->width), MPI_INT64_T,
                                    a->counts, (int)(2 * all->width),
                                    MPI_INT64_T, a->world->shadow, &request));
    return status == MOE_OK ? moe_mpi_wait(&request, 1) : status;
}

static moe_status_t agree(moe_agreement_t *a, const moe_told_t *own)
{
    moe_tellings_t all = {a->world->size, a->told, 0, a->counts};
    char text[MOE_AGREEMENT_TEXT];
    moe_status_t status = tell(a, own);

    if (status != MOE_OK) {
        return status;
    }
    status = judge_headers(a, &all);
    if (status != MOE_OK || own->kind != MOE_TOLD_enter) {
        return status;
    }
    for (int r = 0; r < all.ranks; r++) {
        all.width = a->told[r].n > all.width ? a->told[r].n : all.width;
    }
    status = tell_counts(a, &all);
    if (status == MOE_OK && !moe_tellings_fit(&all, text, sizeof(text))) {
        status = disagree(a, text);
    }
    return status;
}

/* An agreement, timed, with the rank shown as waiting. */
static moe_status_t meet(moe_agreement_t *a, const moe_told_t *own,
                         const char *what, double *seconds_p)
{
    double begin = moe_mpi_now();
    moe_status_t status;
    double seconds;

    a->sent = *own;
    if (a->broken != MOE_OK) {
        return a->broken;
    }
    if (own->kind != MOE_TOLD_failed) {
        moe_runstate_wait(a->world->state, (INT64_C(1) << 40) + ++a->number, 0,
                          what);
    }
    status = agree(a, &a->sent);
    if (own->kind != MOE_TOLD_failed) {
        moe_runstate_go(a->world->state);
    }
    seconds = moe_mpi_now() - begin;
    a->seconds += seconds;
    a->broken = status;
    if (status == MOE_ERR_MPI) {
        a->complete = false;
        a->speaks = true;
    }
    if (seconds_p != NULL) {
        *seconds_p += seconds;
    }
    return status;
}

moe_status_t moe_agreement_enter(moe_agreement_t *agreement,
                                 const moe_intent_t *intent, double *seconds_p)
{
    moe_agreement_t *a = agreement;
    int64_t *own = a->counts + 2 * a->world->size * (int64_t)a->world->size;
    size_t bytes = (size_t)intent->n * sizeof(*own);
    moe_told_t told;

    note_call(intent, &a->own);
    if (!a->enabled) {
        return a->broken;
    }
    told = a->own;
    told.kind = MOE_TOLD_enter;
    memset(own, 0, 2 * (size_t)a->world->size * sizeof(*own));
    memcpy(own, intent->send_rows, bytes);
    memcpy(own + a->world->size, intent->recv_rows, bytes);
    return meet(a, &told, moe_op_name(intent->op), seconds_p);
}

moe_status_t moe_agreement_finish(moe_agreement_t *agreement,
                                  moe_status_t status, const char *where)
{
    moe_told_t told = agreement->own;
    moe_status_t agreed;

    told.kind = status == MOE_OK ? MOE_TOLD_finish : MOE_TOLD_failed;
    told.status = status;
    if (status == MOE_OK) {
        (void)snprintf(told.label, sizeof(told.label), "%s", where);
    }
    agreed = meet(agreement, &told, where, NULL);
    if (status == MOE_OK || agreed == MOE_ERR_DISAGREE) {
        status = agreed;
    }
    if (status != MOE_OK && status != MOE_ERR_PEER) {
        moe_runstate_fail(agreement->world->state, status, moe_error_text());
    }
    return status;
}

moe_status_t moe_agreement_cause(const moe_agreement_t *agreement,
                                 moe_status_t status)
{
    return status == MOE_ERR_PEER && agreement->cause != MOE_OK
               ? agreement->cause
               : status;
}

bool moe_agreement_speaks(const moe_agreement_t *agreement)
{
    return agreement->speaks;
}

bool moe_agreement_complete(const moe_agreement_t *agreement)
{
    return agreement->complete;
}

double moe_agreement_seconds(const moe_agreement_t *agreement)
{
    return agreement->seconds;
}
