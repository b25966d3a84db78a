/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions of rows that lie in memory.
 *
 * Partial rows travel as they are: to the member that reduces them
 * (reduce-scatter) or, `faithful` all-reduce, to every member; then they are
 * folded in the declared order (moe/order.def), rounding where that says
 * (`faithful`), or summed exactly and rounded once (`exact`). An exact
 * all-reduce is a reduce-scatter of blocks of rows and an all-gather of the
 * results.
 */
#include "config.h"

#include "ref/mpi/carried.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 256 /* columns that are summed at a time */
};

moe_ref_cut_t moe_ref_cut(const int64_t *rows, int n, int me, int64_t row_bytes)
{
    moe_ref_cut_t cut = {.pieces = 1};
    int64_t most = 0;
    int64_t total = 0;

    for (int i = 0; i < n; i++) {
        most = rows[i] > most ? rows[i] : most;
        total += rows[i];
    }
    total = total > most * n ? total : most * n;
    if (row_bytes > 0) {
        cut.pieces = moe_div_up(total * row_bytes, MOE_REF_PIECE_BYTES);
    }
    cut.pieces = cut.pieces < most ? cut.pieces : most;
    cut.pieces = cut.pieces > 1 ? cut.pieces : 1;
    for (int i = 0; i < n; i++) {
        cut.send_rows += moe_div_up(rows[i], cut.pieces);
    }
    cut.recv_rows = moe_div_up(rows[me], cut.pieces);
    return cut;
}

/* Rows of every member, [n][count], to be made one. */
static moe_rows_t member_rows(const moe_tensor_t *like, void *data,
                              int64_t count, int member)
{
    moe_rows_t rows = moe_ref_rows(like);

    rows.rows = count;
    rows.codes = (char *)data + moe_tensor_row_bytes(like, count * member);
    rows.scales = NULL;
    return rows;
}

/* Rows [from, from + rows) of some rows. */
static moe_rows_t rows_from(const moe_rows_t *all, int64_t from, int64_t rows)
{
    moe_rows_t part = *all;

    part.codes = moe_rows_codes(all, from);
    part.rows = rows;
    return part;
}

/* Fold rows that are the chunk of one member. */
static void fold_chunk(const moe_call_t *call, moe_rows_t *parts, int home,
                       double *work, const moe_rows_t *out)
{
    moe_ref_fold(parts, call->n_ranks, call->order, home, work, out);
    for (int i = 0; i < call->n_ranks; i++) {
        parts[i] = rows_from(&parts[i], out->rows, parts[i].rows - out->rows);
    }
}

/* Fold rows of the output from out_row on. The chunks of an all-reduce are
 * equal blocks of its rows; that of a reduce-scatter is a member's own. */
static moe_status_t fold(const moe_call_t *call, moe_rows_t *parts,
                         int64_t out_row, const moe_rows_t *out)
{
    const int n = call->n_ranks;
    double *work = malloc(moe_ref_fold_bytes(n));

    if (work == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a fold");
    }
    if (call->op != MOE_OP_allreduce) {
        fold_chunk(call, parts, call->me, work, out);
    }
    for (int i = 0; call->op == MOE_OP_allreduce && i < n; i++) {
        moe_range_t block = moe_layout_part(call->send_rows[call->me], n, i);
        int64_t begin = block.begin > out_row ? block.begin : out_row;
        int64_t end =
            block.end < out_row + out->rows ? block.end : out_row + out->rows;

        if (begin < end) {
            moe_rows_t chunk = rows_from(out, begin - out_row, end - begin);

            fold_chunk(call, parts, i, work, &chunk);
        }
    }
    free(work);
    return MOE_OK;
}

/* One element from the values of all members, column col of a chunk. */
static uint32_t sum_element(const double *value, int n, double *terms,
                            moe_format_t format, moe_ref_stats_t *stats)
{
    moe_sum_t sum = {0.0, 0.0, 0.0};
    uint32_t bits;

    for (int i = 0; i < n; i++) {
        terms[i] = value[i * CHUNK];
        moe_sum_add_value(&sum, terms[i]);
    }
    stats->elements++;
    if (!moe_sum_round(&sum, format, &bits)) {
        stats->redone_exact++;
        bits = moe_ref_round_terms(terms, n, format);
    }
    return bits;
}

static void sum_chunk(const moe_rows_t *parts, int n, int64_t row, int64_t col,
                      double *value, double *terms, const moe_tensor_t *out,
                      int64_t out_row, moe_ref_stats_t *stats)
{
    int64_t cols = parts[0].cols - col;

    cols = cols < CHUNK ? cols : CHUNK;
    for (int i = 0; i < n; i++) {
        moe_rows_values(&parts[i], row, col, cols, value + i * CHUNK);
    }
    for (int64_t c = 0; c < cols; c++) {
        moe_ref_store(
            out, out_row, col + c,
            sum_element(value + c, n, terms, out->storage.format, stats));
    }
}

