/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/runstate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A slot as it lies in the file. One rank writes it; texts end in a NUL that
 * is never overwritten, so a reader may see a text half changed, but no more
 * than that. */
typedef struct {
    atomic_int pid;
    atomic_int state;
    atomic_ullong changes;
    atomic_int ended;
    atomic_int by_launcher;
    atomic_int status;
    atomic_int exit_status;
    atomic_llong place;
    atomic_llong wait_bytes;
    atomic_llong n_done;
    atomic_llong n_total;
    char unit[MOE_RUNSTATE_UNIT];
    char stage[MOE_RUNSTATE_TEXT];
    char wait[MOE_RUNSTATE_TEXT];
    char error[MOE_RUNSTATE_ERROR];
} slot_t;

struct moe_runstate {
    slot_t *slots; /* [ranks], shared */
    size_t size;
    int ranks;
    slot_t *own; /* a rank's; NULL for the watcher */
};

const char *moe_rank_state_text(moe_rank_state_t state)
{
    static const char *const text[] = {
#define MOE_RANK(id, text) text,
#include "base/runstate.def"
#undef MOE_RANK
    };

    return state >= 0 && state < MOE_RANK_COUNT ? text[state] : "?";
}

static moe_status_t map(int fd, size_t size, moe_runstate_t **state_p)
{
    moe_runstate_t *state = calloc(1, sizeof(*state));
    void *memory;

    if (state == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the run state");
    }
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        free(state);
        return moe_fail(MOE_ERR_IO, "cannot map the run state: %s",
                        strerror(errno));
    }
    state->slots = memory;
    state->size = size;
    state->ranks = (int)(size / sizeof(slot_t));
    *state_p = state;
    return MOE_OK;
}

moe_status_t moe_runstate_create(const char *path, int ranks,
                                 moe_runstate_t **state_p)
{
    size_t size = (size_t)ranks * sizeof(slot_t);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    moe_status_t status;
    int error;

    if (fd < 0) {
        return moe_fail(MOE_ERR_IO, "%s: cannot create the run state: %s", path,
                        strerror(errno));
    }
    error = posix_fallocate(fd, 0, (off_t)size);
    if (error != 0) {
        status = moe_fail(MOE_ERR_IO, "%s: no room for the run state: %s", path,
                          strerror(error));
    } else {
        status = map(fd, size, state_p);
    }
    (void)close(fd);
    if (status != MOE_OK) {
        (void)unlink(path);
    }
    return status;
}

int moe_runstate_ranks(const moe_runstate_t *state)
{
    return state->ranks;
}

static void copy_text(char *to, const char *from, size_t size)
{
    memcpy(to, from, size - 1);
    to[size - 1] = '\0';
}

void moe_runstate_read(const moe_runstate_t *state, int rank,
                       moe_rank_slot_t *slot_p)
{
    slot_t *s = &state->slots[rank];

    slot_p->changes = atomic_load(&s->changes);
    slot_p->pid = atomic_load(&s->pid);
    slot_p->state = (moe_rank_state_t)atomic_load(&s->state);
    slot_p->ended = atomic_load(&s->ended);
    slot_p->by_launcher = atomic_load(&s->by_launcher) != 0;
    slot_p->status = atomic_load(&s->status);
    slot_p->exit_status = atomic_load(&s->exit_status);
    slot_p->place = atomic_load(&s->place);
    slot_p->wait_bytes = atomic_load(&s->wait_bytes);
    slot_p->n_done = atomic_load(&s->n_done);
    slot_p->n_total = atomic_load(&s->n_total);
    copy_text(slot_p->unit, s->unit, sizeof(s->unit));
    copy_text(slot_p->stage, s->stage, sizeof(s->stage));
    copy_text(slot_p->wait, s->wait, sizeof(s->wait));
    copy_text(slot_p->error, s->error, sizeof(s->error));
}

/* --- a rank's side ------------------------------------------------------- */

/* Done and failed are for good. */
static void set_state(slot_t *s, moe_rank_state_t state)
{
    int now = atomic_load(&s->state);

    if (now != MOE_RANK_done && now != MOE_RANK_failed) {
        atomic_store(&s->state, (int)state);
    }
}

