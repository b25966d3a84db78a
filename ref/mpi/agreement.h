/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Ranks agree on what they are about to do before they do it.
 *
 * Each collective is announced on a communicator of its own, without
 * blocking, with its counts; so a rank that leaves one out, enters another
 * or counts otherwise is told with names, and nobody hangs. Finishing and
 * failing are agreements too: a rank that fails joins the next one with its
 * message. After the first disagreement or failure the agreement is broken,
 * and every later call returns at once.
 *
 * All ranks of the world take part in each agreement, whatever group the
 * collective is on: a rank that is alone in its group calls too, unless all
 * groups of the kind are of one rank.
 */
#ifndef REF_MPI_AGREEMENT_H
#define REF_MPI_AGREEMENT_H

#include "moe/backend.h"
#include "ref/mpi/world.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct moe_agreement moe_agreement_t;

/** A collective that a rank is about to enter. */
typedef struct {
    int64_t call; /* number in its method */
    moe_op_t op;
    moe_stage_t stage;
    moe_group_t group;
    moe_dtype_t dtype;
    int64_t row_bytes;
    int root;
    int n;                    /* ranks of the group */
    int me;                   /* place in it */
    const int *ranks;         /* [n] world ranks */
    const int64_t *send_rows; /* [n] */
    const int64_t *recv_rows; /* [n] */
} moe_intent_t;

/**
 * @param[in] world    Kept.
 * @param[in] enabled  False: collectives are not agreed upon, only ends and
 *                     failures.
 */
moe_status_t moe_agreement_create(moe_world_t *world, bool enabled,
                                  moe_agreement_t **agreement_p);
void moe_agreement_free(moe_agreement_t *agreement);

/** A method begins; its label is copied. Local. */
void moe_agreement_method(moe_agreement_t *agreement, const char *label);

/** The rank goes by a collective without entering it. Local; for faults. */
void moe_agreement_passed(moe_agreement_t *agreement,
                          const moe_intent_t *intent);

/**
 * Agree on a collective.
 * @param[in,out] seconds_p  Time spent here is added.
 * @return MOE_OK: all ranks are about to enter it, and their counts fit;
 *         MOE_ERR_DISAGREE; MOE_ERR_PEER if another rank failed; MOE_ERR_MPI.
 */
moe_status_t moe_agreement_enter(moe_agreement_t *agreement,
                                 const moe_intent_t *intent, double *seconds_p);

/**
 * Agree that a phase of the run is over, with each rank's status; to be
 * called by every rank at the same points (inputs ready, method done, report
 * written), and by a rank that failed, once.
 *
 * A failed rank's message is that of moe_error_text(). It waits for the
 * others for a few seconds only.
 *
 * @return MOE_OK if all ranks came with MOE_OK; own status if it is another;
 *         MOE_ERR_DISAGREE or MOE_ERR_PEER with the message recorded.
 */
moe_status_t moe_agreement_finish(moe_agreement_t *agreement,
                                  moe_status_t status, const char *where);

/** After a failure: true on the one rank that is to tell the user. */
bool moe_agreement_speaks(const moe_agreement_t *agreement);

/** After a failure: true if all ranks know, so that MPI can end; else
 * moe_world_abort() has to. */
bool moe_agreement_complete(const moe_agreement_t *agreement);

/** What a failure is for the launcher, the same on all ranks that know of it:
 * the status of the rank that failed, where the own one is MOE_ERR_PEER. */
moe_status_t moe_agreement_cause(const moe_agreement_t *agreement,
                                 moe_status_t status);

/** Time spent in all agreements on this rank. */
double moe_agreement_seconds(const moe_agreement_t *agreement);

#endif
