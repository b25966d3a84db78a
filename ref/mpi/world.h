/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The ranks of a run: MPI started, communicators of the groups, and what
 * moesim itself exchanges, point to point.
 *
 * MPI's errors are returned, never fatal. What is exchanged here grows with
 * the tokens, so no MPI collective carries it: they are kept for what the
 * modelled system moves.
 */
#ifndef REF_MPI_WORLD_H
#define REF_MPI_WORLD_H

#include "base/runstate.h"
#include "base/status.h"
#include "moe/layout.h"

#include <stdint.h>

typedef struct moe_world moe_world_t;

/** Bytes in one piece. */
typedef struct {
    void *data;
    int64_t size;
} moe_blob_t;

/**
 * Start MPI (funneled).
 * @param[in]  state    Told when the rank waits; kept; may be NULL.
 * @param[out] world_p  Ended with moe_world_free().
 */
moe_status_t moe_world_create(moe_runstate_t *state, moe_world_t **world_p);

/** End MPI. All ranks must come. Accepts NULL. */
void moe_world_free(moe_world_t *world);

/** End all ranks now; does not return. */
_Noreturn void moe_world_abort(moe_world_t *world, int exit_status);

int moe_world_rank(const moe_world_t *world);
int moe_world_size(const moe_world_t *world);
moe_runstate_t *moe_world_state(const moe_world_t *world);

/**
 * Make the communicators of a layout's groups the present ones; those of
 * earlier layouts are kept for their return. All ranks call it.
 * @return MOE_ERR_INPUT if the layout has another number of ranks.
 */
moe_status_t moe_world_set_layout(moe_world_t *world,
                                  const moe_layout_t *layout);

/**
 * Every rank's bytes to every rank.
 * @param[out] all_p  [size] of blobs, in order of rank, in one piece of
 *                    memory that the caller frees with moe_blobs_free().
 */
moe_status_t moe_world_share(moe_world_t *world, const void *data, int64_t size,
                             moe_blob_t **all_p);

/** The same to one rank; the others get NULL. */
moe_status_t moe_world_gather(moe_world_t *world, int root, const void *data,
                              int64_t size, moe_blob_t **all_p);
void moe_blobs_free(moe_blob_t *blobs);

/** Bytes of the root to all; size is known to all. */
moe_status_t moe_world_spread(moe_world_t *world, int root, void *data,
                              int64_t size);

/** Send to, receive from one rank; both know the size. */
moe_status_t moe_world_send(moe_world_t *world, int to, const void *data,
                            int64_t size);
moe_status_t moe_world_recv(moe_world_t *world, int from, void *data,
                            int64_t size);

/** Nobody leaves before everybody came. */
moe_status_t moe_world_barrier(moe_world_t *world);

#endif
