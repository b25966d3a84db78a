/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the ranks of a run do now: a small file that they share in memory
 * with the process that watches them.
 *
 * Each rank writes its own slot; the watcher reads them all. The file's
 * blocks are reserved when it is made, so that a full disk is an error then
 * and no signal later. Functions that a rank calls accept NULL: a rank that
 * nobody watches.
 */
#ifndef BASE_RUNSTATE_H
#define BASE_RUNSTATE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define MOE_RANK(id, text) MOE_RANK_##id,
#include "base/runstate.def"
#undef MOE_RANK
    MOE_RANK_COUNT
} moe_rank_state_t;

/** One line about a state; "?" if out of range. */
const char *moe_rank_state_text(moe_rank_state_t state);

/** Environment variable with the path of the file. */
#define MOE_RUNSTATE_ENV "MOESIM_RUN_STATE"

#define MOE_RUNSTATE_TEXT  96
#define MOE_RUNSTATE_ERROR 1024
#define MOE_RUNSTATE_UNIT  32

/** Places where ranks wait for the launcher, too. */
enum {
    MOE_PLACE_MPI_ENDS = -1,
    MOE_PLACE_MPI_STARTS = -2
};

typedef struct moe_runstate moe_runstate_t;

/** A copy of a rank's slot. */
typedef struct {
    int pid; /* 0: absent */
    moe_rank_state_t state;
    uint64_t changes;   /* grows with every change */
    int ended;          /* by this signal, which asked it to; 0: none did */
    bool by_launcher;   /* the launcher sent it */
    int status;         /* moe_status_t it failed with */
    int exit_status;    /* of the process, when failed or done */
    int64_t place;      /* of a waiting rank: the same number on all ranks
                         * that wait for each other */
    int64_t wait_bytes; /* that a waiting rank is to move */
    int64_t n_done;     /* progress */
    int64_t n_total;
    char unit[MOE_RUNSTATE_UNIT];
    char stage[MOE_RUNSTATE_TEXT]; /* where it is */
    char wait[MOE_RUNSTATE_TEXT];  /* what it waits in */
    char error[MOE_RUNSTATE_ERROR];
} moe_rank_slot_t;

/* --- the watcher's side -------------------------------------------------- */

/**
 * Make the file, all ranks absent.
 * @return MOE_OK; MOE_ERR_IO with a message (a full disk); MOE_ERR_NOMEM.
 */
moe_status_t moe_runstate_create(const char *path, int ranks,
                                 moe_runstate_t **state_p);

/** Number of ranks. */
int moe_runstate_ranks(const moe_runstate_t *state);

/** Copy a rank's slot. */
void moe_runstate_read(const moe_runstate_t *state, int rank,
                       moe_rank_slot_t *slot_p);

/* --- a rank's side ------------------------------------------------------- */

/** Open the file and take a slot: starting, with this process's id. */
moe_status_t moe_runstate_open(const char *path, int rank,
                               moe_runstate_t **state_p);

/** End the mapping; the file stays. Accepts NULL. */
void moe_runstate_close(moe_runstate_t *state);

/** Where the rank is: "stage experts of allgatherv". Running from now on. */
void moe_runstate_stage(moe_runstate_t *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Progress of this rank. */
void moe_runstate_progress(moe_runstate_t *state, int64_t n_done,
                           int64_t n_total, const char *unit);

/**
 * The rank waits for others from now on, until moe_runstate_go().
 * @param[in] place  The same number on all ranks that wait for each other, from
 *                   0; or one of MOE_PLACE_.
 * @param[in] bytes  That it is to move; a longer wait is no fault then.
 */
void moe_runstate_wait(moe_runstate_t *state, int64_t place, int64_t bytes,
                       const char *what);
void moe_runstate_go(moe_runstate_t *state);

/** The rank failed. The first text is kept. */
void moe_runstate_fail(moe_runstate_t *state, moe_status_t status,
                       const char *text);

/** The rank is done: with this exit status its process will end. */
void moe_runstate_done(moe_runstate_t *state, int exit_status);

/** From a signal handler: the process was asked to end by a signal, of the
 * launcher or of somebody else, and does. */
void moe_runstate_ended(moe_runstate_t *state, int number, bool by_launcher);

/** Stage text of this rank; "" without one. */
const char *moe_runstate_where(const moe_runstate_t *state);

#endif
