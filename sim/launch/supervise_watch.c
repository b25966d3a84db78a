/* SPDX-License-Identifier: Apache-2.0 */
/* Which rank is dead, has failed, or waits for ever. */
#include "config.h"

#include "sim/launch/supervise_parts.h"

#include "sim/launch/launch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* A rank that failed tells the others first; then all end by themselves. */
#define GRACE_S 3.0

/* All ranks wait, and nothing changes: that long, and somewhat longer if they
 * move much. Data that arrive are a change, so a long move needs no more. */
#define HUNG_S       6.0
#define MOVING_S     2.0
#define SLOW_BYTES_S 50e6

/* The same of ranks inside one call that all of them agreed on. */
#define PATIENT_S        9.0
#define CRAWLING_BYTES_S 5e6

/* The same if one is stopped: what it moves or computes does not count. */
#define STOPPED_S 7.0

/* The same in the start of MPI, where each rank learns of all others: some
 * 2.5 ms of a core for each pair (224 ranks on 2 cores: 60 s). */
#define STARTS_S      60.0
#define START_PAIR_S  0.02
#define START_LONGEST 600.0

/* More when all are done: what a rank gives back is not to be seen. */
#define ENDS_MORE_S 20.0

/* Fewer are what any process takes now and then. */
#define ARRIVED_PAGES 256

void moe_watch_init(moe_watch_t *watch, const moe_runstate_t *state)
{
    memset(watch, 0, sizeof(*watch));
    watch->state = state;
    watch->ranks = moe_runstate_ranks(state);
    watch->cores = moe_launch_cores();
    watch->begin_s = moe_supervise_now();
    watch->died = -1;
}

/* State letter of a process; 'X' if there is none. */
static char process_state(int pid)
{
    char path[64];
    char line[512] = "";
    const char *end;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (file == NULL) {
        /* no /proc, perhaps */
        return kill(pid, 0) == 0 || errno != ESRCH ? 'R' : 'X';
    }
    if (fgets(line, sizeof(line), file) == NULL) {
        line[0] = '\0';
    }
    (void)fclose(file);
    end = strrchr(line, ')');
    return end != NULL && end[1] == ' ' ? end[2] : 'X';
}

static char letter_of(const moe_rank_slot_t *slot)
{
    return slot->pid > 0 ? process_state(slot->pid) : 'X';
}

bool moe_watch_is_stopped(int pid)
{
    return pid > 0 && process_state(pid) == 'T';
}

static bool is_life(char letter)
{
    return letter != 'X' && letter != 'Z' && letter != 'x';
}

bool moe_watch_lives(const moe_watch_t *watch, int rank)
{
    moe_rank_slot_t slot;

    moe_runstate_read(watch->state, rank, &slot);
    return is_life(letter_of(&slot));
}

bool moe_watch_has_ended(const moe_rank_slot_t *slot)
{
    return slot->state == MOE_RANK_done || slot->state == MOE_RANK_failed;
}

/* Dead without a word: not done, not failed, not asked to end. The slot is
 * read again: it may have said a last word before it went. */
static bool is_dead(const moe_watch_t *watch, int rank,
                    const moe_rank_slot_t *slot, char letter)
{
    moe_rank_slot_t last;

    if (slot->pid == 0 || moe_watch_has_ended(slot) || slot->ended != 0 ||
        is_life(letter)) {
        return false;
    }
    moe_runstate_read(watch->state, rank, &last);
    return !moe_watch_has_ended(&last) && last.ended == 0;
}

/* What all ranks together look like. */
typedef struct {
    uint64_t changes;
    bool all_wait; /* all that live, and they are not all done */
    bool same;     /* in the same place */
    bool failed;
    double bytes; /* that they are to move */
    int64_t place;
    int waiting;
    int absent;
    int ended;
    bool starts;  /* some are in the start of MPI */
    bool stopped; /* one is, or mpirun while they need it */
} view_t;

static void look_at(const moe_rank_slot_t *slot, char letter, view_t *view)
{
    const bool stopped = letter == 'T';

    view->changes += slot->changes;
    view->failed = view->failed || slot->state == MOE_RANK_failed;
    view->stopped = view->stopped || stopped;
    if (slot->pid == 0) {
        view->absent++;
    } else if (moe_watch_has_ended(slot)) {
        view->ended++;
    } else if (slot->state == MOE_RANK_waiting && !stopped) {
        view->same =
            view->same && (view->waiting == 0 || slot->place == view->place);
        view->place = slot->place;
        view->starts = view->starts || slot->place == MOE_PLACE_MPI_STARTS;
        view->bytes += (double)slot->wait_bytes;
        view->waiting++;
    } else if (!stopped) {
        view->all_wait = false;
    }
}

/* Ranks need mpirun in the start and the end of MPI, and to come at all: it
 * lets them wait if it is stopped. */
