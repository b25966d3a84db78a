/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The trace: one record an operation, the same from every backend.
 *
 * Order on a rank is the order of calls; a record names the tensors that it
 * reads and writes, so a trace is a graph. doc/trace.md describes the form
 * that is written to files.
 */
#ifndef MOE_TRACE_H
#define MOE_TRACE_H

#include "base/status.h"
#include "moe/format.h"
#include "moe/tensor.h"
#include "moe/vocabulary.h"

#include <stdbool.h>
#include <stdint.h>

#define MOE_TRACE_VERSION 1
#define MOE_TRACE_TENSORS 14

/** Bytes of one element of an unrounded sum as a backend carries it. */
#define MOE_CARRIED_BYTES 24

/** What an operation moves, over the members of its group, in group order.
 * Bytes are payload: the arguments of the operation. */
typedef struct {
    int n;                    /* group size; 0 for local operations */
    int me;                   /* this rank's place */
    const int *ranks;         /* [n] world ranks, ascending */
    const int64_t *send_rows; /* [n] rows to each member, see moe_call_t */
    const int64_t *recv_rows; /* [n] rows from each member */
    int64_t row_bytes;        /* modelled bytes of one row */
    int64_t element_bytes;    /* of one element; a sum cuts none */
    int root;                 /* of a broadcast, else -1 */
    bool summed;              /* the sums are known; else 0 */
    int64_t send_sum;         /* of send_rows */
    int64_t recv_sum;
} moe_transfer_t;

typedef struct {
    int64_t id; /* from 1 on a rank */
    int layer;
    int micro_batch;
    int rank;
    moe_stage_t stage;
    moe_op_t op;
    int bracket;        /* number of the enclosing group bracket, 0 none */
    bool bracket_fused; /* one kernel of a library; else a batch */
    const char *bracket_name;
    moe_group_t group;           /* of collectives and agree */
    moe_agree_kind_t agree_kind; /* of agree */
    int64_t call; /* number of the collective, the same on all ranks
                   * of a group; 0 for local operations */
    int n_read;
    int read[MOE_TRACE_TENSORS]; /* tensor ids */
    int n_written;
    int written[MOE_TRACE_TENSORS];
    moe_role_t role;      /* of the first tensor written */
    moe_format_t format;  /* of the first tensor written */
    moe_format_t operand; /* of the first tensor read; of rows and weights the
                           * wider */
    moe_dtype_t dtype;    /* element type that moves or is computed */
    int64_t rows;         /* valid rows of the main tensor */
    int64_t cols;
    int64_t payload;    /* bytes of a collective's send argument, doc/report.md:
                         * all-gather(v) n_s; reduce-scatter(v), all-reduce
                         * N; all-to-all(v) its row sum with the self part;
                         * broadcast n at the root, else 0 */
    int64_t carried;    /* bytes that really stand for them, unrounded */
    int64_t read_bytes; /* device memory, local operations */
    int64_t write_bytes;
    double flops;      /* 2 M N K of matmuls, one an element else */
    int64_t n_experts; /* rows_per_expert: [n_experts], grouped ops */
    const int64_t *rows_per_expert;
    moe_transfer_t transfer;
    double start_s; /* by backends that measure, else 0 */
    double wall_s;
    double agree_s; /* part of wall_s spent agreeing */
} moe_trace_record_t;

/** Receiver of records; pointers in a record live for the call only. */
typedef struct {
    void *self;
    moe_status_t (*record)(void *self, const moe_trace_record_t *record);
    /* Memory of a rank's tensors after an allocation (bytes now). May be
     * NULL. */
    void (*memory)(void *self, int rank, int64_t bytes);
    /* Times of a record that was given before, from a backend that measures
     * late. May be NULL. */
    void (*timed)(void *self, int rank, int64_t record, double start_s,
                  double wall_s);
} moe_trace_sink_t;

/** Collective that moves a record's bytes: its operation, or that of an
 * agreement with traffic; MOE_OP_agree if nothing moves. */
moe_op_t moe_trace_moves(const moe_trace_record_t *record);

/**
 * Add what a collective moves to pairs[W][W], by origin and destination in
 * world ranks, for the record's own rank as origin: all-gather(v) n_s to
 * each other, reduce-scatter(v) n_d, all-to-all(v) s to d, all-reduce N,
 * broadcast n from the root; the diagonal stays 0.
 */
void moe_trace_add_pairs(const moe_trace_record_t *record, int world,
                         int64_t *pairs);

#endif
