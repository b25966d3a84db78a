/* SPDX-License-Identifier: Apache-2.0 */
/* The play against one that looks at all nodes until nothing changes. */
#include "tests/support.h"

#include "models/timeline.h"
#include "tests/layers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANKS = 5,
    NODES = 40,
    TENSORS = 6,
    N_SEEDS = 60
};

/* A node as the slow player sees it. */
typedef struct {
    int stream;
    int tensor[2];
    bool writes[2];
    int64_t call; /* 0: meets nobody */
    int64_t bytes;
    double own;
    bool holds_host;
    double start;
    double end;
} plain_t;

typedef struct {
    int n[RANKS];
    plain_t node[RANKS][NODES];
} plan_t;

static double uniform(void)
{
    return (double)(rand() % 1024) / 1024.0;
}

static plain_t random_node(void)
{
    plain_t p = {.stream = rand() % 2, .own = uniform()};

    for (int i = 0; i < 2; i++) {
        p.tensor[i] = 1 + rand() % TENSORS;
        p.writes[i] = rand() % 2 == 0;
    }
    p.holds_host = rand() % 16 == 0;
    return p;
}

/* Some own nodes on each rank, then a meeting of some pair or of all; the
 * order of calls is the same everywhere. */
static void make_plan(plan_t *plan, unsigned seed)
{
    memset(plan, 0, sizeof(*plan));
    srand(seed);
    for (int64_t call = 1; call < 6; call++) {
        plain_t meet = random_node();

        meet.call = call;
        meet.bytes = rand() % 4 * 1000;
        for (int r = 0; r < RANKS; r++) {
            for (int i = rand() % 6; i > 0; i--) {
                plan->node[r][plan->n[r]++] = random_node();
            }
            meet.own = uniform();
            plan->node[r][plan->n[r]++] = meet;
        }
    }
}

static double common_cost(const moe_machine_t *machine, const plain_t *p)
{
    return p->bytes == 0
               ? 0.0
               : machine->collective_s.value +
                     3 * machine->tier[0].latency_s.value +
                     (double)p->bytes / machine->tier[0].bw_bytes_per_s.value;
}

/* True if a later node must wait for an earlier one of its rank. */
static bool must_wait(const plain_t *later, const plain_t *earlier)
{
    if (later->stream == earlier->stream || earlier->holds_host) {
        return true;
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            if (later->tensor[i] == earlier->tensor[j] &&
                (later->writes[i] || earlier->writes[j])) {
                return true;
            }
        }
    }
    return false;
}

/* Start of one node by all ends as they are now. */
static double start_now(const plan_t *plan, int r, int i)
{
    double start = 0.0;

    for (int e = 0; e < i; e++) {
        if (must_wait(&plan->node[r][i], &plan->node[r][e])) {
            start = fmax(start, plan->node[r][e].end);
        }
    }
    return start;
}

static double meeting_now(const plan_t *plan, int64_t call)
{
    double start = 0.0;

    for (int r = 0; r < RANKS; r++) {
        for (int i = 0; i < plan->n[r]; i++) {
            if (plan->node[r][i].call == call) {
                start = fmax(start, start_now(plan, r, i));
            }
        }
    }
    return start;
}

static void play_slowly(plan_t *plan, const moe_machine_t *machine)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (int r = 0; r < RANKS; r++) {
            for (int i = 0; i < plan->n[r]; i++) {
                plain_t *p = &plan->node[r][i];
                double end;

                p->start = p->call > 0 ? meeting_now(plan, p->call)
                                       : start_now(plan, r, i);
                end = p->start + p->own;
                end += p->call > 0 ? common_cost(machine, p) : 0.0;
                changed = changed || end > p->end;
                p->end = end;
            }
        }
    }
}

static moe_node_t node_of(const plain_t *p, int rank)
{
    moe_node_t node = {.stream = p->stream, .holds_host = p->holds_host};

    node.cost.s[MOE_COST_memory] = p->own;
    if (p->call > 0) {
        /* one member is the busiest, by what it receives */
        node.meet = (moe_meet_t){.group = MOE_GROUP_ep,
                                 .call = p->call,
                                 .n = RANKS,
                                 .sent = p->bytes / 2,
                                 .received = rank == 3 ? p->bytes : 0,
                                 .steps = 3};
    }
    return node;
}

