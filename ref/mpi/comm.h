/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Inside of ref/mpi: MPI's calls wrapped, waiting, messages.
 */
#ifndef REF_MPI_COMM_H
#define REF_MPI_COMM_H

#include "ref/mpi/world.h"

#include <mpi.h>

/* Communicators of a layout's groups. */
typedef struct moe_groups {
    struct moe_groups *next;
    moe_layout_t layout;
    MPI_Comm comm[MOE_GROUP_COUNT];
} moe_groups_t;

struct moe_world {
    MPI_Comm world;  /* a duplicate: our point-to-point messages */
    MPI_Comm shadow; /* another: agreements */
    MPI_Comm group[MOE_GROUP_COUNT]; /* of the present layout; MPI_COMM_NULL
                                      * before one */
    moe_groups_t *groups;            /* of all layouts so far */
    int rank;
    int size;
    int64_t places; /* waits so far: the same number on all ranks */
    moe_runstate_t *state;
};

/** Status of an MPI call; records what MPI says about an error. */
moe_status_t moe_mpi_status(int code, const char *what);

/** Wraps a call: its text goes into the message of an error. */
#define MOE_MPI(call) moe_mpi_status((call), #call)

/** Wait for requests, giving the processor away meanwhile. */
moe_status_t moe_mpi_wait(MPI_Request *requests, int n);

/** The same for at most some seconds; *done_p tells if all are complete. */
moe_status_t moe_mpi_wait_for(MPI_Request *requests, int n, double seconds,
                              int *done_p);

/** Seconds of a steady clock. */
double moe_mpi_now(void);

/** Rows to or from all n ranks of a group. */
int64_t moe_mpi_rows(const int64_t *rows, int n);

/** One message; pieces of it are below 2^31 bytes. */
typedef struct {
    int peer;
    int is_send;
    void *data; /* not written if it is sent */
    int64_t size;
} moe_message_t;

/** All of some messages at once, on a communicator. Those of one pair of
 * ranks are in the same order on both. Whether it fails or not, MPI is done
 * with their data when it returns. */
moe_status_t moe_mpi_exchange(MPI_Comm comm, const moe_message_t *messages,
                              int n);

/** Bytes without const, for MPI's sake: messages that are sent. */
void *moe_mpi_bytes(const void *data);

#endif
