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

static int hung_verdict(const moe_watch_t *watch, char *text, size_t size)
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
    if (watch->waiting_s > 0.0) {
        return hung_verdict(watch, text, size);
    }
    most = largest_exit(watch);
    return most > 0 ? most : 3;
}