static void look_at_launcher(const moe_watch_t *watch, view_t *view)
{
    const bool needed = view->absent > 0 || view->ended == watch->ranks ||
                        (view->waiting > 0 && view->place < 0);

    if (needed && moe_watch_is_stopped(watch->launcher)) {
        view->stopped = true;
        view->waiting += view->absent;
    } else if (view->absent > 0 && !view->starts) {
        view->all_wait = false;
    }
}

static double unagreed_after(const view_t *view)
{
    double moving = view->same ? view->bytes / SLOW_BYTES_S : 0.0;

    return HUNG_S + (moving < MOVING_S ? moving : MOVING_S);
}

/* Ranks that agreed on a call and are all in it move its bytes, however slowly
 * on a busy machine: only a broken MPI needs longer. */
static double hung_after(const moe_watch_t *watch, const view_t *view)
{
    if (watch->agreed && view->same && view->waiting == watch->ranks) {
        return PATIENT_S + view->bytes / CRAWLING_BYTES_S;
    }
    return unagreed_after(view);
}

static double start_after(const moe_watch_t *watch)
{
    double pairs = (double)watch->ranks * watch->ranks / watch->cores;
    double most = STARTS_S + START_PAIR_S * pairs;

    return most < START_LONGEST ? most : START_LONGEST;
}

static bool is_hung(moe_watch_t *watch, const view_t *view, double now)
{
    double after = hung_after(watch, view);
    moe_hang_t hang = MOE_HANG_calls;

    if (view->stopped) {
        after = STOPPED_S;
        hang = MOE_HANG_stopped;
    } else if (view->ended == watch->ranks) {
        after = start_after(watch) + ENDS_MORE_S;
        hang = MOE_HANG_end;
    } else if (view->starts) {
        after = start_after(watch);
        hang = MOE_HANG_start;
    }
    if (watch->waiting_s == 0.0 || now - watch->waiting_s <= after) {
        hang = MOE_HANG_none;
    }
    watch->hang = hang;
    return watch->hang != MOE_HANG_none;
}

/* Resident pages of a process; 0 if it does not say. */
static int64_t pages_of(int pid)
{
    char path[64];
    long long pages = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*s %lld", &pages) != 1) {
        pages = 0;
    }
    (void)fclose(file);
    return pages;
}

/* True if the ranks hold more memory than before while they wait: inside MPI
 * nobody counts, but what arrives lies in pages that were not there before.
 * It cannot go on for ever. */
static bool have_grown(moe_watch_t *watch)
{
    bool grown;
    int64_t pages = 0;

    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        pages += slot.pid > 0 ? pages_of(slot.pid) : 0;
    }
    grown = pages >= watch->pages + ARRIVED_PAGES;
    watch->pages = grown ? pages : watch->pages;
    return grown;
}

/* Since when all that live wait, and nothing has changed. */
static void note_waiting(moe_watch_t *watch, const view_t *view, double now)
{
    const bool any_waits = view->waiting > 0 || view->ended == watch->ranks;

    if (!view->all_wait || !any_waits) {
        watch->waiting_s = 0.0;
        watch->pages = 0;
    } else if (have_grown(watch) || watch->waiting_s == 0.0 ||
               view->changes != watch->changes) {
        watch->waiting_s = now;
    }
    watch->changes = view->changes;
}

bool moe_watch_look(moe_watch_t *watch, double now)
{
    view_t view = {.all_wait = true, .same = true};

    for (int r = 0; watch->died < 0 && r < watch->ranks; r++) {
        moe_rank_slot_t slot;
        char letter;

        moe_runstate_read(watch->state, r, &slot);
        letter = letter_of(&slot);
        if (is_dead(watch, r, &slot, letter)) {
            watch->died = r;
        }
        look_at(&slot, letter, &view);
    }
    if (watch->died >= 0) {
        return true;
    }
    look_at_launcher(watch, &view);
    if (view.failed && watch->failed_s == 0.0) {
        watch->failed_s = now;
    }
    note_waiting(watch, &view, now);
    return (watch->failed_s > 0.0 && now - watch->failed_s > GRACE_S) ||
           is_hung(watch, &view, now);
}

bool moe_watch_all_good(const moe_watch_t *watch)
{
    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        if (slot.state != MOE_RANK_done || slot.exit_status != 0) {
            return false;
        }
    }
    return true;
}

static int count_came(const moe_watch_t *watch)
{
    int n = 0;

    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        n += slot.pid != 0;
    }
    return n;
}

bool moe_watch_all_came(const moe_watch_t *watch)
{
    return count_came(watch) == watch->ranks;
}

bool moe_watch_none_came(const moe_watch_t *watch)
{
    return count_came(watch) == 0;
}

bool moe_watch_kill(const moe_watch_t *watch)
{
    bool any = false;

    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        if (is_life(letter_of(&slot))) {
            (void)kill(slot.pid, SIGKILL);
            any = true;
        }
    }
    return any;
}
