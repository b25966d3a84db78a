/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/ctx.h"
#include "moe/movement.h"

#include <stdbool.h>
#include <stddef.h>

/* A collective over a group: the same for every one of them. */
typedef struct {
    moe_op_t op;
    moe_group_t group;
    const int64_t *send; /* [R] rows, see moe_call_t */
    const int64_t *recv; /* [R] */
    int root;
    int64_t out_rows;
    bool carries;   /* a reduction whose sums stay unrounded */
    int64_t record; /* bytes that an unrounded row counts as; 0: its own */
} collective_t;

static const int64_t *same_rows(moe_ctx_t *c, int n, int64_t rows)
{
    const int64_t *known = c->run->shared == NULL
                               ? NULL
                               : moe_shared_same(c->run->shared, n, rows);
    int64_t *array;

    if (known != NULL) {
        return known;
    }
    array = moe_ctx_array(c, n);
    for (int i = 0; array != NULL && i < n; i++) {
        array[i] = rows;
    }
    return array;
}

static int64_t total(const moe_ctx_t *c, const int64_t *rows, int n)
{
    return moe_shared_sum(c->run->shared, rows, n);
}

/* Move one tensor, and not its scales: those are a call of their own. */
static void move(moe_ctx_t *c, const collective_t *how, moe_tensor_t *in,
                 moe_tensor_t *out)
{
    moe_call_t call = {.op = how->op, .group = how->group};

    call.in[0] = in;
    call.n_in = 1;
    call.out[0] = out;
    call.n_out = 1;
    call.ranks = moe_ctx_ranks(c, how->group);
    call.n_ranks = moe_ctx_group_size(c, how->group);
    call.me = moe_ctx_group_index(c, how->group);
    call.send_rows = how->send;
    call.recv_rows = how->recv;
    call.send_sum = total(c, how->send, call.n_ranks);
    call.recv_sum = total(c, how->recv, call.n_ranks);
    call.root = how->root;
    call.record = how->record;
    call.order = c->run->use->chain.contract.reduce;
    moe_ctx_do(c, &call, in);
}

/* Unrounded rows come out rounded. */
static bool rounds(const collective_t *how)
{
    return !how->carries &&
           (how->op == MOE_OP_allreduce || how->op == MOE_OP_reducescatter ||
            how->op == MOE_OP_reducescatterv);
}

static moe_tensor_t *collective(moe_ctx_t *c, const collective_t *how,
                                moe_tensor_t *t)
{
    moe_tensor_spec_t spec = {.role = t->role,
                              .storage = t->storage,
                              .dtype = t->dtype,
                              .rows = how->out_rows,
                              .cols = t->dim[1],
                              .valid_rows = -1};
    moe_tensor_t *out;

    if (t->carried_exact && rounds(how)) {
        spec.storage = *moe_ctx_storage(c, MOE_ROLE_output);
        spec.dtype = MOE_DTYPE_none;
    }
    spec.carried_exact = t->carried_exact && !rounds(how);
    spec.kept = spec.carried_exact;
    out = moe_tensor_make(c, &spec);
    if (out == NULL) {
        return NULL;
    }
    move(c, how, t, out);
    if (t->scale != NULL && out->scale != NULL) {
        move(c, how, t->scale, out->scale);
    }
    return out;
}

/* In groups of one nothing is called, and a sum is rounded that is no term of
 * another. */
static moe_tensor_t *alone(moe_ctx_t *c, bool carries, moe_tensor_t *t)
{
    return t->carried_exact && !carries ? moe_to(c, t, MOE_ROLE_output)
                                        : moe_tensor_keep(t);
}

static moe_tensor_t *gather(moe_ctx_t *c, moe_op_t op, moe_group_t group,
                            moe_tensor_t *t, const int64_t *rows)
{
    int n = moe_ctx_group_size(c, group);
    collective_t how = {.op = op, .group = group, .recv = rows, .root = -1};

    how.send = same_rows(c, n, t->dim[0]);
    if (how.send == NULL) {
        return NULL;
    }
    how.out_rows = total(c, rows, n);
    return collective(c, &how, t);
}

moe_tensor_t *moe_allgatherv(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                             const int64_t *rows)
{
    if (c->status != MOE_OK) {
        return NULL;
    }
    return moe_ctx_is_alone(c, group)
               ? moe_tensor_keep(t)
               : gather(c, MOE_OP_allgatherv, group, t, rows);
}

moe_tensor_t *moe_allgather(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t)
{
    const int64_t *rows;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (moe_ctx_is_alone(c, group)) {
        return moe_tensor_keep(t);
    }
    rows = same_rows(c, moe_ctx_group_size(c, group), t->dim[0]);
    return rows == NULL ? NULL : gather(c, MOE_OP_allgather, group, t, rows);
}

static moe_tensor_t *allreduce(moe_ctx_t *c, moe_group_t group, bool carries,
                               moe_tensor_t *t)
{
    collective_t how = {
        .op = MOE_OP_allreduce, .group = group, .root = -1, .carries = carries};

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (moe_ctx_is_alone(c, group)) {
        return alone(c, carries, t);
    }
    how.send = same_rows(c, moe_ctx_group_size(c, group), t->dim[0]);
    how.recv = how.send;
    how.out_rows = t->dim[0];
    return how.send == NULL ? NULL : collective(c, &how, t);
}

moe_tensor_t *moe_allreduce(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t)
{
    return allreduce(c, group, false, t);
}

moe_tensor_t *moe_allreduce_terms(moe_ctx_t *c, moe_group_t group,
                                  moe_tensor_t *t)
{
    return allreduce(c, group, true, t);
}

