/* SPDX-License-Identifier: Apache-2.0 */
/* The line of progress, on a terminal. */
#include "config.h"

#include "sim/launch/supervise_parts.h"

#include "sim/launch/launch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EVERY_S 0.25

/* Time left is told when this much has passed and been done: of the step that
 * is counted, as nothing tells how long the next ones will take. */
#define KNOWN_S    1.0
#define KNOWN_PART 0.02

void moe_show_init(moe_show_t *show, const moe_supervise_t *what)
{
    memset(show, 0, sizeof(*show));
    show->on = !what->quiet && isatty(STDERR_FILENO) == 1;
    if (!what->quiet && !show->on) {
        fprintf(stderr,
                "moesim: %d rank%s, %d BLAS thread%s each, on %d core%s\n",
                what->ranks, what->ranks == 1 ? "" : "s",
                moe_supervise_threads(what->ranks),
                moe_supervise_threads(what->ranks) == 1 ? "" : "s",
                moe_launch_cores(), moe_launch_cores() == 1 ? "" : "s");
    }
}

/* All ranks together. */
typedef struct {
    int64_t n_done;
    int64_t n_total;
    moe_rank_slot_t slow;   /* the running rank that has done least */
    moe_rank_slot_t counts; /* the same among those that count something */
    double slow_part;
    double counts_part;
} sum_t;

static double part_of(int64_t n, int64_t total)
{
    return total > 0 ? (double)n / (double)total : 0.0;
}

/* What a rank counts: it has a total and a noun. */
static bool is_counting(const moe_rank_slot_t *slot)
{
    return slot->n_total > 0 && slot->unit[0] != '\0' &&
           slot->state != MOE_RANK_done;
}

static void find_slowest(const moe_runstate_t *state, sum_t *sum)
{
    sum->slow_part = 2.0;
    sum->counts_part = 2.0;
    for (int r = 0; r < moe_runstate_ranks(state); r++) {
        moe_rank_slot_t slot;
        double part;

        moe_runstate_read(state, r, &slot);
        part = part_of(slot.n_done, slot.n_total) +
               (slot.state == MOE_RANK_waiting ? 0.5 : 0.0);
        if (part < sum->slow_part && slot.state != MOE_RANK_done) {
            sum->slow_part = part;
            sum->slow = slot;
        }
        if (part < sum->counts_part && is_counting(&slot)) {
            sum->counts_part = part;
            sum->counts = slot;
        }
    }
}

/* Only ranks that count the same are added: one that has not begun to, or is
 * at something else by now, has other numbers. */
static void add_up(const moe_runstate_t *state, sum_t *sum)
{
    memset(sum, 0, sizeof(*sum));
    find_slowest(state, sum);
    for (int r = 0; r < moe_runstate_ranks(state); r++) {
        moe_rank_slot_t slot;

        moe_runstate_read(state, r, &slot);
        if (is_counting(&slot) && strcmp(slot.unit, sum->counts.unit) == 0) {
            sum->n_done += slot.n_done;
            sum->n_total += slot.n_total;
        }
    }
}

/* Another unit, or a count that starts again, is another clock. */
static void set_clock(moe_show_t *show, const sum_t *sum, double now)
{
    if (strcmp(show->unit, sum->counts.unit) != 0 ||
        sum->n_done < show->first) {
        (void)snprintf(show->unit, sizeof(show->unit), "%s", sum->counts.unit);
        show->begin_s = now;
        show->first = sum->n_done;
    }
}

static void say_left(const moe_show_t *show, const sum_t *sum, double now,
                     char *out, size_t size)
{
    double part =
        part_of(sum->n_done - show->first, sum->n_total - show->first);
    double spent = now - show->begin_s;

    out[0] = '\0';
    if (part >= KNOWN_PART && spent >= KNOWN_S) {
        (void)snprintf(out, size, ", %.0f s left of this step",
                       spent * (1.0 - part) / part);
    }
}

