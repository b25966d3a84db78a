/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unrounded sums: made in pieces when they are sent or rounded, never kept.
 *
 * A piece of rows of each member goes to it as expansions with an error
 * bound, 24 bytes an element; there they are added, in any order, and
 * rounded once. What the bound leaves open is decided by ref_redo.c.
 */
#include "config.h"

#include "ref/mpi/carried.h"

#include <stdlib.h>
#include <string.h>

void moe_ref_store(const moe_tensor_t *out, int64_t row, int64_t col,
                   uint32_t bits)
{
    int64_t at = row * out->dim[1] + col;

    if (moe_dtype_bits(out->dtype) == 16) {
        ((uint16_t *)out->data)[at] = (uint16_t)bits;
    } else {
        ((uint32_t *)out->data)[at] = bits;
    }
}

int64_t moe_ref_element_most(const moe_tensor_t *tensor)
{
    int64_t first;
    const moe_tensor_t *sum = moe_ref_sum_of(tensor, &first);

    return moe_ref_is_kept(sum) ? moe_ref_carried_most(sum->data)
                                : MOE_REF_TERMS_MAX;
}

int64_t moe_ref_element(const moe_tensor_t *tensor, int64_t row, int64_t col,
                        double *out)
{
    int64_t first;
    const moe_tensor_t *sum = moe_ref_sum_of(tensor, &first);
    moe_ref_terms_t terms;

    if (!tensor->carried_exact) {
        moe_rows_t rows = moe_ref_rows(tensor);

        out[0] = moe_rows_value(&rows, row, col);
        return 1;
    }
    if (moe_ref_is_kept(sum)) {
        return moe_ref_carried_terms(sum->data, first + row, col, out);
    }
    if (!moe_tensor_is_lazy(sum)) {
        moe_rows_t rows = moe_ref_rows(sum);
        const moe_sum_t *held = moe_rows_sums(&rows, first + row, col);

        out[0] = held->hi;
        out[1] = held->lo;
        return 2;
    }
    return moe_ref_terms_of(sum, &terms)
               ? moe_ref_sum_terms(&terms, first + row, col, out)
               : 0;
}

moe_status_t moe_ref_open_add(moe_ref_open_list_t *list, int64_t row,
                              int64_t col)
{
    int64_t room = list->room * 2 + 16;
    moe_ref_open_t *item;

    if (list->n == list->room) {
        item = realloc(list->item, (size_t)room * sizeof(*item));
        if (item == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for open roundings");
        }
        list->item = item;
        list->room = room;
    }
    list->item[list->n++] = (moe_ref_open_t){row, col};
    return MOE_OK;
}

/* --- on one rank -----------------------------------------------------------
 */

static void round_alone(moe_ref_backend_t *be, const moe_tensor_t *in,
                        const moe_tensor_t *out, int64_t row,
                        const moe_sum_t *sums, double *terms)
{
    moe_format_t format = out->storage.format;
    uint32_t bits;

    for (int64_t col = 0; col < in->dim[1]; col++) {
        be->stats.elements++;
        if (!moe_sum_round(&sums[col], format, &bits)) {
            int64_t n = moe_ref_element(in, row, col, terms);

            be->stats.redone_exact++;
            bits = moe_ref_round_terms(terms, n, format);
        }
        moe_ref_store(out, row, col, bits);
    }
}

moe_status_t moe_ref_round_local(moe_ref_backend_t *be, const moe_tensor_t *in,
                                 const moe_tensor_t *out)
{
    size_t bytes = (size_t)in->dim[1] * sizeof(moe_sum_t);
    moe_sum_t *sums = malloc(bytes + 1);
    double *terms = malloc((size_t)moe_ref_element_most(in) * sizeof(*terms));
    bool bad;

    for (int64_t row = 0; row < in->valid_rows && sums != NULL && terms != NULL;
         row++) {
        moe_ref_sums(in, row, 1, sums);
        round_alone(be, in, out, row, sums, terms);
    }
    bad = sums == NULL || terms == NULL;
    free(sums);
    free(terms);
    return bad ? moe_fail(MOE_ERR_NOMEM, "no memory for a sum") : MOE_OK;
}

/* --- over ranks ------------------------------------------------------------
 */

/* One piece on its way. */
typedef struct {
    moe_sum_t *send; /* part of each member, one after the other */
    moe_sum_t *recv; /* [n][count][H]: own part, of each member */
    moe_range_t own; /* own part, counted in own rows */
    moe_ref_open_list_t open;
} piece_t;

