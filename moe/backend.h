/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a backend is: a table of operations on tensor handles.
 *
 * Operations are asynchronous for the caller: a result may be used by later
 * operations of the same rank, never by the host.
 */
#ifndef MOE_BACKEND_H
#define MOE_BACKEND_H

#include "base/status.h"
#include "moe/fill.h"
#include "moe/gating.h"
#include "moe/layer.h"
#include "moe/routing.h"
#include "moe/tensor.h"
#include "moe/trace.h"
#include "moe/vocabulary.h"

#include <stdint.h>

/** Tokens [token, token + n) lie in rows [row, row + n). */
typedef struct {
    int64_t row;
    int64_t token;
    int64_t n;
} moe_span_t;

#define MOE_CALL_TENSORS 6 /* that an operation reads, or writes */

/** One operation, as the front-ends of moe/op.h describe it. in and out are
 *   load_hidden     out[0] = [T_i][H]
 *   logits          in[0] rows [n][H]; out[0] [n][E] fp32
 *   topk            in[0] logits; out[0] ids [n][k], out[1] weights [n][k]
 *   gate            in[0] logits, in[1] ids [n][k], in[2] weights [n][k]; by
 *                   gate, at most capacity pairs of an expert: out[0] ids,
 *                   out[1] location, out[2] weights, all [n][k]; out[3]
 *                   counts [1][E], out[4] loss [1][1]
 *   weigh_rows      in[0] rows, in[1] weights [n][1]; out[0] rows; or grouped
 *                   rows, index, weights [n][k] or none
 *   quantize        in[0] any rows; out[0] block format (its scale linear)
 *   dequantize      in[0] block format; out[0] float type
 *   convert         in[0] float type or carried_exact; out[0] float type,
 *                   or carried_exact: nothing is rounded
 *   swizzle         in[0] linear scales; out[0] tiled scales, padding zero
 *   fill            out[0] rows [dst_row, dst_row + n_rows) set to zero
 *   copy_rows       in[0] rows [src_row, + n_rows) to out[0] at dst_row
 *   group_rows      in[0] ids [n][k]; out[0] index for experts
 *                   [first_expert, + n_experts), out[1] its list, if any
 *   sort_rows       in[0] ids [n][k], or origins [n][3]; out[0] index of kind
 *                   pairs, by rows in[1] of the experts if there; members: of
 *                   each expert parts [n_parts], or -1; sources: of ranks
 *   sort_chunks     parts [sources][n_experts] rows, chunks stride apart (0:
 *                   tight); of an expert capacity (0: all); out[0], its list
 *   origins         in[0] index of pairs; out[0] [n][3] rank, row and slot
 *   pair_weights    in[0] weights [n][k], in[1] index of pairs; out[0] [m][1]
 *   gather_rows     in[0] rows, in[1] index; out[0] grouped rows (scales are
 *                   written linear); slots without a row are zero
 *   scatter_rows    in[0] grouped rows, in[1] index; out[0] one row a pair
 *   pack_rows       in[n_in] rows; out[0] bytes, each field from a multiple
 *                   of stride on; unpack_rows the other way round
 *   grouped_matmul  in[0] grouped rows, in[1] index, its list; weight; out[0]
 *   activation      in[0] [n][2 I] gate | up, or gate alone and in[2] up,
 *                   in[1] index; out[0] [n][I]
 *   weighted_sum    in[0] grouped rows, in[1] index, in[2] weights [n][k] or
 *                   none: all 1; out[0] [n][H], zero without a local expert;
 *                   `faithful`: in call->order, rounded to out's format;
 *                   carried_exact: unrounded
 *   collectives     in[0]; out[0]; send_rows, recv_rows over the group:
 *     allgather(v)  send_rows[d] = own rows to each; recv_rows[s]
 *     reducescatter(v)  send_rows[d] = rows of member d; recv_rows[s] = own
 *     allreduce     send_rows[d] = recv_rows[s] = all rows
 *     alltoall(v)   send_rows[d] to member d; recv_rows[s] from member s
 *     broadcast     root's rows to each; recv_rows[root]
 */
