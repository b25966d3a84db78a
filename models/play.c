/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The play of a timeline.
 *
 * How it works: each rank is walked as far as its next meeting; who completes
 * a meeting lets all its members walk on. Every node is visited once, after
 * all that it waits for.
 * Cost: O(n log n) in nodes, for the sort of the meetings.
 * Test: tests/check_timeline.c, against a play that looks at all nodes over
 * and over until nothing changes.
 */
#include "models/timeline.h"

#include <stdlib.h>

/* Where a rank's walk is. */
typedef struct {
    int at;
    int last[MOE_STREAM_COUNT]; /* last node of a stream, or -1 */
} walk_t;

typedef struct {
    const moe_timeline_t *timeline;
    moe_meetings_t meetings;
    walk_t *walk; /* [n_ranks] */
    int *ready;   /* stack of ranks that can walk; a rank is in it once */
    int n_ready;
} play_t;

/* Keep the later of two ends, and whose it is. */
static void wait_for(const moe_timeline_t *timeline, int rank, int at,
                     double *start, moe_node_at_t *cause)
{
    double end;

    if (at < 0) {
        return;
    }
    end = moe_timeline_node(timeline, rank, at)->end_s;
    if (cause->at < 0 || end > *start) {
        *start = end;
        *cause = (moe_node_at_t){rank, at};
    }
}

/* When a node could start, for all that its own rank knows. */
static double earliest(const play_t *p, int rank, const moe_node_t *node,
                       moe_node_at_t *cause)
{
    double start = 0.0;
    int need = node->first_need;

    *cause = (moe_node_at_t){rank, -1};
    wait_for(p->timeline, rank, p->walk[rank].last[node->stream], &start,
             cause);
    while (need >= 0) {
        int on;

        need = moe_timeline_need(p->timeline, rank, need, &on);
        wait_for(p->timeline, rank, on, &start, cause);
    }
    return start;
}

static void place_node(play_t *p, moe_node_at_t at, double start,
                       moe_node_at_t cause)
{
    moe_node_t *node = moe_timeline_node(p->timeline, at.rank, at.at);
    walk_t *walk = &p->walk[at.rank];

    node->start_s = start;
    node->end_s = start + moe_cost_seconds(&node->cost);
    node->cause = cause;
    walk->last[node->stream] = at.at;
    walk->at = at.at + 1;
}

/* A rank came to its next meeting; the last to come starts it for all. */
static void arrive(play_t *p, int number, double start, moe_node_at_t cause)
{
    moe_meeting_t *m = &p->meetings.meeting[number];

    if (m->arrived == 0 || start > m->start_s) {
        m->start_s = start;
        m->cause = cause;
    }
    if (++m->arrived < m->n) {
        return;
    }
    for (int i = m->first; i < m->first + m->n; i++) {
        place_node(p, p->meetings.member[i], m->start_s, m->cause);
        p->ready[p->n_ready++] = p->meetings.member[i].rank;
    }
}

static void walk_on(play_t *p, int rank)
{
    walk_t *walk = &p->walk[rank];

    while (walk->at < moe_timeline_count(p->timeline, rank)) {
        moe_node_t *node = moe_timeline_node(p->timeline, rank, walk->at);
        moe_node_at_t cause;
        double start = earliest(p, rank, node, &cause);

        if (node->meet.n > 0) {
            arrive(p, node->meeting, start, cause);
            return;
        }
        place_node(p, (moe_node_at_t){rank, walk->at}, start, cause);
    }
}

static moe_status_t walk_all(play_t *p)
{
    int n = p->timeline->n_ranks;

    for (int r = n - 1; r >= 0; r--) {
        p->walk[r] = (walk_t){0, {-1, -1}};
        p->ready[p->n_ready++] = r;
    }
    while (p->n_ready > 0) {
        walk_on(p, p->ready[--p->n_ready]);
    }
    for (int r = 0; r < n; r++) {
        int at = p->walk[r].at;

        if (at < moe_timeline_count(p->timeline, r)) {
            const moe_meet_t *meet =
                &moe_timeline_node(p->timeline, r, at)->meet;

            return moe_fail(MOE_ERR_DISAGREE,
                            "rank %d waits for ever in call %lld of group %s",
                            r, (long long)meet->call,
                            moe_group_name(meet->group));
        }
    }
    return MOE_OK;
}

moe_status_t moe_timeline_play(moe_timeline_t *timeline,
                               const moe_machine_t *machine)
{
    play_t p = {.timeline = timeline};
    moe_status_t status = moe_meetings_find(timeline, machine, &p.meetings);

    if (status != MOE_OK) {
        return status;
    }
    p.walk = calloc((size_t)timeline->n_ranks + 1, sizeof(*p.walk));
    p.ready = calloc((size_t)timeline->n_ranks + 1, sizeof(*p.ready));
    status = p.walk != NULL && p.ready != NULL
                 ? walk_all(&p)
                 : moe_fail(MOE_ERR_NOMEM, "no memory for a timeline");
    free(p.walk);
    free(p.ready);
    moe_meetings_fini(&p.meetings);
    return status;
}