static moe_status_t sum(const moe_rows_t *parts, int n, const moe_tensor_t *out,
                        int64_t out_row, moe_ref_stats_t *stats)
{
    double *value = calloc((size_t)n * (CHUNK + 1), sizeof(*value));

    if (value == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a sum");
    }
    for (int64_t row = 0; row < parts[0].rows; row++) {
        for (int64_t col = 0; col < parts[0].cols; col += CHUNK) {
            sum_chunk(parts, n, row, col, value, value + n * CHUNK, out,
                      out_row + row, stats);
        }
    }
    free(value);
    return MOE_OK;
}

/* Make one of count rows of each member, in data; into rows of the output. */
static moe_status_t join(const moe_ref_reduction_t *r, void *data,
                         int64_t count, int64_t out_row)
{
    const moe_tensor_t *out = r->call->out[0];
    int n = r->call->n_ranks;
    moe_rows_t *parts = calloc((size_t)n, sizeof(*parts));
    moe_rows_t sums = member_rows(out, out->data, count, 0);
    moe_status_t status = MOE_OK;

    if (parts == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a reduction");
    }
    for (int i = 0; i < n; i++) {
        parts[i] = member_rows(r->call->in[0], data, count, i);
    }
    sums.codes = (char *)out->data + moe_tensor_row_bytes(out, out_row);
    moe_ref_computes(r);
    if (r->be->in.layer->chain.numerics == MOE_NUMERICS_exact) {
        status = sum(parts, n, out, out_row, &r->be->stats);
    } else if (count > 0) {
        status = fold(r->call, parts, out_row, &sums);
    }
    moe_ref_waits(r);
    free(parts);
    return status;
}

/* One piece: part p of every member's rows goes to it. */
static moe_status_t scatter_piece(const moe_ref_reduction_t *r,
                                  moe_ref_rows_t *rows, int64_t pieces,
                                  int64_t piece, void *data)
{
    const moe_call_t *call = r->call;
    moe_range_t own =
        moe_layout_part(r->rows[call->me], (int)pieces, (int)piece);
    int64_t count = own.end - own.begin;
    moe_status_t status = MOE_OK;
    int64_t sent = 0;

    for (int i = 0; status == MOE_OK && i < call->n_ranks; i++) {
        moe_range_t part = moe_layout_part(r->rows[i], (int)pieces, (int)piece);

        sent += part.end - part.begin;
        status = moe_ref_rows_send(rows, i, r->at[i] + part.begin,
                                   part.end - part.begin);
        if (status == MOE_OK) {
            status = moe_ref_rows_recv(rows, i, count * i, count);
        }
    }
    if (status != MOE_OK) {
        return status;
    }
    moe_ref_note(r->mpi, "MPI_Alltoallv",
                 moe_tensor_row_bytes(call->in[0], sent));
    status = MOE_MPI(MPI_Alltoallv(call->in[0]->data, rows->send_n,
                                   rows->send_at, rows->row, data, rows->recv_n,
                                   rows->recv_at, rows->row, rows->comm));
    return status == MOE_OK ? join(r, data, count, r->out_row + own.begin)
                            : status;
}

static moe_status_t scatter(const moe_ref_reduction_t *r)
{
    const moe_call_t *call = r->call;
    int64_t row_bytes = moe_tensor_row_bytes(call->in[0], 1);
    moe_ref_cut_t cut =
        moe_ref_cut(r->rows, call->n_ranks, call->me, row_bytes);
    void *data =
        malloc((size_t)(call->n_ranks * cut.recv_rows * row_bytes) + 1);
    moe_ref_rows_t rows;
    moe_status_t status;

    if (data == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a reduction");
    }
    status = moe_ref_rows_init(r->comm, row_bytes, call->n_ranks, &rows);
    if (status != MOE_OK) {
        free(data);
        return status;
    }
    for (int64_t p = 0; status == MOE_OK && p < cut.pieces; p++) {
        status = scatter_piece(r, &rows, cut.pieces, p, data);
    }
    moe_ref_rows_fini(&rows);
    free(data);
    return status;
}

