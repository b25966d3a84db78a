/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Inside of the reference backend: its files share this.
 */
#ifndef REF_MPI_BACKEND_INSIDE_H
#define REF_MPI_BACKEND_INSIDE_H

#include "ref/combine.h"
#include "ref/mpi/backend_ref.h"
#include "ref/mpi/comm.h"
#include "ref/permute.h"

/* Buffers of a reduction are about this large, each. */
#define MOE_REF_PIECE_BYTES (INT64_C(16) << 20)

typedef struct {
    moe_backend_t table; /* first: a backend is this object */
    moe_ref_inputs_t in;
    const moe_method_use_t *use;
    const moe_layer_t *scenario; /* the layer as it is laid without a method */
    moe_layer_t layer;           /* as the method lays it: in.layer */
    int n_begun;                 /* methods */
    int64_t n_calls;             /* collectives so far, of all methods */
    int64_t n_experts_done;
    moe_stage_t stage;
    moe_ref_stats_t stats;
} moe_ref_backend_t;

/* --- memory (ref_memory.c) ----------------------------------------------- */

moe_status_t moe_ref_alloc(moe_backend_t *self, moe_tensor_t *tensor);
void moe_ref_free(moe_backend_t *self, moe_tensor_t *tensor);
int64_t moe_ref_storage_bytes(const moe_tensor_t *tensor);
int64_t moe_ref_workspace_bytes(const moe_layer_t *layer,
                                const moe_call_t *call);

/** Bytes of n rows as they lie in memory; modelled ones may be shorter. */
int64_t moe_ref_row_bytes(const moe_tensor_t *t, int64_t n);

/** An unrounded sum: the tensor with its sources, and the row of it at
 * which a view begins. */
const moe_tensor_t *moe_ref_sum_of(const moe_tensor_t *tensor, int64_t *row_p);

/** Terms of an unrounded sum; false if no stage made any: it is zero. */
bool moe_ref_terms_of(const moe_tensor_t *sum, moe_ref_terms_t *terms_p);

/** True if an unrounded tensor holds its rows; else it is a sum that is made
 * from its sources when it is sent or rounded, or a view. */
bool moe_ref_is_kept(const moe_tensor_t *tensor);

/** Unrounded rows [row, row + n) of a carried_exact tensor. */
void moe_ref_sums(const moe_tensor_t *tensor, int64_t row, int64_t n,
                  moe_sum_t *out);

/* --- local operations (ref_local.c, ref_topk.c, ref_gate.c, ref_move.c) --- */

