/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Inside of the agreement: what ranks tell each other, and what is made of
 * it.
 */
#ifndef REF_MPI_AGREEMENT_WIRE_H
#define REF_MPI_AGREEMENT_WIRE_H

#include "ref/mpi/agreement.h"

#include <stddef.h>

#define MOE_AGREEMENT_LABEL 64
#define MOE_AGREEMENT_TEXT  MOE_RUNSTATE_ERROR

enum {
    MOE_TOLD_enter,
    MOE_TOLD_finish,
    MOE_TOLD_failed
};

/** What a rank tells the others first: of fixed size. */
typedef struct {
    int64_t kind;
    int64_t method; /* number of the method in the run, from 1 */
    int64_t call;   /* that it enters; else the last that it went by */
    int64_t op;
    int64_t stage;
    int64_t group;
    int64_t dtype;
    int64_t row_bytes;
    int64_t root;
    int64_t n; /* ranks of its group */
    int64_t me;
    int64_t leader;    /* first world rank of its group */
    int64_t send_rows; /* to all ranks of the group; of the call, as what is */
    int64_t recv_rows; /* above: of the last one where it enters none */
    int64_t status;
    char label[MOE_AGREEMENT_LABEL]; /* of the method; finish: where */
} moe_told_t;

/** What all ranks told. */
typedef struct {
    int ranks;              /* W */
    const moe_told_t *told; /* [W] */
    int64_t width;          /* largest n */
    const int64_t *counts;  /* [W][2 width]: rows sent, rows received */
} moe_tellings_t;

/** Lowest rank that failed; -1 if none. */
int moe_tellings_failed(const moe_tellings_t *all);

/**
 * Hold the headers against each other.
 * @param[out] text  One line that names the ranks, if they disagree.
 * @return true if they agree.
 */
bool moe_tellings_agree(const moe_tellings_t *all, char *text, size_t size);

/** The same for the counts of each pair of ranks of a group. */
bool moe_tellings_fit(const moe_tellings_t *all, char *text, size_t size);

#endif