static moe_status_t make_sums(const moe_ref_reduction_t *r,
                              moe_ref_rows_t *rows, int pieces, int number,
                              piece_t *piece)
{
    const moe_call_t *call = r->call;
    int64_t cols = call->in[0]->dim[1];
    moe_status_t status = MOE_OK;
    int64_t at = 0;

    piece->own = moe_layout_part(r->rows[call->me], pieces, number);
    for (int i = 0; status == MOE_OK && i < call->n_ranks; i++) {
        moe_range_t part = moe_layout_part(r->rows[i], pieces, number);
        int64_t n = part.end - part.begin;
        int64_t own = piece->own.end - piece->own.begin;

        moe_ref_sums(call->in[0], r->at[i] + part.begin, n,
                     piece->send + at * cols);
        status = moe_ref_rows_send(rows, i, at, n);
        if (status == MOE_OK) {
            status = moe_ref_rows_recv(rows, i, own * i, own);
        }
        at += n;
    }
    moe_ref_note(r->mpi, "MPI_Alltoallv",
                 at * cols * (int64_t)sizeof(moe_sum_t));
    return status;
}

static moe_status_t round_element(const moe_ref_reduction_t *r, piece_t *piece,
                                  int64_t row, int64_t col)
{
    const moe_call_t *call = r->call;
    const moe_tensor_t *out = call->out[0];
    int64_t cols = out->dim[1];
    int64_t each = (piece->own.end - piece->own.begin) * cols;
    const moe_sum_t *part = piece->recv + row * cols + col;
    moe_sum_t sum = part[0];
    int64_t own_row = piece->own.begin + row;
    uint32_t bits;

    for (int i = 1; i < call->n_ranks; i++) {
        moe_sum_add(&sum, &part[i * each]);
    }
    r->be->stats.elements++;
    if (moe_sum_round(&sum, out->storage.format, &bits)) {
        moe_ref_store(out, r->out_row + own_row, col, bits);
        return MOE_OK;
    }
    r->be->stats.redone_exact++;
    r->mpi->redone++;
    return moe_ref_open_add(&piece->open, r->at[call->me] + own_row, col);
}

static moe_status_t round_piece(const moe_ref_reduction_t *r, piece_t *piece)
{
    int64_t rows = piece->own.end - piece->own.begin;
    moe_status_t status = MOE_OK;

    piece->open.n = 0;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t col = 0; status == MOE_OK && col < r->call->in[0]->dim[1];
             col++) {
            status = round_element(r, piece, row, col);
        }
    }
    return status;
}

static moe_status_t move_piece(const moe_ref_reduction_t *r,
                               moe_ref_rows_t *rows, int pieces, int number,
                               piece_t *piece)
{
    moe_status_t status;

    moe_ref_computes(r);
    status = make_sums(r, rows, pieces, number, piece);
    moe_ref_waits(r);
    if (status == MOE_OK) {
        status = MOE_MPI(MPI_Alltoallv(piece->send, rows->send_n, rows->send_at,
                                       rows->row, piece->recv, rows->recv_n,
                                       rows->recv_at, rows->row, rows->comm));
    }
    if (status == MOE_OK) {
        moe_ref_computes(r);
        status = round_piece(r, piece);
        moe_ref_waits(r);
    }
    return status == MOE_OK ? moe_ref_redo(r, &piece->open) : status;
}

static moe_status_t move_all(const moe_ref_reduction_t *r, moe_ref_cut_t cut,
                             piece_t *piece)
{
    int64_t row_bytes = r->call->in[0]->dim[1] * (int64_t)sizeof(moe_sum_t);
    moe_ref_rows_t rows;
    moe_status_t status =
        moe_ref_rows_init(r->comm, row_bytes, r->call->n_ranks, &rows);

    if (status != MOE_OK) {
        return status;
    }
    for (int p = 0; status == MOE_OK && p < cut.pieces; p++) {
        status = move_piece(r, &rows, (int)cut.pieces, p, piece);
    }
    moe_ref_rows_fini(&rows);
    return status;
}

moe_status_t moe_ref_reduce_sums(const moe_ref_reduction_t *r)
{
    const moe_call_t *call = r->call;
    size_t row_bytes = (size_t)call->in[0]->dim[1] * sizeof(moe_sum_t);
    moe_ref_cut_t cut =
        moe_ref_cut(r->rows, call->n_ranks, call->me, (int64_t)row_bytes);
    piece_t piece = {0};
    moe_status_t status;

    piece.send = malloc((size_t)cut.send_rows * row_bytes + 1);
    piece.recv =
        malloc((size_t)(cut.recv_rows * call->n_ranks) * row_bytes + 1);
    if (piece.send == NULL || piece.recv == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a reduction");
    } else {
        status = move_all(r, cut, &piece);
    }
    free(piece.send);
    free(piece.recv);
    free(piece.open.item);
    return status;
}