void moe_show_line(moe_show_t *show, const moe_runstate_t *state, double now,
                   char *out, size_t size)
{
    char left[64];
    sum_t sum;

    add_up(state, &sum);
    if (sum.n_total == 0) {
        (void)snprintf(out, size, "%s", sum.slow.stage);
        return;
    }
    set_clock(show, &sum, now);
    say_left(show, &sum, now, left, sizeof(left));
    (void)snprintf(out, size, "%3.0f %% of the %s%s: %s",
                   100.0 * part_of(sum.n_done, sum.n_total), show->unit, left,
                   sum.slow.stage);
}

void moe_show_progress(moe_show_t *show, const moe_runstate_t *state)
{
    double now = moe_supervise_now();
    char line[256];

    if (!show->on || now - show->last_s < EVERY_S) {
        return;
    }
    show->last_s = now;
    moe_show_line(show, state, now, line, sizeof(line));
    fprintf(stderr, "\r%.78s\033[K", line);
    (void)fflush(stderr);
}

void moe_show_end(moe_show_t *show)
{
    if (show->on) {
        fputs("\r\033[K", stderr);
        (void)fflush(stderr);
    }
}

/* --- where all ranks are -------------------------------------------------- */

static const char *stage_of(const moe_rank_slot_t *slot)
{
    return slot->stage[0] != '\0' ? slot->stage : "its start";
}

/* True if a rank came, and is where the rank of a slot is. */
static bool is_with(const moe_runstate_t *state, int rank,
                    const moe_rank_slot_t *slot)
{
    moe_rank_slot_t other;

    moe_runstate_read(state, rank, &other);
    return other.pid != 0 && strcmp(stage_of(&other), stage_of(slot)) == 0;
}

/* Add to a text that has used of size bytes; what is cut ends in "...". */
static size_t add(char *out, size_t used, size_t size, const char *text)
{
    used += (size_t)snprintf(out + used, size - used, "%s", text);
    if (used < size) {
        return used;
    }
    (void)snprintf(out + size - 4, 4, "...");
    return size - 1;
}

/* "ranks 0-2,5": those that are where the first of them is. */
static void list_ranks(const moe_runstate_t *state, int first,
                       const moe_rank_slot_t *slot, char *out, size_t size)
{
    const int ranks = moe_runstate_ranks(state);
    size_t used = 0;

    for (int r = first; r < ranks; r++) {
        char range[48];
        int last = r;

        if (!is_with(state, r, slot)) {
            continue;
        }
        while (last + 1 < ranks && is_with(state, last + 1, slot)) {
            last++;
        }
        (void)snprintf(range, sizeof(range), "%s%d", used > 0 ? "," : "", r);
        used = add(out, used, size, range);
        if (last > r) {
            (void)snprintf(range, sizeof(range), "-%d", last);
            used = add(out, used, size, range);
        }
        r = last;
    }
}

/* True if no lower rank is where this one is. */
static bool is_first(const moe_runstate_t *state, int rank,
                     const moe_rank_slot_t *slot)
{
    for (int r = 0; r < rank; r++) {
        if (is_with(state, r, slot)) {
            return false;
        }
    }
    return slot->pid != 0;
}

void moe_show_where(const moe_runstate_t *state, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (int r = 0; r < moe_runstate_ranks(state); r++) {
        char ranks[64];
        moe_rank_slot_t slot;

        moe_runstate_read(state, r, &slot);
        if (is_first(state, r, &slot)) {
            list_ranks(state, r, &slot, ranks, sizeof(ranks));
            used = add(out, used, size, used > 0 ? ", rank" : "rank");
            used =
                add(out, used, size, strpbrk(ranks, "-,") != NULL ? "s " : " ");
            used = add(out, used, size, ranks);
            used = add(out, used, size, " in ");
            used = add(out, used, size, stage_of(&slot));
        }
    }
}
