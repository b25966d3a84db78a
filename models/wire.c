/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wire bytes by algorithm.
 *
 * How it works: a ring all-gather passes each member's part on until the
 * rank before its owner has it; a ring reduce-scatter starts the part of
 * member d behind d and adds to it all the way to d. So each rank sends every
 * part but one, and which one is the whole difference.
 * Source: Thakur, Rabenseifner, Gropp: Optimization of collective
 * communication operations in MPICH (2005), sections 4.1 to 4.5; NCCL's ring.
 * Cost: steps x alpha + bytes x beta, models/collectives.c.
 * Test: tests/check_wire.c moves the parts of every ring step by step.
 */
#include "models/wire.h"

#include "moe/layout.h"

static const struct {
    const char *name;
    const char *text;
} algorithms[MOE_ALGORITHM_COUNT] = {
#define MOE_ALGORITHM(id, text) [MOE_ALGORITHM_##id] = {#id, text},
#include "models/algorithm.def"
#undef MOE_ALGORITHM
};

const char *moe_algorithm_name(moe_algorithm_t algorithm)
{
    return (unsigned)algorithm < MOE_ALGORITHM_COUNT
               ? algorithms[algorithm].name
               : "?";
}

const char *moe_algorithm_text(moe_algorithm_t algorithm)
{
    return (unsigned)algorithm < MOE_ALGORITHM_COUNT
               ? algorithms[algorithm].text
               : "?";
}

moe_algorithm_t moe_wire_algorithm(moe_op_t op)
{
    return op == MOE_OP_alltoall || op == MOE_OP_alltoallv
               ? MOE_ALGORITHM_direct
               : MOE_ALGORITHM_ring;
}

/* Bytes by member, as far as a rule needs them. */
typedef struct {
    int64_t sum;
    int64_t me;
    int64_t succ; /* of the next member in group order */
    int64_t pred;
} parts_t;

static parts_t parts_of(const int64_t *rows, const moe_transfer_t *t)
{
    parts_t p = {0};

    for (int i = 0; !t->summed && i < t->n; i++) {
        p.sum += rows[i] * t->row_bytes;
    }
    if (t->summed) {
        p.sum =
            t->row_bytes * (rows == t->send_rows ? t->send_sum : t->recv_sum);
    }
    p.me = rows[t->me] * t->row_bytes;
    p.succ = rows[(t->me + 1) % t->n] * t->row_bytes;
    p.pred = rows[(t->me + t->n - 1) % t->n] * t->row_bytes;
    return p;
}

/* Bytes of member i's part of a buffer, which is whole elements. */
static int64_t part_bytes(const moe_transfer_t *t, int64_t bytes, int i)
{
    moe_range_t range = moe_layout_part(bytes / t->element_bytes, t->n, i);

    return (range.end - range.begin) * t->element_bytes;
}

static parts_t parts_of_buffer(const moe_transfer_t *t)
{
    parts_t p = {.sum = t->send_rows[t->me] * t->row_bytes};

    p.me = part_bytes(t, p.sum, t->me);
    p.succ = part_bytes(t, p.sum, (t->me + 1) % t->n);
    p.pred = part_bytes(t, p.sum, (t->me + t->n - 1) % t->n);
    return p;
}

static moe_wire_t gather(moe_algorithm_t algorithm, int n, const parts_t *p)
{
    moe_wire_t w = {.received = p->sum - p->me};

    if (algorithm == MOE_ALGORITHM_ring) {
        w.sent = p->sum - p->succ;
        w.steps = n - 1;
    } else {
        w.sent = (n - 1) * p->me;
        w.steps = 1;
    }
    return w;
}

static moe_wire_t scatter(moe_algorithm_t algorithm, int n, const parts_t *p)
{
    moe_wire_t w = {.sent = p->sum - p->me};

    if (algorithm == MOE_ALGORITHM_ring) {
        w.received = p->sum - p->pred;
        w.steps = n - 1;
    } else {
        w.received = (n - 1) * p->me;
        w.steps = 1;
    }
    return w;
}

static moe_wire_t reduce(moe_algorithm_t algorithm, const moe_transfer_t *t)
{
    parts_t p = parts_of_buffer(t);
    moe_wire_t w = scatter(algorithm, t->n, &p);
    moe_wire_t back = gather(algorithm, t->n, &p);

    w.sent += back.sent;
    w.received += back.received;
    w.steps += back.steps;
    return w;
}

static moe_wire_t broadcast(moe_algorithm_t algorithm, const moe_transfer_t *t)
{
    int64_t n = t->recv_rows[t->root] * t->row_bytes;
    bool is_root = t->me == t->root;
    bool is_last = (t->me + 1) % t->n == t->root;
    moe_wire_t w = {.received = is_root ? 0 : n};

    if (algorithm == MOE_ALGORITHM_ring) {
        w.sent = is_last ? 0 : n;
        w.steps = t->n - 1;
    } else {
        w.sent = is_root ? (t->n - 1) * n : 0;
        w.steps = 1;
    }
    return w;
}

static moe_wire_t exchange(moe_algorithm_t algorithm, const moe_transfer_t *t)
{
    parts_t out = parts_of(t->send_rows, t);
    parts_t in = parts_of(t->recv_rows, t);
    moe_wire_t w = {out.sum - out.me, in.sum - in.me, 1};

    if (algorithm == MOE_ALGORITHM_ring) {
        w.steps = t->n - 1;
    }
    return w;
}

moe_wire_t moe_wire(moe_op_t op, moe_algorithm_t algorithm,
                    const moe_transfer_t *transfer)
{
    moe_wire_t none = {0};
    parts_t p;

    if (transfer->n < 2) {
        return none;
    }
    if (op == MOE_OP_allgather || op == MOE_OP_allgatherv) {
        p = parts_of(transfer->recv_rows, transfer);
        return gather(algorithm, transfer->n, &p);
    }
    if (op == MOE_OP_reducescatter || op == MOE_OP_reducescatterv) {
        p = parts_of(transfer->send_rows, transfer);
        return scatter(algorithm, transfer->n, &p);
    }
    if (op == MOE_OP_alltoall || op == MOE_OP_alltoallv) {
        return exchange(algorithm, transfer);
    }
    if (op == MOE_OP_allreduce) {
        return reduce(algorithm, transfer);
    }
    return op == MOE_OP_broadcast ? broadcast(algorithm, transfer) : none;
}
