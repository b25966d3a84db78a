/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who meets whom.
 *
 * How it works: all nodes that meet are sorted by (group, first member,
 * call, rank); runs of equal keys are the meetings.
 * Test: tests/check_timeline.c.
 */
#include "models/timeline.h"

#include <stdlib.h>

/* One member's part of a meeting. */
typedef struct {
    moe_node_at_t at;
    const moe_meet_t *meet;
} member_t;

static int compare_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_members(const void *a, const void *b)
{
    const member_t *x = a;
    const member_t *y = b;
    int c = compare_int((int64_t)x->meet->group, (int64_t)y->meet->group);

    c = c != 0 ? c : compare_int(x->meet->first, y->meet->first);
    c = c != 0 ? c : compare_int(x->meet->call, y->meet->call);
    c = c != 0 ? c : compare_int(x->at.rank, y->at.rank);
    return c != 0 ? c : compare_int(x->at.at, y->at.at);
}

static bool same_meeting(const moe_meet_t *a, const moe_meet_t *b)
{
    return a->group == b->group && a->first == b->first && a->call == b->call;
}

/* All nodes that meet, sorted; at most size of them. */
static int collect(const moe_timeline_t *timeline, member_t *member)
{
    int n = 0;

    for (int r = 0; r < timeline->n_ranks; r++) {
        for (int i = 0; i < moe_timeline_count(timeline, r); i++) {
            const moe_node_t *node = moe_timeline_node(timeline, r, i);

            if (node->meet.n > 0) {
                member[n++] = (member_t){{r, i}, &node->meet};
            }
        }
    }
    qsort(member, (size_t)n, sizeof(*member), compare_members);
    return n;
}

static moe_status_t disagree(const moe_meet_t *meet, int n, int said)
{
    return moe_fail(MOE_ERR_DISAGREE,
                    "call %lld of group %s, which begins at rank %d, has %d "
                    "members, not %d",
                    (long long)meet->call, moe_group_name(meet->group),
                    meet->first, n, said);
}

/* All came, each once; the common cost is that of the busiest. */
static moe_status_t set_costs(const moe_timeline_t *timeline,
                              const moe_machine_t *machine,
                              const member_t *member, int n)
{
    const moe_meet_t *meet = member->meet;
    moe_cost_t cost;
    int64_t bytes = 0;
    int steps = 0;

    for (int i = 0; i < n; i++) {
        const moe_meet_t *of = member[i].meet;

        if (n != of->n ||
            (i > 0 && member[i].at.rank == member[i - 1].at.rank)) {
            return disagree(of, n, of->n);
        }
        bytes = of->sent > bytes ? of->sent : bytes;
        bytes = of->received > bytes ? of->received : bytes;
        steps = of->steps > steps ? of->steps : steps;
    }
    cost = moe_cost_collective(machine, meet->tier, n, bytes, steps);
    for (int i = 0; i < n; i++) {
        moe_cost_add(
            &moe_timeline_node(timeline, member[i].at.rank, member[i].at.at)
                 ->cost,
            &cost);
    }
    return MOE_OK;
}

static moe_status_t group_members(const moe_timeline_t *timeline,
                                  const moe_machine_t *machine,
                                  const member_t *member, int n,
                                  moe_meetings_t *m)
{
    int begin = 0;

    for (int i = 0; i < n; i++) {
        moe_status_t status;

        m->member[i] = member[i].at;
        moe_timeline_node(timeline, member[i].at.rank, member[i].at.at)
            ->meeting = m->n;
        if (i + 1 < n && same_meeting(member[i].meet, member[i + 1].meet)) {
            continue;
        }
        status = set_costs(timeline, machine, &member[begin], i + 1 - begin);
        if (status != MOE_OK) {
            return status;
        }
        m->meeting[m->n++] =
            (moe_meeting_t){.first = begin, .n = i + 1 - begin};
        begin = i + 1;
    }
    return MOE_OK;
}

static size_t count_nodes(const moe_timeline_t *timeline)
{
    size_t n = 0;

    for (int r = 0; r < timeline->n_ranks; r++) {
        n += (size_t)moe_timeline_count(timeline, r);
    }
    return n;
}

moe_status_t moe_meetings_find(const moe_timeline_t *timeline,
                               const moe_machine_t *machine,
                               moe_meetings_t *meetings_p)
{
    size_t nodes = count_nodes(timeline) + 1;
    member_t *member = calloc(nodes, sizeof(*member));
    moe_meetings_t m = {0};
    moe_status_t status;

    m.meeting = calloc(nodes, sizeof(*m.meeting));
    m.member = calloc(nodes, sizeof(*m.member));
    if (member == NULL || m.meeting == NULL || m.member == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a timeline");
    } else {
        int n = collect(timeline, member);

        status = group_members(timeline, machine, member, n, &m);
    }
    free(member);
    if (status != MOE_OK) {
        moe_meetings_fini(&m);
        return status;
    }
    *meetings_p = m;
    return MOE_OK;
}

void moe_meetings_fini(moe_meetings_t *meetings)
{
    free(meetings->meeting);
    free(meetings->member);
    meetings->meeting = NULL;
    meetings->member = NULL;
}
