/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plan learns from other ranks. Numbers travel as 64-bit integers by
 * MPI's own collectives; what the modelled system sends for them stands in
 * the record. With traffic they are announced and noted as collectives are.
 */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include <stdlib.h>

static moe_status_t announce(moe_ref_backend_t *be, const moe_agree_t *agree,
                             moe_trace_record_t *record)
{
    moe_intent_t intent = {.call = record->call,
                           .op = MOE_OP_agree,
                           .stage = record->stage,
                           .group = agree->group,
                           .dtype = record->dtype,
                           .row_bytes = record->transfer.row_bytes,
                           .root = -1,
                           .n = agree->n_ranks,
                           .me = agree->me,
                           .ranks = agree->ranks,
                           .send_rows = record->transfer.send_rows,
                           .recv_rows = record->transfer.recv_rows};

    be->n_calls++;
    return moe_agreement_enter(be->in.agreement, &intent, &record->agree_s);
}

/* Every member's numbers for this one; own in out on entry. */
static moe_status_t tell(const moe_agree_t *agree, MPI_Comm comm, int64_t *out)
{
    int each = agree->n / agree->n_ranks;

    return MOE_MPI(MPI_Alltoall(MPI_IN_PLACE, each, MPI_INT64_T, out, each,
                                MPI_INT64_T, comm));
}

static moe_status_t join(const moe_agree_t *agree, MPI_Comm comm, MPI_Op op,
                         int64_t *out)
{
    return MOE_MPI(
        MPI_Allreduce(MPI_IN_PLACE, out, agree->n, MPI_INT64_T, op, comm));
}

static moe_status_t gather(const moe_agree_t *agree, MPI_Comm comm,
                           int64_t *out)
{
    return MOE_MPI(MPI_Allgather(MPI_IN_PLACE, agree->n, MPI_INT64_T, out,
                                 agree->n, MPI_INT64_T, comm));
}

static moe_status_t exchange(const moe_agree_t *agree, MPI_Comm comm,
                             int64_t *out, moe_ledger_mpi_t *mpi)
{
    int64_t bytes = agree->n * (int64_t)sizeof(*out);

    switch (agree->want) {
    case MOE_WANT_told:
        moe_ref_note(mpi, "MPI_Alltoall", bytes);
        return tell(agree, comm, out);
    case MOE_WANT_sum:
        moe_ref_note(mpi, "MPI_Allreduce", bytes);
        return join(agree, comm, MPI_SUM, out);
    case MOE_WANT_max:
        moe_ref_note(mpi, "MPI_Allreduce", bytes);
        return join(agree, comm, MPI_MAX, out);
    case MOE_WANT_each:
    default:
        moe_ref_note(mpi, "MPI_Allgather", bytes);
        return gather(agree, comm, out);
    }
}

moe_status_t moe_ref_agree(moe_backend_t *self, const moe_agree_t *agree,
                           int64_t *out, moe_trace_record_t *record)
{
    moe_ref_backend_t *be = (moe_ref_backend_t *)self;
    moe_world_t *world = be->in.world;
    moe_status_t status =
        record->call > 0 ? announce(be, agree, record) : MOE_OK;
    moe_ledger_mpi_t mpi = {0};

    if (status != MOE_OK) {
        return status;
    }
    agree->contribute(agree->layer, agree->options, world->rank, be->in.routing,
                      agree->want == MOE_WANT_each
                          ? out + (int64_t)agree->me * agree->n
                          : out);
    if (agree->n_ranks == 1 && record->call == 0) {
        return MOE_OK;
    }
    moe_runstate_wait(world->state, ++world->places,
                      (int64_t)sizeof(*out) * agree->n, "a plan's numbers");
    status = exchange(agree, world->group[agree->group], out, &mpi);
    moe_runstate_go(world->state);
    return status == MOE_OK && record->call > 0
               ? moe_ledger_add(be->in.ledger, be->use->label, record, &mpi)
               : status;
}