typedef struct {
    moe_op_t op;
    moe_stage_t stage;
    moe_group_t group;
    int64_t call; /* number of a collective, from 1 */
    int n_in;
    const moe_tensor_t *in[MOE_CALL_TENSORS];
    int n_out;
    moe_tensor_t *out[MOE_CALL_TENSORS];
    const int *ranks; /* [n_ranks] world ranks of the group */
    int n_ranks;
    int me;                   /* own place in it */
    const int64_t *send_rows; /* [n_ranks] */
    const int64_t *recv_rows; /* [n_ranks] */
    int64_t send_sum;         /* of send_rows */
    int64_t recv_sum;
    int root;       /* place of a broadcast's root, else -1 */
    int64_t record; /* bytes that an unrounded row counts as; 0: its own */
    int64_t src_row;
    int64_t dst_row;
    int64_t n_rows;
    const int64_t *parts; /* [n_parts] of a sort */
    int64_t n_parts;
    int64_t stride; /* rows between chunks, or alignment of a field */
    moe_weight_t weight;
    moe_halves_t halves; /* of W13 */
    int share; /* of I that a matmul has, of shares equal ones; 0: all */
    int shares;
    moe_order_t order; /* of a weighted sum or a reduction, in `faithful` */
    int bracket;
    const moe_gate_rule_t *gate;
    int64_t capacity; /* rows that an expert takes, of a gate or of chunks */
    /* topk: which tokens the rows are, and the routing source. By data the
     * result must equal the source wherever it has the token; by a sampler or
     * a trace the result is the source. Rows in no span are rows of zeros. */
    const moe_span_t *spans;
    int n_spans;
    const moe_routing_t *source;
} moe_call_t;

/** What a plan learns from the other ranks of a group. */
typedef void moe_contribute_func_t(const moe_layer_t *layer,
                                   const int64_t *options, int rank,
                                   const moe_routing_t *routing, int64_t *out);

/* What a plan wants of the members' numbers. */
typedef enum {
    MOE_WANT_each, /* all of them, [n_ranks][n] */
    MOE_WANT_sum,  /* sums over the members, [n] */
    MOE_WANT_max,  /* maxima, [n] */
    MOE_WANT_told  /* what each member says to this one: a rank contributes
                    * [n_ranks][n / n_ranks], and gets as many */
} moe_want_t;

typedef struct {
    moe_group_t group;
    const int *ranks; /* [n_ranks] world ranks of the group */
    int n_ranks;
    int me;
    moe_agree_kind_t kind;
    moe_want_t want;
    int64_t number; /* of the agreement in this method, from 1 */
    int n;          /* numbers that each rank contributes */
    const moe_layer_t *layer;
    const int64_t *options;
    moe_contribute_func_t *contribute;
} moe_agree_t;

/** Numbers that an agreement gives. */
static inline int64_t moe_agree_size(const moe_agree_t *agree)
{
    return agree->want == MOE_WANT_each ? (int64_t)agree->n_ranks * agree->n
                                        : agree->n;
}

typedef struct moe_backend moe_backend_t;

struct moe_backend {
    const char *name;

    /** Give a tensor data; views, scales of a tensor and unrounded sums get
     * their own call. MOE_ERR_NOMEM if there is none. */
    moe_status_t (*alloc)(moe_backend_t *self, moe_tensor_t *tensor);
    void (*free)(moe_backend_t *self, moe_tensor_t *tensor);

    /** Bytes that alloc takes for a tensor. */
    int64_t (*storage_bytes)(const moe_tensor_t *tensor);

    /** Bytes that an operation takes while it runs. */
    int64_t (*workspace_bytes)(const moe_layer_t *layer,
                               const moe_call_t *call);

    /** The numbers that a plan wants: out[moe_agree_size()]. An agreement
     * that has traffic comes with the number of a collective in record->call,
     * and is agreed upon and noted like one. */
    moe_status_t (*agree)(moe_backend_t *self, const moe_agree_t *agree,
                          int64_t *out, moe_trace_record_t *record);

    /** The same numbers, which live as long as the backend, so that ranks of
     * one process need no copies. Not for what is told to each (MOE_WANT_told),
     * and NULL: agree() alone. */
    moe_status_t (*agreed)(moe_backend_t *self, const moe_agree_t *agree,
                           const int64_t **numbers_p);

    /** Do or enqueue one operation. Tensors of the call live until flush()
     * or free(); the call itself for this call only. Times, if known when
     * it returns, go into record. */
    moe_status_t (*run)(moe_backend_t *self, const moe_call_t *call,
                        moe_trace_record_t *record);

    moe_status_t (*group_begin)(moe_backend_t *self, bool fused,
                                const char *name);
    moe_status_t (*group_end)(moe_backend_t *self);

    /** Wait for all that was enqueued, and tell the sink's timed() what was
     * measured late. Called before a method's tensors end. NULL in a backend
     * that is done when run() returns. */
    moe_status_t (*flush)(moe_backend_t *self, const moe_trace_sink_t *sink);

    /** A stage begins (progress, injections). */
    moe_status_t (*stage_begin)(moe_backend_t *self, moe_stage_t stage);
};

#endif
