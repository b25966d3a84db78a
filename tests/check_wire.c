/* SPDX-License-Identifier: Apache-2.0 */
/* Wire bytes against machines that really pass parts from rank to rank. */
#include "tests/support.h"

#include "models/wire.h"

#include <stdlib.h>
#include <string.h>

#define RANKS_MAX    9
#define ROW_ELEMENTS 3

/* What a simulated machine saw. */
typedef struct {
    int n;
    int64_t sent[RANKS_MAX];
    int64_t received[RANKS_MAX];
    int steps;
    /* who has contributed to part p as rank r holds it, as bits */
    unsigned holds[RANKS_MAX][RANKS_MAX];
} machine_t;

static void carry(machine_t *m, int from, int to, int64_t bytes)
{
    m->sent[from] += bytes;
    m->received[to] += bytes;
}

/* All ranks send part (r - shift) to the next at once; what arrives is added,
 * and no contribution may arrive twice. */
static void ring_step(machine_t *m, const int64_t *bytes, int shift)
{
    unsigned before[RANKS_MAX][RANKS_MAX];

    memcpy(before, m->holds, sizeof(before));
    for (int r = 0; r < m->n; r++) {
        int part = ((r - shift) % m->n + m->n) % m->n;
        int to = (r + 1) % m->n;

        ck_assert_uint_ne(before[r][part], 0);
        ck_assert_uint_eq(m->holds[to][part] & before[r][part], 0);
        m->holds[to][part] |= before[r][part];
        carry(m, r, to, bytes[part]);
    }
    m->steps++;
}

static void ring_gather(machine_t *m, const int64_t *bytes)
{
    for (int r = 0; r < m->n; r++) {
        m->holds[r][r] = 1;
    }
    for (int s = 0; s < m->n - 1; s++) {
        ring_step(m, bytes, s);
    }
    for (int r = 0; r < m->n; r++) {
        for (int p = 0; p < m->n; p++) {
            ck_assert_uint_eq(m->holds[r][p], 1);
        }
    }
}

static void ring_scatter(machine_t *m, const int64_t *bytes)
{
    for (int r = 0; r < m->n; r++) {
        for (int p = 0; p < m->n; p++) {
            m->holds[r][p] = 1U << r;
        }
    }
    for (int s = 0; s < m->n - 1; s++) {
        ring_step(m, bytes, s + 1);
    }
    for (int r = 0; r < m->n; r++) {
        ck_assert_uint_eq(m->holds[r][r], (1U << m->n) - 1);
    }
}

static void ring_reduce(machine_t *m, const int64_t *bytes)
{
    ring_scatter(m, bytes);
    memset(m->holds, 0, sizeof(m->holds));
    ring_gather(m, bytes);
}

static void ring_broadcast(machine_t *m, int64_t bytes, int root)
{
    for (int s = 0; s < m->n - 1; s++) {
        carry(m, (root + s) % m->n, (root + s + 1) % m->n, bytes);
        m->steps++;
    }
}

/* Every pair at once: rank s gives bytes[s][d] to d. */
static void direct_step(machine_t *m, int64_t bytes[RANKS_MAX][RANKS_MAX])
{
    for (int s = 0; s < m->n; s++) {
        for (int d = 0; d < m->n; d++) {
            if (s != d) {
                carry(m, s, d, bytes[s][d]);
            }
        }
    }
    m->steps += m->n > 1;
}

/* --- the operations as backends call them -------------------------------- */

typedef struct {
    int n;
    int64_t rows[RANKS_MAX];            /* by member */
    int64_t pair[RANKS_MAX][RANKS_MAX]; /* all-to-all */
    int root;
    int64_t element; /* bytes of one element */
} problem_t;

static int64_t bytes_of_row(const problem_t *p)
{
    return ROW_ELEMENTS * p->element;
}

/* Rows of every member, some of them none; equal ones if asked. */
static problem_t make_problem(int n, unsigned seed, bool equal)
{
    problem_t p = {.n = n, .element = 1 << seed % 4};

    srand(seed);
    for (int i = 0; i < n; i++) {
        p.rows[i] = equal ? (int)(seed % 5) : rand() % 4 * (rand() % 50);
        for (int j = 0; j < n; j++) {
            p.pair[i][j] = equal ? (int)(seed % 5) : rand() % 3 * (rand() % 9);
        }
    }
    p.root = rand() % n;
    return p;
}

