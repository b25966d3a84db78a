/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The ordered list of a rank's collectives, and beside each what really went
 * to MPI. Written as JSON lines; doc/ledger.md describes the fields.
 */
#ifndef REF_MPI_LEDGER_H
#define REF_MPI_LEDGER_H

#include "moe/trace.h"
#include "ref/mpi/world.h"

#include <stdint.h>
#include <stdio.h>

#define MOE_LEDGER_VERSION 1

typedef struct moe_ledger moe_ledger_t;

/** What a collective did in MPI on this rank. */
typedef struct {
    const char *function; /* MPI_Alltoallv, ...; static; NULL: nothing */
    const char *second;   /* another one after it; static; or NULL */
    int64_t calls;        /* of both */
    int64_t bytes;        /* this rank's send arguments of those calls */
    int64_t redone;       /* elements whose terms were asked for */
} moe_ledger_mpi_t;

/** @param[in] rank  Own rank. */
moe_status_t moe_ledger_create(int rank, moe_ledger_t **ledger_p);
void moe_ledger_free(moe_ledger_t *ledger);

/** Add a collective, as its trace record says it. Everything is copied. */
moe_status_t moe_ledger_add(moe_ledger_t *ledger, const char *method,
                            const moe_trace_record_t *record,
                            const moe_ledger_mpi_t *mpi);

/** Number of collectives so far. */
int64_t moe_ledger_count(const moe_ledger_t *ledger);

/**
 * Merge the ledgers of all ranks, by sequence number, then rank. All ranks
 * call it.
 * @param[in] stream  Rank 0's; NULL on the others.
 */
moe_status_t moe_ledger_write(const moe_ledger_t *ledger, moe_world_t *world,
                              FILE *stream);

#endif