static moe_tensor_t *scatter(moe_ctx_t *c, collective_t *how, moe_tensor_t *t)
{
    how->out_rows = how->send[moe_ctx_group_index(c, how->group)];
    how->recv = same_rows(c, moe_ctx_group_size(c, how->group), how->out_rows);
    return how->recv == NULL ? NULL : collective(c, how, t);
}

moe_tensor_t *moe_reducescatterv(moe_ctx_t *c, moe_group_t group,
                                 moe_tensor_t *t, const int64_t *rows)
{
    collective_t how = {
        .op = MOE_OP_reducescatterv, .group = group, .send = rows, .root = -1};

    if (c->status != MOE_OK) {
        return NULL;
    }
    return moe_ctx_is_alone(c, group) ? alone(c, false, t)
                                      : scatter(c, &how, t);
}

/* Rows of each of n equal parts of a tensor, [n]. */
static const int64_t *equal_parts(moe_ctx_t *c, moe_op_t op,
                                  const moe_tensor_t *t, int n)
{
    if (t->dim[0] % n != 0) {
        moe_ctx_fail(c, moe_fail(MOE_ERR_INTERNAL,
                                 "%s: %lld rows are no %d equal parts",
                                 moe_op_name(op), (long long)t->dim[0], n));
        return NULL;
    }
    return same_rows(c, n, t->dim[0] / n);
}

static moe_tensor_t *reducescatter(moe_ctx_t *c, moe_group_t group,
                                   bool carries, moe_tensor_t *t)
{
    collective_t how = {.op = MOE_OP_reducescatter,
                        .group = group,
                        .root = -1,
                        .carries = carries};

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (moe_ctx_is_alone(c, group)) {
        return alone(c, carries, t);
    }
    how.send = equal_parts(c, how.op, t, moe_ctx_group_size(c, group));
    return how.send == NULL ? NULL : scatter(c, &how, t);
}

moe_tensor_t *moe_reducescatter(moe_ctx_t *c, moe_group_t group,
                                moe_tensor_t *t)
{
    return reducescatter(c, group, false, t);
}

moe_tensor_t *moe_reducescatter_terms(moe_ctx_t *c, moe_group_t group,
                                      moe_tensor_t *t)
{
    return reducescatter(c, group, true, t);
}

moe_tensor_t *moe_alltoall(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t)
{
    collective_t how = {.op = MOE_OP_alltoall, .group = group, .root = -1};

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (moe_ctx_is_alone(c, group)) {
        return moe_tensor_keep(t);
    }
    how.send = equal_parts(c, how.op, t, moe_ctx_group_size(c, group));
    how.recv = how.send;
    how.out_rows = t->dim[0];
    return how.send == NULL ? NULL : collective(c, &how, t);
}

static moe_tensor_t *alltoallv(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                               int64_t record, const int64_t *send,
                               const int64_t *recv)
{
    collective_t how = {.op = MOE_OP_alltoallv,
                        .group = group,
                        .send = send,
                        .recv = recv,
                        .root = -1,
                        .record = record};

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (moe_ctx_is_alone(c, group)) {
        return moe_tensor_keep(t);
    }
    how.out_rows = total(c, recv, moe_ctx_group_size(c, group));
    return collective(c, &how, t);
}

moe_tensor_t *moe_alltoallv(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                            const int64_t *send, const int64_t *recv)
{
    return alltoallv(c, group, t, 0, send, recv);
}

moe_tensor_t *moe_alltoallv_records(moe_ctx_t *c, moe_group_t group,
                                    moe_tensor_t *t, int64_t bytes,
                                    const int64_t *send, const int64_t *recv)
{
    moe_tensor_t *records;
    moe_tensor_t *came;
    moe_tensor_t *rows;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (bytes == 0 || t->carried_exact || moe_ctx_is_alone(c, group)) {
        return alltoallv(c, group, t, bytes, send, recv);
    }
    records = moe_pack_rows(c, &t, 1, 1, bytes);
    came = alltoallv(c, group, records, 0, send, recv);
    moe_unpack_rows(c, came, &t, 1, 1, &rows);
    moe_release(c, records);
    moe_release(c, came);
    return rows;
}

/* How rows of a root go out. False: nothing is to be done, or an error. */
static bool from_root(moe_ctx_t *c, moe_group_t group, int root, int64_t rows,
                      collective_t *how)
{
    int n = moe_ctx_group_size(c, group);
    int64_t *recv = moe_ctx_array(c, n);

    *how = (collective_t){.op = MOE_OP_broadcast,
                          .group = group,
                          .send = same_rows(c, n, rows),
                          .recv = recv,
                          .root = root,
                          .out_rows = rows};
    if (how->send == NULL || recv == NULL) {
        return false;
    }
    recv[root] = rows;
    return true;
}

moe_tensor_t *moe_broadcast(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                            int root, int64_t rows)
{
    collective_t how;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (moe_ctx_is_alone(c, group)) {
        return moe_tensor_keep(t);
    }
    return from_root(c, group, root, rows, &how) ? collective(c, &how, t)
                                                 : NULL;
}

void moe_broadcast_rows(moe_ctx_t *c, moe_group_t group, moe_tensor_t *t,
                        int root, int64_t row, int64_t rows)
{
    collective_t how;
    moe_tensor_t *slice;

    if (c->status != MOE_OK || moe_ctx_is_alone(c, group)) {
        return;
    }
    slice = moe_slice(c, t, row, rows);
    if (from_root(c, group, root, rows, &how)) {
        move(c, &how, slice, slice);
    }
    moe_release(c, slice);
}