static int64_t all_rows(const problem_t *p)
{
    int64_t sum = 0;

    for (int i = 0; i < p->n; i++) {
        sum += p->rows[i];
    }
    return sum;
}

/* send and recv of member me, as moe/backend.h says. */
static void fill_rows(const problem_t *p, moe_op_t op, int me, int64_t *send,
                      int64_t *recv)
{
    for (int i = 0; i < p->n; i++) {
        switch ((int)op) {
        case MOE_OP_allgather:
        case MOE_OP_allgatherv:
            send[i] = p->rows[me];
            recv[i] = p->rows[i];
            break;
        case MOE_OP_reducescatter:
        case MOE_OP_reducescatterv:
            send[i] = p->rows[i];
            recv[i] = p->rows[me];
            break;
        case MOE_OP_allreduce:
            send[i] = recv[i] = all_rows(p);
            break;
        case MOE_OP_alltoall:
        case MOE_OP_alltoallv:
            send[i] = p->pair[me][i];
            recv[i] = p->pair[i][me];
            break;
        default:
            send[i] = p->rows[p->root];
            recv[i] = i == p->root ? p->rows[p->root] : 0;
        }
    }
}

/* An element goes whole to one part. */
static void buffer_parts(const problem_t *p, int64_t *parts)
{
    int64_t total = all_rows(p) * ROW_ELEMENTS;

    memset(parts, 0, RANKS_MAX * sizeof(*parts));
    for (int64_t i = 0; i < total; i++) {
        parts[i % p->n] += p->element;
    }
}

static void simulate_ring(const problem_t *p, moe_op_t op, machine_t *m)
{
    int64_t bytes[RANKS_MAX] = {0};

    for (int i = 0; i < p->n; i++) {
        bytes[i] = p->rows[i] * bytes_of_row(p);
    }
    if (op == MOE_OP_allgather || op == MOE_OP_allgatherv) {
        ring_gather(m, bytes);
    } else if (op == MOE_OP_reducescatter || op == MOE_OP_reducescatterv) {
        ring_scatter(m, bytes);
    } else if (op == MOE_OP_allreduce) {
        buffer_parts(p, bytes);
        ring_reduce(m, bytes);
    } else if (op == MOE_OP_broadcast) {
        ring_broadcast(m, bytes[p->root], p->root);
    } else {
        for (int s = 1; s < p->n; s++) {
            for (int r = 0; r < p->n; r++) {
                carry(m, r, (r + s) % p->n,
                      p->pair[r][(r + s) % p->n] * bytes_of_row(p));
            }
            m->steps++;
        }
    }
}

static int64_t direct_bytes(const problem_t *p, moe_op_t op, int s, int d)
{
    int64_t parts[RANKS_MAX];

    switch ((int)op) {
    case MOE_OP_allgather:
    case MOE_OP_allgatherv:
        return p->rows[s] * bytes_of_row(p);
    case MOE_OP_reducescatter:
    case MOE_OP_reducescatterv:
        return p->rows[d] * bytes_of_row(p);
    case MOE_OP_allreduce:
        buffer_parts(p, parts);
        return parts[d];
    case MOE_OP_alltoall:
    case MOE_OP_alltoallv:
        return p->pair[s][d] * bytes_of_row(p);
    default:
        return s == p->root ? p->rows[s] * bytes_of_row(p) : 0;
    }
}

static void simulate_direct(const problem_t *p, moe_op_t op, machine_t *m)
{
    int64_t there[RANKS_MAX][RANKS_MAX] = {{0}};
    int64_t back[RANKS_MAX][RANKS_MAX] = {{0}};

    for (int s = 0; s < p->n; s++) {
        for (int d = 0; d < p->n; d++) {
            there[s][d] = direct_bytes(p, op, s, d);
            back[d][s] = there[s][d];
        }
    }
    direct_step(m, there);
    if (op == MOE_OP_allreduce) {
        direct_step(m, back);
    }
}

