/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Inside of the supervisor.
 */
#ifndef SIM_LAUNCH_SUPERVISE_PARTS_H
#define SIM_LAUNCH_SUPERVISE_PARTS_H

#include "base/runstate.h"
#include "sim/launch/supervise.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MOE_SUPERVISE_TEXT  4096  /* of a message */
#define MOE_SUPERVISE_NOISE 16384 /* kept of what the children print */

/* --- what the children print (supervise_noise.c) -------------------------- */

/** The start of it. */
typedef struct {
    char text[MOE_SUPERVISE_NOISE];
    size_t n;
} moe_noise_t;

/** Read on, so that nobody waits for a full pipe. */
void moe_noise_listen(moe_noise_t *noise, int fd);

/** Signal that a rank exited on, as mpirun says it; 0 if it says nothing. */
int moe_noise_signal(const moe_noise_t *noise);

/** Signal that mpirun got, and sent on to ranks that died of it; 0 none. */
int moe_noise_sent_on(const moe_noise_t *noise);

/** True if mpirun is known to have ended its ranks without a word why, as it
 * does when a signal asks it to. */
bool moe_noise_is_silent(const moe_noise_t *noise);

void moe_noise_print(const moe_noise_t *noise);

/* --- signals that ask for an end (supervise_signals.c) -------------------- */

void moe_signals_catch(void);
void moe_signals_release(void);

/** The last that came since they are caught; 0 none. */
int moe_signals_asked(void);

/* --- the start (supervise_start.c) ---------------------------------------- */

/** mpirun, started. */
typedef struct {
    pid_t pid; /* also its process group */
    int noise; /* its stdout and stderr, and those of the ranks */
} moe_child_t;

/**
 * Start mpirun with the ranks.
 * @param[in] state_path  Of the run state.
 */
moe_status_t moe_supervise_start(const moe_supervise_t *what,
                                 const char *state_path, moe_child_t *child_p);

/* --- memory that ranks share (supervise_shared.c) ------------------------- */

/** Make a folder for it; "" if there is no place. Removes those of
 * supervisors that are no more. */
const char *moe_supervise_shared(void);

/** Remove it, after all have ended. */
void moe_supervise_forget(void);

/** Time in seconds, of a steady clock. */
double moe_supervise_now(void);

/* --- what is wrong (supervise_watch.c) ------------------------------------ */

/** Why the run cannot go on, though nobody has died or failed. */
typedef enum {
    MOE_HANG_none,
    MOE_HANG_calls,   /* ranks wait in calls that do not fit */
    MOE_HANG_start,   /* in the start of MPI */
    MOE_HANG_end,     /* all are done, and mpirun does not end */
    MOE_HANG_stopped, /* for a rank or mpirun that a signal has stopped */
} moe_hang_t;

typedef struct {
    const moe_runstate_t *state;
    int ranks;
    int cores;
    int launcher; /* mpirun's process; 0 unknown */
    double begin_s;
    double failed_s;  /* since when a rank has failed; 0 none */
    double waiting_s; /* since when all ranks wait; 0 they don't */
    uint64_t changes; /* of all ranks, then */
    int64_t pages;    /* most that all ranks held since then; 0 they don't */
    int died;         /* first rank found dead; -1 none */
    bool agreed;      /* see moe_supervise_t */
    moe_hang_t hang;
} moe_watch_t;

void moe_watch_init(moe_watch_t *watch, const moe_runstate_t *state);

/** Look at all ranks at a time. True if the run must be ended: a rank died,
 * failed some seconds ago, or all wait for each other and nothing arrives. */
bool moe_watch_look(moe_watch_t *watch, double now);

/** True if a rank is done or has failed. */
bool moe_watch_has_ended(const moe_rank_slot_t *slot);

/** True if all ranks said that they are done, with exit status 0. */
bool moe_watch_all_good(const moe_watch_t *watch);

/** True if every rank has a slot. */
bool moe_watch_all_came(const moe_watch_t *watch);

/** True if no rank ever showed up. */
bool moe_watch_none_came(const moe_watch_t *watch);

/**
 * What the ranks say went wrong.
 * @param[in]  signal  That a rank died of, as mpirun says; 0 unknown.
 * @param[out] text    One line; "" if they say nothing.
 * @return exit status.
 */
int moe_watch_verdict(const moe_watch_t *watch, int signal, char *text,
                      size_t size);

/** True if a process is stopped by a signal, as SIGSTOP; not by a debugger. */
bool moe_watch_is_stopped(int pid);

/** True if mpirun ended ranks, and neither they nor somebody else did. */
bool moe_watch_launcher_ended(const moe_watch_t *watch);

/** True if a rank said what it failed with. */
bool moe_watch_was_told(const moe_watch_t *watch);

/** True while a recorded rank's process lives. */
bool moe_watch_lives(const moe_watch_t *watch, int rank);

/** Kill every recorded rank that lives; true if one did. */
bool moe_watch_kill(const moe_watch_t *watch);

/* --- what is shown (supervise_show.c) ------------------------------------- */

typedef struct {
    bool on;        /* to a terminal */
    double begin_s; /* of the current unit */
    double last_s;
    char unit[MOE_RUNSTATE_UNIT];
    int64_t first; /* done when it began */
} moe_show_t;

void moe_show_init(moe_show_t *show, const moe_supervise_t *what);
void moe_show_progress(moe_show_t *show, const moe_runstate_t *state);

/** The line of progress at a time: share done, time left once that can be
 * told, stage of the slowest rank. */
void moe_show_line(moe_show_t *show, const moe_runstate_t *state, double now,
                   char *out, size_t size);
void moe_show_end(moe_show_t *show);

/** Where the ranks are, or were last: "ranks 0-2 in stage experts of a2a, rank
 * 3 in its start". Ends in "..." if it is longer; "" if no rank ever came. */
void moe_show_where(const moe_runstate_t *state, char *out, size_t size);

#endif