static void changed(slot_t *s)
{
    atomic_fetch_add(&s->changes, 1);
}

static moe_status_t take_slot(moe_runstate_t *state, const char *path, int rank)
{
    if (rank < 0 || rank >= state->ranks) {
        return moe_fail(MOE_ERR_INPUT, "%s: no slot for rank %d of %d", path,
                        rank, state->ranks);
    }
    state->own = &state->slots[rank];
    atomic_store(&state->own->pid, (int)getpid());
    atomic_store(&state->own->state, MOE_RANK_starting);
    changed(state->own);
    return MOE_OK;
}

moe_status_t moe_runstate_open(const char *path, int rank,
                               moe_runstate_t **state_p)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    moe_runstate_t *state = NULL;
    moe_status_t status;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        status = moe_fail(MOE_ERR_IO, "%s: cannot open the run state: %s", path,
                          strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    status = map(fd, (size_t)st.st_size, &state);
    (void)close(fd);
    if (status != MOE_OK) {
        return status;
    }
    status = take_slot(state, path, rank);
    if (status != MOE_OK) {
        moe_runstate_close(state);
        return status;
    }
    *state_p = state;
    return MOE_OK;
}

void moe_runstate_close(moe_runstate_t *state)
{
    if (state != NULL) {
        (void)munmap(state->slots, state->size);
        free(state);
    }
}

void moe_runstate_stage(moe_runstate_t *state, const char *format, ...)
{
    va_list args;
    slot_t *s;

    if (state == NULL) {
        return;
    }
    s = state->own;
    va_start(args, format);
    (void)vsnprintf(s->stage, sizeof(s->stage), format, args);
    va_end(args);
    set_state(s, MOE_RANK_running);
    changed(s);
}

void moe_runstate_progress(moe_runstate_t *state, int64_t n_done,
                           int64_t n_total, const char *unit)
{
    slot_t *s;

    if (state == NULL) {
        return;
    }
    s = state->own;
    if (strcmp(s->unit, unit) != 0) {
        /* nobody is to see these numbers with another noun */
        atomic_store(&s->n_total, 0);
        (void)snprintf(s->unit, sizeof(s->unit), "%s", unit);
    }
    atomic_store(&s->n_done, n_done);
    atomic_store(&s->n_total, n_total);
    changed(s);
}

void moe_runstate_wait(moe_runstate_t *state, int64_t place, int64_t bytes,
                       const char *what)
{
    slot_t *s;

    if (state == NULL) {
        return;
    }
    s = state->own;
    (void)snprintf(s->wait, sizeof(s->wait), "%s", what);
    atomic_store(&s->place, place);
    atomic_store(&s->wait_bytes, bytes);
    set_state(s, MOE_RANK_waiting);
    changed(s);
}

void moe_runstate_go(moe_runstate_t *state)
{
    if (state != NULL) {
        set_state(state->own, MOE_RANK_running);
        changed(state->own);
    }
}

void moe_runstate_fail(moe_runstate_t *state, moe_status_t status,
                       const char *text)
{
    slot_t *s;

    if (state == NULL || atomic_load(&state->own->status) != MOE_OK) {
        return;
    }
    s = state->own;
    (void)snprintf(s->error, sizeof(s->error), "%s", text);
    atomic_store(&s->exit_status, moe_status_exit(status));
    atomic_store(&s->status, (int)status);
    atomic_store(&s->state, MOE_RANK_failed);
    changed(s);
}

void moe_runstate_done(moe_runstate_t *state, int exit_status)
{
    slot_t *s;

    if (state == NULL) {
        return;
    }
    s = state->own;
    atomic_store(&s->exit_status, exit_status);
    if (atomic_load(&s->status) == MOE_OK) {
        atomic_store(&s->state, MOE_RANK_done);
    }
    changed(s);
}

void moe_runstate_ended(moe_runstate_t *state, int number, bool by_launcher)
{
    if (state != NULL && state->own != NULL) {
        atomic_store(&state->own->by_launcher, by_launcher);
        atomic_store(&state->own->ended, number);
        changed(state->own);
    }
}

const char *moe_runstate_where(const moe_runstate_t *state)
{
    return state == NULL ? "" : state->own->stage;
}