moe_status_t moe_ref_local(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_topk(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_gate_rows(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_group(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_matmul(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_sort(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_sort_received(moe_ref_backend_t *be,
                                   const moe_call_t *call);
moe_status_t moe_ref_origins(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_pair_weights(moe_ref_backend_t *be,
                                  const moe_call_t *call);
moe_status_t moe_ref_map_choices(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_list_choices(moe_ref_backend_t *be,
                                  const moe_call_t *call);
moe_status_t moe_ref_scatter(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_pack(moe_ref_backend_t *be, const moe_call_t *call);
moe_status_t moe_ref_unpack(moe_ref_backend_t *be, const moe_call_t *call);

/** Bytes that a gate takes while it runs. */
int64_t moe_ref_gate_bytes(const moe_call_t *call);

/** Make the mistakes that were injected in what a local operation made
 * (ref_inject.c). */
moe_status_t moe_ref_inject(moe_ref_backend_t *be, const moe_call_t *call);

/** Round an unrounded tensor on this rank alone. */
moe_status_t moe_ref_round_local(moe_ref_backend_t *be, const moe_tensor_t *in,
                                 const moe_tensor_t *out);

/** Store codes of a float format. */
void moe_ref_store(const moe_tensor_t *out, int64_t row, int64_t col,
                   uint32_t bits);

/** Rows that experts are given, of data `stamp`: each where it belongs
 * (ref_stamps.c). @return MOE_OK; MOE_ERR_CHECK; MOE_ERR_NOMEM. */
moe_status_t moe_ref_check_stamps(const moe_ref_backend_t *be,
                                  const moe_call_t *call,
                                  const moe_ref_index_t *index);

/* --- collectives (ref_collectives.c, ref_rows.c) ------------------------- */

moe_status_t moe_ref_collective(moe_ref_backend_t *be, const moe_call_t *call,
                                moe_trace_record_t *record);

/** Rows from and to each member of a group, as MPI wants them. */
typedef struct {
    MPI_Comm comm;
    MPI_Datatype row; /* committed */
    int n;            /* members */
    int *send_n;      /* [n] rows to each; all four in one allocation */
    int *send_at;     /* [n] where they begin */
    int *recv_n;      /* [n] rows from each */
    int *recv_at;
} moe_ref_rows_t;

/** Counts zeroed. Ended with moe_ref_rows_fini(). */
moe_status_t moe_ref_rows_init(MPI_Comm comm, int64_t row_bytes, int n,
                               moe_ref_rows_t *rows_p);
void moe_ref_rows_fini(moe_ref_rows_t *rows);

/** Set count and place of a member; MOE_ERR_RANGE from 2^31 rows on. */
moe_status_t moe_ref_rows_send(moe_ref_rows_t *rows, int member, int64_t at,
                               int64_t n);
moe_status_t moe_ref_rows_recv(moe_ref_rows_t *rows, int member, int64_t at,
                               int64_t n);

/** Numbers of a plan (ref_agree.c). */
moe_status_t moe_ref_agree(moe_backend_t *self, const moe_agree_t *agree,
                           int64_t *out, moe_trace_record_t *record);

/** Note a call in the ledger: bytes of its send argument. */
void moe_ref_note(moe_ledger_mpi_t *mpi, const char *function, int64_t bytes);

/* --- reductions (ref_reduce.c, ref_exact.c, ref_redo.c) ------------------ */

/** How the rows of a reduction are cut into pieces: a pure function of the
 * rows, so that all members cut alike. */
typedef struct {
    int64_t pieces;
    int64_t send_rows; /* of the first piece, which is the longest */
    int64_t recv_rows; /* of each member, there */
} moe_ref_cut_t;

/**
 * @param[in] rows  [n] that each member reduces.
 */
moe_ref_cut_t moe_ref_cut(const int64_t *rows, int n, int me,
                          int64_t row_bytes);

/** A reduction: member d gets the sum of rows [at[d], at[d] + rows[d]). */
typedef struct {
    moe_ref_backend_t *be;
    const moe_call_t *call;
    MPI_Comm comm;
    int64_t *rows;   /* [n] */
    int64_t *at;     /* [n] */
    int64_t out_row; /* where own rows begin in the output */
    moe_ledger_mpi_t *mpi;
} moe_ref_reduction_t;

moe_status_t moe_ref_reduce(moe_ref_backend_t *be, const moe_call_t *call,
                            moe_ledger_mpi_t *mpi);

/** Told around what a rank computes amid a reduction: it does not wait
 * meanwhile, and waits again in the same place. */
void moe_ref_computes(const moe_ref_reduction_t *r);
void moe_ref_waits(const moe_ref_reduction_t *r);

/** Own rows of the sum of unrounded tensors, rounded into the output. */
moe_status_t moe_ref_reduce_sums(const moe_ref_reduction_t *r);

/** An element that rounding left open. */
typedef struct {
    int64_t row; /* of the reduction's input */
    int64_t col;
} moe_ref_open_t;

typedef struct {
    int64_t n;
    int64_t room;
    moe_ref_open_t *item;
} moe_ref_open_list_t;

moe_status_t moe_ref_open_add(moe_ref_open_list_t *list, int64_t row,
                              int64_t col);

/** Exact terms of an element of an unrounded tensor: how many, in out; and
 * the most that an element of it has. */
int64_t moe_ref_element(const moe_tensor_t *tensor, int64_t row, int64_t col,
                        double *out);
int64_t moe_ref_element_most(const moe_tensor_t *tensor);

/**
 * Decide open elements by the exact terms of all members, asked point to
 * point. All members call it, in step.
 * @param[in] open  Own ones; rows of the input.
 */
moe_status_t moe_ref_redo(const moe_ref_reduction_t *r,
                          const moe_ref_open_list_t *open);

#endif