static void fill(moe_timeline_t *timeline, const plan_t *plan)
{
    ck_assert_int_eq(moe_timeline_init(timeline, RANKS), MOE_OK);
    for (int r = 0; r < RANKS; r++) {
        for (int i = 0; i < plan->n[r]; i++) {
            const plain_t *p = &plan->node[r][i];
            moe_node_t node = node_of(p, r);
            int at;

            ck_assert_int_eq(moe_timeline_add(timeline, r, &node, &at), MOE_OK);
            ck_assert_int_eq(at, i);
            for (int t = 0; t < 2; t++) {
                ck_assert_int_eq(
                    p->writes[t]
                        ? moe_timeline_writes(timeline, r, at, p->tensor[t])
                        : moe_timeline_reads(timeline, r, at, p->tensor[t]),
                    MOE_OK);
            }
        }
    }
}

START_TEST(play_equals_a_play_that_looks_at_all_nodes)
{
    moe_machine_t machine = moe_test_machine();
    moe_timeline_t timeline;
    plan_t plan;

    make_plan(&plan, (unsigned)_i);
    fill(&timeline, &plan);
    ck_assert_int_eq(moe_timeline_play(&timeline, &machine), MOE_OK);
    play_slowly(&plan, &machine);
    for (int r = 0; r < RANKS; r++) {
        for (int i = 0; i < plan.n[r]; i++) {
            const moe_node_t *node = moe_timeline_node(&timeline, r, i);

            ck_assert_double_eq_tol(node->start_s, plan.node[r][i].start,
                                    1e-12);
            ck_assert_double_eq_tol(node->end_s, plan.node[r][i].end, 1e-12);
        }
    }
    moe_timeline_fini(&timeline);
}
END_TEST

/* No gap: a node starts when its cause ends, and a chain begins at 0. */
START_TEST(every_node_starts_at_the_end_of_its_cause)
{
    moe_machine_t machine = moe_test_machine();
    moe_timeline_t timeline;
    plan_t plan;

    make_plan(&plan, (unsigned)_i);
    fill(&timeline, &plan);
    ck_assert_int_eq(moe_timeline_play(&timeline, &machine), MOE_OK);
    for (int r = 0; r < RANKS; r++) {
        for (int i = 0; i < plan.n[r]; i++) {
            const moe_node_t *node = moe_timeline_node(&timeline, r, i);
            double expected = 0.0;

            if (node->cause.at >= 0) {
                expected = moe_timeline_node(&timeline, node->cause.rank,
                                             node->cause.at)
                               ->end_s;
            }
            ck_assert_double_eq(node->start_s, expected);
        }
    }
    moe_timeline_fini(&timeline);
}
END_TEST

static moe_status_t play_plan(const plan_t *plan)
{
    moe_machine_t machine = moe_test_machine();
    moe_timeline_t timeline;
    moe_status_t status;

    fill(&timeline, plan);
    status = moe_timeline_play(&timeline, &machine);
    moe_timeline_fini(&timeline);
    return status;
}

START_TEST(a_missing_member_is_told_and_no_hang)
{
    plan_t plan;

    make_plan(&plan, 1);
    plan.n[2]--; /* the last call of rank 2 */
    ck_assert_int_eq(play_plan(&plan), MOE_ERR_DISAGREE);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "4 members, not 5"));
}
END_TEST

START_TEST(calls_in_another_order_are_told_and_no_hang)
{
    plan_t plan = {{2, 2, 2, 2, 2}, {{{0}}}};

    for (int r = 0; r < RANKS; r++) {
        for (int i = 0; i < 2; i++) {
            plan.node[r][i].tensor[0] = plan.node[r][i].tensor[1] = 1;
            plan.node[r][i].call = r == 4 ? 2 - i : 1 + i;
        }
    }
    ck_assert_int_eq(play_plan(&plan), MOE_ERR_DISAGREE);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "waits for ever"));
}
END_TEST

START_TEST(an_empty_timeline_ends_at_once)
{
    plan_t plan = {{0}, {{{0}}}};

    ck_assert_int_eq(play_plan(&plan), MOE_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timeline");
    TCase *tcase = tcase_create("timeline");

    tcase_add_loop_test(tcase, play_equals_a_play_that_looks_at_all_nodes, 0,
                        N_SEEDS);
    tcase_add_loop_test(tcase, every_node_starts_at_the_end_of_its_cause, 0,
                        N_SEEDS);
    tcase_add_test(tcase, a_missing_member_is_told_and_no_hang);
    tcase_add_test(tcase, calls_in_another_order_are_told_and_no_hang);
    tcase_add_test(tcase, an_empty_timeline_ends_at_once);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
