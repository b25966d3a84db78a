/* SPDX-License-Identifier: Apache-2.0 */
/* The line of progress, on a terminal. */
#include "config.h"

#include "sim/supervise_parts.h"

#include "sim/launch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EVERY_S 0.25

/* Time left is told when this much has passed and been done. */
#define KNOWN_S    1.0
#define KNOWN_PART 0.01

void moe_show_init(moe_show_t *show, const moe_supervise_t *what)
{
    memset(show, 0, sizeof(*show));
    show->on = !what->quiet && isatty(STDERR_FILENO) == 1;
    if (!what->quiet && !show->on) {
        fprintf(stderr,
                "moesim: %d ranks, %d BLAS thread%s each, on %d cores\n",
                what->ranks, moe_supervise_threads(what->ranks),
                moe_supervise_threads(what->ranks) > 1 ? "s" : "",
                moe_launch_cores());
    }
}

/* All ranks together. */
typedef struct {
    int64_t n_done;
    int64_t n_total;
    moe_rank_slot_t slow; /* the running rank that has done least */
    double slow_part;
} sum_t;

static double part_of(int64_t n, int64_t total)
{
    return total > 0 ? (double)n / (double)total : 0.0;
}

static void add_up(const moe_runstate_t *state, sum_t *sum)
{
    memset(sum, 0, sizeof(*sum));
    sum->slow_part = 2.0;
    for (int r = 0; r < moe_runstate_ranks(state); r++) {
        moe_rank_slot_t slot;
        double part;

        moe_runstate_read(state, r, &slot);
        sum->n_done += slot.n_done;
        sum->n_total += slot.n_total;
        part = part_of(slot.n_done, slot.n_total) +
               (slot.state == MOE_RANK_waiting ? 0.5 : 0.0);
        if (part < sum->slow_part && slot.state != MOE_RANK_done) {
            sum->slow_part = part;
            sum->slow = slot;
        }
    }
}

/* Another unit, or a count that starts again, is another clock. */
static void set_clock(moe_show_t *show, const sum_t *sum, double now)
{
    if (strcmp(show->unit, sum->slow.unit) != 0 || sum->n_done < show->first) {
        (void)snprintf(show->unit, sizeof(show->unit), "%s", sum->slow.unit);
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
    if (part > KNOWN_PART && spent > KNOWN_S) {
        (void)snprintf(out, size, ", %.0f s left", spent * (1.0 - part) / part);
    }
}

void moe_show_progress(moe_show_t *show, const moe_runstate_t *state)
{
    double now = moe_supervise_now();
    char left[64];
    char line[256];
    sum_t sum;

    if (!show->on || now - show->last_s < EVERY_S) {
        return;
    }
    show->last_s = now;
    add_up(state, &sum);
    set_clock(show, &sum, now);
    if (sum.n_total > 0) {
        say_left(show, &sum, now, left, sizeof(left));
        (void)snprintf(line, sizeof(line), "%3.0f %% of the %s%s: %s",
                       100.0 * part_of(sum.n_done, sum.n_total), show->unit,
                       left, sum.slow.stage);
    } else {
        (void)snprintf(line, sizeof(line), "%s", sum.slow.stage);
    }
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
