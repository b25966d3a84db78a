/* SPDX-License-Identifier: Apache-2.0 */
/* Why a run ended, in one message, and its exit status. */
#include "config.h"

#include "sim/launch/supervise_parts.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int died_verdict(const moe_watch_t *watch, int number, char *text,
                        size_t size)
{
    char how[128] = "";
    moe_rank_slot_t slot;

    moe_runstate_read(watch->state, watch->died, &slot);
    if (number > 0) {
        (void)snprintf(
            how, sizeof(how), " of signal %d (%s)%s", number, strsignal(number),
            number == SIGKILL ? ", sent by somebody, or by the kernel for lack "
                                "of memory"
                              : "");
    }
    (void)snprintf(text, size, "rank %d died in %s%s", watch->died,
                   slot.stage[0] != '\0' ? slot.stage : "its start", how);
    return 3;
}

/* A rank that somebody asked to end, and not because of another; -1: none. */
static int ended_rank(const moe_watch_t *watch)
{
    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        if (slot.ended != 0 && !slot.by_launcher) {
            return r;
        }
    }
    return -1;
}

static int ended_verdict(const moe_watch_t *watch, int rank, char *text,
                         size_t size)
{
    moe_rank_slot_t slot;

    moe_runstate_read(watch->state, rank, &slot);
    (void)snprintf(text, size,
                   "rank %d was ended in %s by signal %d (%s), sent by "
                   "somebody",
                   rank, slot.stage[0] != '\0' ? slot.stage : "its start",
                   slot.ended, strsignal(slot.ended));
    return 3;
}

/* The rank whose failure is the first cause: a disagreement before all, else
 * the lowest rank. */
static int failed_rank(const moe_watch_t *watch)
{
    int first = -1;

    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        if (slot.status == MOE_ERR_DISAGREE) {
            return r;
        }
        if (first < 0 && slot.status != MOE_OK) {
            first = r;
        }
    }
    return first;
}

bool moe_watch_was_told(const moe_watch_t *watch)
{
    return failed_rank(watch) >= 0;
}

static int failed_verdict(const moe_watch_t *watch, int rank, char *text,
                          size_t size)
{
    moe_rank_slot_t slot;

    moe_runstate_read(watch->state, rank, &slot);
    if (strncmp(slot.error, "rank", 4) == 0 ||
        moe_status_exit((moe_status_t)slot.status) == 2 ||
        (slot.status == MOE_ERR_CHECK &&
         strcmp(slot.stage, "the report") == 0)) {
        /* names its rank itself, or is of all of them */
        (void)snprintf(text, size, "%s", slot.error);
    } else if (strstr(slot.error, slot.stage) != NULL) {
        (void)snprintf(text, size, "rank %d: %s", rank, slot.error);
    } else {
        (void)snprintf(text, size, "rank %d failed in %s: %s", rank, slot.stage,
                       slot.error);
    }
    return slot.exit_status != 0 ? slot.exit_status : 3;
}

/* "rank 1, rank 3" that are stopped, and their number. */
static int list_stopped(const moe_watch_t *watch, char *text, size_t size)
{
    size_t used = 0;
    int n = 0;

    for (int r = 0; r < watch->ranks && used < size; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        if (moe_watch_is_stopped(slot.pid)) {
            used += (size_t)snprintf(text + used, size - used, "%srank %d",
                                     n++ > 0 ? ", " : "", r);
        }
    }
    return n;
}

static int stopped_verdict(const moe_watch_t *watch, char *text, size_t size)
{
    char who[128] = "mpirun";
    char where[512];
    const int n = list_stopped(watch, who, sizeof(who));

    moe_show_where(watch->state, where, sizeof(where));
    (void)snprintf(
        text, size, "%s %s stopped by a signal, and the others wait: %s", who,
        n > 1 ? "are" : "is", where[0] != '\0' ? where : "no rank has come");
    return moe_status_exit(MOE_ERR_MPI);
}

static int start_verdict(const moe_watch_t *watch, char *text, size_t size)
{
    char where[512];
    int came = 0;

    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        came += slot.pid != 0;
    }
    moe_show_where(watch->state, where, sizeof(where));
    (void)snprintf(text, size,
                   "MPI does not start: %d of %d ranks came, and wait for each "
                   "other or for mpirun: %s",
                   came, watch->ranks, where);
    return moe_status_exit(MOE_ERR_MPI);
}

static int end_verdict(const moe_watch_t *watch, char *text, size_t size)
{
    char where[512];

    moe_show_where(watch->state, where, sizeof(where));
    (void)snprintf(text, size,
                   "all ranks are done, and MPI does not end; their last "
                   "stages: %s",
                   where);
    return moe_status_exit(MOE_ERR_MPI);
}

static int calls_verdict(const moe_watch_t *watch, char *text, size_t size)
{
    size_t used = (size_t)snprintf(
        text, size, "all ranks wait for each other, and none can go on:");

    for (int r = 0; r < watch->ranks && used + 1 < size; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        used += (size_t)snprintf(
            text + used, size - used, "%s rank %d %s%s in %s", r > 0 ? ";" : "",
            r, moe_watch_has_ended(&slot) ? "ended" : "waits in ",
            moe_watch_has_ended(&slot) ? "" : slot.wait, slot.stage);
    }
    return moe_status_exit(MOE_ERR_DISAGREE);
}

static int hung_verdict(const moe_watch_t *watch, char *text, size_t size)
{
    switch (watch->hang) {
    case MOE_HANG_stopped:
        return stopped_verdict(watch, text, size);
    case MOE_HANG_start:
        return start_verdict(watch, text, size);
    case MOE_HANG_end:
        return end_verdict(watch, text, size);
    case MOE_HANG_calls:
    case MOE_HANG_none:
        break;
    }
    return calls_verdict(watch, text, size);
}

bool moe_watch_launcher_ended(const moe_watch_t *watch)
{
    bool any = false;

    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        any = any || (slot.ended != 0 && slot.by_launcher);
    }
    return any && failed_rank(watch) < 0 && ended_rank(watch) < 0;
}

static int largest_exit(const moe_watch_t *watch)
{
    int most = 0;

    for (int r = 0; r < watch->ranks; r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(watch->state, r, &slot);
        most = slot.exit_status > most ? slot.exit_status : most;
    }
    return most;
}

int moe_watch_verdict(const moe_watch_t *watch, int signal, char *text,
                      size_t size)
{
    const int failed = failed_rank(watch);
    const int ended = ended_rank(watch);
    int most;

    text[0] = '\0';
    if (failed >= 0) {
        return failed_verdict(watch, failed, text, size);
    }
    if (ended >= 0) {
        return ended_verdict(watch, ended, text, size);
    }
    if (watch->died >= 0) {
        return died_verdict(watch, signal, text, size);
    }
    if (watch->hang != MOE_HANG_none) {
        return hung_verdict(watch, text, size);
    }
    most = largest_exit(watch);
    return most > 0 ? most : 3;
}
