/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/mpi/comm.h"

#include "base/checked.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TAG   7
#define PIECE (INT64_C(1) << 30) /* bytes, below the 2^31 of an int count */
#define LONG  65536              /* bytes, of messages that sleep no more */

/* A waiting rank first yields, then sleeps: other ranks may be computing on
 * the same core. */
#define YIELDS        200
#define SLEEP_NS      50000
#define SLEEP_MOST_NS 1000000

moe_status_t moe_mpi_status(int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int n = 0;

    if (code == MPI_SUCCESS) {
        return MOE_OK;
    }
    if (MPI_Error_string(code, text, &n) != MPI_SUCCESS) {
        n = 0;
    }
    text[n] = '\0';
    return moe_fail(MOE_ERR_MPI, "%.*s: %s", (int)strcspn(what, "("), what,
                    text);
}

double moe_mpi_now(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int64_t moe_mpi_rows(const int64_t *rows, int n)
{
    int64_t sum = 0;

    for (int i = 0; i < n; i++) {
        sum += rows[i];
    }
    return sum;
}

static void rest(int64_t round)
{
    struct timespec t = {0, 0};
    int64_t ns = SLEEP_NS * (1 + (round - YIELDS) / 100);

    if (round < YIELDS) {
        (void)sched_yield();
        return;
    }
    t.tv_nsec = ns < SLEEP_MOST_NS ? (long)ns : SLEEP_MOST_NS;
    (void)nanosleep(&t, NULL);
}

moe_status_t moe_mpi_wait_for(MPI_Request *requests, int n, double seconds,
                              int *done_p)
{
    double end = moe_mpi_now() + seconds;
    moe_status_t status = MOE_OK;

    *done_p = 0;
    for (int64_t round = 0; status == MOE_OK; round++) {
        status = MOE_MPI(MPI_Testall(n, requests, done_p, MPI_STATUSES_IGNORE));
        if (*done_p || (seconds >= 0.0 && moe_mpi_now() > end)) {
            break;
        }
        rest(round);
    }
    return status;
}

moe_status_t moe_mpi_wait(MPI_Request *requests, int n)
{
    int done;

    return moe_mpi_wait_for(requests, n, -1.0, &done);
}

void *moe_mpi_bytes(const void *data)
{
    void *bytes;

    memcpy(&bytes, &data, sizeof(bytes));
    return bytes;
}

static moe_status_t post(MPI_Comm comm, const moe_message_t *m, int64_t at,
                         MPI_Request *request)
{
    char *data = (char *)m->data + at;
    int64_t left = m->size - at;
    int n = (int)(left < PIECE ? left : PIECE);

    if (m->is_send) {
        return MOE_MPI(
            MPI_Isend(data, n, MPI_BYTE, m->peer, TAG, comm, request));
    }
    return MOE_MPI(MPI_Irecv(data, n, MPI_BYTE, m->peer, TAG, comm, request));
}

static int64_t count_pieces(const moe_message_t *messages, int n,
                            int64_t *bytes_p)
{
    int64_t pieces = 0;

    *bytes_p = 0;
    for (int i = 0; i < n; i++) {
        pieces += moe_div_up(messages[i].size, PIECE);
        *bytes_p += messages[i].size;
    }
    return pieces;
}

/* Long messages move while their ranks are inside MPI. */
static moe_status_t complete(MPI_Request *requests, int n, int64_t bytes)
{
    if (bytes > LONG) {
        return MOE_MPI(MPI_Waitall(n, requests, MPI_STATUSES_IGNORE));
    }
    return moe_mpi_wait(requests, n);
}

/* After an error: the buffers are the caller's, who frees them, so no request
 * may be left. Open MPI cancels receives only; a send ends when its peer,
 * which is in the same exchange, takes it. */
static void withdraw(MPI_Request *requests, int n)
{
    for (int i = 0; i < n; i++) {
        if (requests[i] != MPI_REQUEST_NULL) {
            (void)MPI_Cancel(&requests[i]);
        }
    }
    for (int i = 0; i < n; i++) {
        (void)moe_mpi_wait(&requests[i], 1);
    }
}

moe_status_t moe_mpi_exchange(MPI_Comm comm, const moe_message_t *messages,
                              int n)
{
    int64_t bytes;
    int64_t pieces = count_pieces(messages, n, &bytes);
    MPI_Request *requests = calloc((size_t)pieces + 1, sizeof(MPI_Request));
    moe_status_t status = MOE_OK;
    int posted = 0;

    if (requests == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld messages",
                        (long long)pieces);
    }
    for (int i = 0; i < n; i++) {
        for (int64_t at = 0; status == MOE_OK && at < messages[i].size;
             at += PIECE) {
            status = post(comm, &messages[i], at, &requests[posted]);
            posted += status == MOE_OK;
        }
    }
    if (status == MOE_OK) {
        status = complete(requests, posted, bytes);
    }
    if (status != MOE_OK) {
        withdraw(requests, posted);
    }
    free(requests);
    return status;
}
