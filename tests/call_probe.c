/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/call_probe.h"

#include "tests/support.h"

#include <string.h>

enum {
    IDS_MAX = 64,
    RELEASES_MAX = 64
};

/* Tensors that an operation reads, and writes: itself, its scales, what it is
 * a view of. */
typedef struct {
    moe_stage_t stage;
    int bracket;
    int n_in;
    int n_out;
    int in[IDS_MAX];
    int out[IDS_MAX];
} touched_t;

static struct {
    call_probe_t *seen;
    call_probe_change_t change;
    int at;
    int rank; /* whose operations are counted */
    int next;
    touched_t last;
    bool holds;
    moe_call_t call; /* held */
    const moe_tensor_t *main;
    int n_releases;
    moe_tensor_t *release[RELEASES_MAX];
} probe;

__typeof__(moe_ctx_do) __real_moe_ctx_do, __wrap_moe_ctx_do;
__typeof__(moe_release) __real_moe_release, __wrap_moe_release;

void call_probe_watch(call_probe_t *seen)
{
    memset(&probe, 0, sizeof(probe));
    memset(seen, 0, sizeof(*seen));
    probe.seen = seen;
    probe.rank = -1;
}

void call_probe_change(call_probe_change_t change, int at)
{
    memset(&probe, 0, sizeof(probe));
    probe.change = change;
    probe.at = at;
    probe.rank = -1;
}

static int add(int *ids, int n, const moe_tensor_t *t)
{
    for (; t != NULL; t = t->parent) {
        ck_assert_int_le(n + 2, IDS_MAX);
        ids[n++] = t->id;
        if (t->scale != NULL) {
            ids[n++] = t->scale->id;
        }
    }
    return n;
}

static touched_t touched_by(const moe_ctx_t *c, const moe_call_t *call)
{
    touched_t t = {.stage = c->stage, .bracket = c->bracket};

    for (int i = 0; i < call->n_in; i++) {
        t.n_in = add(t.in, t.n_in, call->in[i]);
    }
    for (int i = 0; i < call->n_out; i++) {
        t.n_out = add(t.out, t.n_out, call->out[i]);
    }
    return t;
}

static bool meet(const int *a, int n_a, const int *b, int n_b)
{
    for (int i = 0; i < n_a * n_b; i++) {
        if (a[i / n_b] == b[i % n_b]) {
            return true;
        }
    }
    return false;
}

static bool may_swap(const touched_t *a, const touched_t *b)
{
    return a->stage == b->stage && a->bracket == b->bracket &&
           !meet(a->out, a->n_out, b->in, b->n_in) &&
           !meet(a->in, a->n_in, b->out, b->n_out) &&
           !meet(a->out, a->n_out, b->out, b->n_out);
}

/* Operation i of a rank; where ranks differ, only what holds for all. */
static void write_down(const moe_ctx_t *c, const moe_call_t *call, int i)
{
    call_probe_t *seen = probe.seen;
    const touched_t now = touched_by(c, call);
    const bool first = i >= seen->n;

    ck_assert_int_lt(i, CALL_PROBE_MAX);
    if (i > 0) {
        bool swaps = may_swap(&probe.last, &now);

        seen->swaps[i - 1] = swaps && (first || seen->swaps[i - 1]);
    }
    ck_assert(first || seen->op[i] == call->op);
    seen->op[i] = call->op;
    seen->moves[i] = moe_op_plane(call->op) == MOE_PLANE_COLLECTIVE;
    seen->n = first ? i + 1 : seen->n;
    probe.last = now;
}

static void let_go(moe_ctx_t *c)
{
    probe.holds = false;
    __real_moe_ctx_do(c, &probe.call, probe.main);
    for (int i = 0; i < probe.n_releases; i++) {
        __real_moe_release(c, probe.release[i]);
    }
    probe.n_releases = 0;
}

void __wrap_moe_ctx_do(moe_ctx_t *c, moe_call_t *call, const moe_tensor_t *main)
{
    int i;

    if (c->run->rank != probe.rank) {
        probe.rank = c->run->rank;
        probe.next = 0;
    }
    i = probe.next++;
    if (probe.seen != NULL) {
        write_down(c, call, i);
    }
    if (probe.change == CALL_PROBE_SWAP && i == probe.at) {
        probe.holds = true;
        probe.call = *call;
        probe.main = main;
        return;
    }
    __real_moe_ctx_do(c, call, main);
    if (probe.holds) {
        let_go(c);
    }
    if (probe.change == CALL_PROBE_REPEAT && i == probe.at) {
        __real_moe_ctx_do(c, call, main);
    }
}

void __wrap_moe_release(moe_ctx_t *c, moe_tensor_t *t)
{
    if (!probe.holds) {
        __real_moe_release(c, t);
        return;
    }
    ck_assert_int_lt(probe.n_releases, RELEASES_MAX);
    probe.release[probe.n_releases++] = t;
}