/* `faithful` all-reduce: every partial to every member, piece by piece. */
static moe_status_t gather_and_fold(const moe_ref_reduction_t *r)
{
    const moe_call_t *call = r->call;
    const moe_tensor_t *in = call->in[0];
    int64_t total = call->send_rows[call->me];
    int64_t row_bytes = moe_tensor_row_bytes(in, 1);
    moe_ref_cut_t cut = moe_ref_cut(&total, 1, 0, row_bytes * call->n_ranks);
    void *data =
        malloc((size_t)(call->n_ranks * cut.recv_rows * row_bytes) + 1);
    moe_ref_rows_t rows;
    moe_status_t status;

    if (data == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a reduction");
    }
    status = moe_ref_rows_init(r->comm, row_bytes, call->n_ranks, &rows);
    if (status != MOE_OK) {
        free(data);
        return status;
    }
    for (int64_t p = 0; status == MOE_OK && p < cut.pieces; p++) {
        moe_range_t part = moe_layout_part(total, (int)cut.pieces, (int)p);
        int count = (int)(part.end - part.begin);
        const char *from =
            (const char *)in->data + moe_tensor_row_bytes(in, part.begin);

        moe_ref_note(r->mpi, "MPI_Allgather", row_bytes * count);
        status = MOE_MPI(MPI_Allgather(from, count, rows.row, data, count,
                                       rows.row, rows.comm));
        if (status == MOE_OK) {
            status = join(r, data, count, part.begin);
        }
    }
    moe_ref_rows_fini(&rows);
    free(data);
    return status;
}

/* Every member's block of results to every member. */
static moe_status_t gather_blocks(const moe_ref_reduction_t *r)
{
    moe_tensor_t *out = r->call->out[0];
    moe_ref_rows_t rows;
    moe_status_t status = moe_ref_rows_init(
        r->comm, moe_tensor_row_bytes(out, 1), r->call->n_ranks, &rows);

    if (status != MOE_OK) {
        return status;
    }
    for (int i = 0; status == MOE_OK && i < r->call->n_ranks; i++) {
        status = moe_ref_rows_recv(&rows, i, r->at[i], r->rows[i]);
    }
    if (status == MOE_OK) {
        moe_ref_note(r->mpi, "MPI_Allgatherv",
                     moe_tensor_row_bytes(out, r->rows[r->call->me]));
        status = MOE_MPI(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL,
                                        out->data, rows.recv_n, rows.recv_at,
                                        rows.row, rows.comm));
    }
    moe_ref_rows_fini(&rows);
    return status;
}

static void set_blocks(moe_ref_reduction_t *r)
{
    const moe_call_t *call = r->call;
    bool is_all = call->op == MOE_OP_allreduce;
    int64_t at = 0;

    for (int i = 0; i < call->n_ranks; i++) {
        moe_range_t block =
            moe_layout_part(call->send_rows[call->me], call->n_ranks, i);

        r->at[i] = at;
        r->rows[i] = is_all ? block.end - block.begin : call->send_rows[i];
        at += r->rows[i];
    }
    r->out_row = is_all ? r->at[call->me] : 0;
}

static moe_status_t reduce_blocks(const moe_ref_reduction_t *r)
{
    moe_status_t status =
        r->call->in[0]->carried_exact ? moe_ref_reduce_sums(r) : scatter(r);

    return status == MOE_OK && r->call->op == MOE_OP_allreduce
               ? gather_blocks(r)
               : status;
}

static moe_status_t check_formats(const moe_call_t *call)
{
    moe_format_t format = call->out[0]->storage.format;

    if (format != MOE_FORMAT_bf16 && format != MOE_FORMAT_fp16 &&
        format != MOE_FORMAT_fp32) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "%s in format %s",
                        moe_op_name(call->op), moe_format_name(format));
    }
    return MOE_OK;
}

moe_status_t moe_ref_reduce(moe_ref_backend_t *be, const moe_call_t *call,
                            moe_ledger_mpi_t *mpi)
{
    moe_ref_reduction_t r = {.be = be,
                             .call = call,
                             .comm = be->in.world->group[call->group],
                             .mpi = mpi};
    moe_status_t status;

    if (call->out[0]->carried_exact) {
        return moe_ref_reduce_carried(call, r.comm, mpi);
    }
    status = check_formats(call);
    if (status != MOE_OK) {
        return status;
    }
    if (call->op == MOE_OP_allreduce && !call->in[0]->carried_exact &&
        be->in.layer->chain.numerics == MOE_NUMERICS_faithful) {
        return gather_and_fold(&r);
    }
    r.rows = calloc(2 * (size_t)call->n_ranks, sizeof(*r.rows));
    if (r.rows == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a reduction");
    }
    r.at = r.rows + call->n_ranks;
    set_blocks(&r);
    status = reduce_blocks(&r);
    free(r.rows);
    return status;
}
