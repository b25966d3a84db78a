/* SPDX-License-Identifier: Apache-2.0 */
/* What moesim itself exchanges: point to point. */
#include "config.h"

#include "base/checked.h"
#include "ref/mpi/comm.h"

#include <stdlib.h>
#include <string.h>

static moe_status_t exchange(moe_world_t *world, const moe_message_t *messages,
                             int n, const char *what)
{
    moe_status_t status;
    int64_t bytes = 0;

    for (int i = 0; i < n; i++) {
        bytes += messages[i].size;
    }
    moe_runstate_wait(world->state, ++world->places, bytes, what);
    status = moe_mpi_exchange(world->world, messages, n);
    moe_runstate_go(world->state);
    return status;
}

/* Messages to and from every other rank; the caller frees them. */
static moe_message_t *new_messages(const moe_world_t *world)
{
    moe_message_t *m = calloc(2 * (size_t)world->size, sizeof(*m));

    if (m == NULL) {
        (void)moe_fail(MOE_ERR_NOMEM, "no memory for messages");
    }
    return m;
}

static bool is_receiver(int root, int rank)
{
    return root < 0 || root == rank;
}

/* Add messages between all ranks and the receivers: the root, or all. */
static int add_messages(const moe_world_t *world, int root, void *data,
                        int64_t size, const moe_blob_t *all, moe_message_t *m)
{
    int n = 0;

    for (int r = 0; r < world->size; r++) {
        if (r == world->rank) {
            continue;
        }
        if (is_receiver(root, world->rank)) {
            m[n++] = (moe_message_t){r, 0, all[r].data, all[r].size};
        }
        if (is_receiver(root, r)) {
            m[n++] = (moe_message_t){r, 1, data, size};
        }
    }
    return n;
}

/* Blobs of the given sizes with their memory, in one piece. */
static moe_blob_t *new_blobs(const int64_t *sizes, int n)
{
    int64_t total = (int64_t)sizeof(moe_blob_t) * n + 1;
    moe_blob_t *blobs;
    char *at;

    for (int i = 0; i < n; i++) {
        if (sizes[i] < 0 || !moe_add_i64(total, sizes[i], &total)) {
            (void)moe_fail(MOE_ERR_RANGE, "a message of rank %d is too long",
                           i);
            return NULL;
        }
    }
    blobs = malloc((size_t)total);
    if (blobs == NULL) {
        (void)moe_fail(MOE_ERR_NOMEM, "no memory for messages of %lld bytes",
                       (long long)total);
        return NULL;
    }
    at = (char *)(blobs + n);
    for (int i = 0; i < n; i++) {
        blobs[i].data = at;
        blobs[i].size = sizes[i];
        at += sizes[i];
    }
    return blobs;
}

/* Sizes first; [size], in sizes of the receivers. */
static moe_status_t learn_sizes(moe_world_t *world, int root, int64_t own,
                                int64_t *sizes, moe_blob_t *cells,
                                moe_message_t *m)
{
    int n;

    for (int r = 0; r < world->size; r++) {
        cells[r].data = &sizes[r];
        cells[r].size = (int64_t)sizeof(sizes[r]);
    }
    sizes[world->rank] = own;
    n = add_messages(world, root, &own, (int64_t)sizeof(own), cells, m);
    return exchange(world, m, n, "sizes of messages");
}

static moe_status_t collect(moe_world_t *world, int root, moe_blob_t own,
                            moe_message_t *m, moe_blob_t **all_p)
{
    size_t ranks = (size_t)world->size;
    int64_t *sizes = calloc(ranks, sizeof(*sizes));
    moe_blob_t *all = calloc(ranks, sizeof(*all));
    moe_status_t status = MOE_ERR_NOMEM;

    if (sizes != NULL && all != NULL) {
        status = learn_sizes(world, root, own.size, sizes, all, m);
    }
    free(all);
    all = NULL;
    if (status == MOE_OK && is_receiver(root, world->rank)) {
        all = new_blobs(sizes, world->size);
        status = all == NULL ? MOE_ERR_NOMEM : MOE_OK;
    }
    if (status == MOE_OK && all != NULL && own.size > 0) {
        memcpy(all[world->rank].data, own.data, (size_t)own.size);
    }
    if (status == MOE_OK) {
        int n = add_messages(world, root, own.data, own.size, all, m);

        status = exchange(world, m, n, "messages of all ranks");
    }
    free(sizes);
    if (status != MOE_OK) {
        free(all);
        return moe_fail(status, "cannot exchange messages");
    }
    *all_p = all;
    return MOE_OK;
}

static moe_status_t collect_at(moe_world_t *world, int root, const void *data,
                               int64_t size, moe_blob_t **all_p)
{
    moe_blob_t own = {moe_mpi_bytes(data), size};
    moe_message_t *m = new_messages(world);
    moe_status_t status = MOE_ERR_NOMEM;

    if (m != NULL) {
        status = collect(world, root, own, m, all_p);
    }
    free(m);
    return status;
}

moe_status_t moe_world_share(moe_world_t *world, const void *data, int64_t size,
                             moe_blob_t **all_p)
{
    return collect_at(world, -1, data, size, all_p);
}

moe_status_t moe_world_gather(moe_world_t *world, int root, const void *data,
                              int64_t size, moe_blob_t **all_p)
{
    return collect_at(world, root, data, size, all_p);
}

void moe_blobs_free(moe_blob_t *blobs)
{
    free(blobs);
}

moe_status_t moe_world_spread(moe_world_t *world, int root, void *data,
                              int64_t size)
{
    moe_message_t *m = new_messages(world);
    moe_status_t status;
    int n = 0;

    if (m == NULL) {
        return MOE_ERR_NOMEM;
    }
    if (world->rank != root) {
        m[n++] = (moe_message_t){root, 0, data, size};
    }
    for (int r = 0; r < world->size && world->rank == root; r++) {
        if (r != root) {
            m[n++] = (moe_message_t){r, 1, data, size};
        }
    }
    status = exchange(world, m, n, "a message of one rank");
    free(m);
    return status;
}

moe_status_t moe_world_send(moe_world_t *world, int to, const void *data,
                            int64_t size)
{
    moe_message_t m = {to, 1, moe_mpi_bytes(data), size};

    world->places--; /* the other ranks do not count it */
    return exchange(world, &m, 1, "sending a message");
}

moe_status_t moe_world_recv(moe_world_t *world, int from, void *data,
                            int64_t size)
{
    moe_message_t m = {from, 0, data, size};

    world->places--;
    return exchange(world, &m, 1, "receiving a message");
}

/* Dissemination: after round i everybody knows of 2^(i+1) ranks. */
moe_status_t moe_world_barrier(moe_world_t *world)
{
    moe_status_t status = MOE_OK;

    for (int step = 1; status == MOE_OK && step < world->size; step *= 2) {
        char out = 1;
        char in = 0;
        moe_message_t m[2];

        m[0] = (moe_message_t){(world->rank + step) % world->size, 1, &out, 1};
        m[1] = (moe_message_t){(world->rank + world->size - step) % world->size,
                               0, &in, 1};
        status = exchange(world, m, 2, "a barrier");
    }
    return status;
}