static void compare(const problem_t *p, moe_op_t op, moe_algorithm_t algorithm)
{
    machine_t m = {.n = p->n};
    int ranks[RANKS_MAX];
    int64_t send[RANKS_MAX];
    int64_t recv[RANKS_MAX];

    if (algorithm == MOE_ALGORITHM_ring) {
        simulate_ring(p, op, &m);
    } else {
        simulate_direct(p, op, &m);
    }
    for (int me = 0; me < p->n; me++) {
        moe_transfer_t t = {.n = p->n,
                            .me = me,
                            .ranks = ranks,
                            .send_rows = send,
                            .recv_rows = recv,
                            .row_bytes = bytes_of_row(p),
                            .element_bytes = p->element,
                            .root = p->root};
        moe_wire_t w;

        fill_rows(p, op, me, send, recv);
        w = moe_wire(op, algorithm, &t);
        ck_assert_msg(w.sent == m.sent[me] && w.received == m.received[me] &&
                          w.steps == m.steps,
                      "%s %s, rank %d of %d: sent %lld, not %lld; received "
                      "%lld, not %lld; steps %d, not %d",
                      moe_op_name(op), moe_algorithm_name(algorithm), me, p->n,
                      (long long)w.sent, (long long)m.sent[me],
                      (long long)w.received, (long long)m.received[me], w.steps,
                      m.steps);
    }
}

static void compare_all(const problem_t *p)
{
    for (int op = 0; op < MOE_OP_COUNT; op++) {
        if (moe_op_plane((moe_op_t)op) != MOE_PLANE_COLLECTIVE) {
            continue;
        }
        for (int a = 0; a < MOE_ALGORITHM_COUNT; a++) {
            compare(p, (moe_op_t)op, (moe_algorithm_t)a);
        }
    }
}

START_TEST(wire_equals_a_machine_that_passes_the_parts)
{
    for (int n = 1; n <= RANKS_MAX; n++) {
        for (unsigned seed = 0; seed < 20; seed++) {
            problem_t ragged = make_problem(n, seed, false);
            problem_t equal = make_problem(n, seed, true);

            compare_all(&ragged);
            compare_all(&equal);
        }
    }
}
END_TEST

/* 8 ranks of 1024 tokens, hidden 7168: as doc/benchmarks.md. */
static int64_t sent_by_eight(moe_op_t op, int64_t rows, int64_t row_bytes)
{
    int ranks[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    int64_t each[8];
    moe_transfer_t t = {8, 3, ranks, each, each, row_bytes, 2, -1, false, 0, 0};

    for (int i = 0; i < 8; i++) {
        each[i] = rows;
    }
    return moe_wire(op, moe_wire_algorithm(op), &t).sent;
}

START_TEST(wire_of_the_deepseek_example_is_as_published)
{
    ck_assert_int_eq(sent_by_eight(MOE_OP_allreduce, 8192, 14336), 205520896);
    ck_assert_int_eq(sent_by_eight(MOE_OP_allgather, 1024, 14336), 102760448);
    ck_assert_int_eq(sent_by_eight(MOE_OP_allgatherv, 1024, 4096), 29360128);
    ck_assert_int_eq(sent_by_eight(MOE_OP_reducescatterv, 1024, 14336),
                     102760448);
}
END_TEST

START_TEST(a_group_of_one_moves_nothing)
{
    int rank = 5;
    int64_t rows = 77;
    moe_transfer_t t = {1, 0, &rank, &rows, &rows, 9, 1, 0, false, 0, 0};

    for (int op = 0; op < MOE_OP_COUNT; op++) {
        for (int a = 0; a < MOE_ALGORITHM_COUNT; a++) {
            moe_wire_t w = moe_wire((moe_op_t)op, (moe_algorithm_t)a, &t);

            ck_assert_int_eq(w.sent, 0);
            ck_assert_int_eq(w.received, 0);
            ck_assert_int_eq(w.steps, 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tcase = tcase_create("wire");

    tcase_add_test(tcase, wire_equals_a_machine_that_passes_the_parts);
    tcase_add_test(tcase, wire_of_the_deepseek_example_is_as_published);
    tcase_add_test(tcase, a_group_of_one_moves_nothing);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
