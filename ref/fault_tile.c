/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of rows of an expert, the last of which is not whole. */
#include "ref/fault_inside.h"

#include "ref/layer_inside.h"
#include "ref/weights.h"

#include <stdlib.h>
#include <string.h>

enum {
    SMALLEST_TILE = 8,
    TILES = 5 /* sizes: 8 to 128 rows */
};

moe_role_t moe_ref_fault_input(moe_role_t role)
{
    return role == MOE_ROLE_gemm1_out ? MOE_ROLE_expert_in : MOE_ROLE_gemm2_in;
}

int64_t moe_ref_fault_tile_rows(int variant)
{
    return (int64_t)SMALLEST_TILE << variant % TILES;
}

/* Rows [begin, begin + n). */
static moe_rows_t part_of(const moe_rows_t *rows, int64_t begin, int64_t n)
{
    moe_rows_t part = *rows;

    part.rows = n;
    part.codes = (char *)rows->codes + begin * moe_rows_code_bytes(rows);
    if (rows->scales != NULL) {
        part.scales = (char *)rows->scales + begin * moe_rows_scale_bytes(rows);
    }
    return part;
}

moe_status_t moe_ref_fault_multiply(moe_ref_layer_t *layer, moe_role_t role,
                                    moe_range_t rows, int64_t expert,
                                    const moe_rows_t *out)
{
    const moe_ref_weights_t *right =
        &layer->weights[role == MOE_ROLE_gemm1_out ? MOE_W13 : MOE_W2];
    const int64_t n = rows.end - rows.begin;
    const int64_t offset[2] = {0, n};
    const moe_rows_t in =
        part_of(&layer->at[moe_ref_fault_input(role)], rows.begin, n);
    const moe_rows_t part = part_of(out, rows.begin, n);
    moe_ref_weights_t weights = *right;

    if (n <= 0) {
        return MOE_OK;
    }
    weights.first_expert = moe_ref_weights_expert(right, expert);
    weights.experts = NULL;
    weights.given += weights.given != NULL ? expert : 0;
    weights.bias += weights.bias != NULL
                        ? expert * moe_weight_rows(right->model, right->weight)
                        : 0;
    return moe_ref_grouped_matmul(&weights, &in, offset, 1, &part,
                                  &layer->stats);
}

bool moe_ref_fault_repeats(const moe_ref_layer_t *layer, moe_fault_t fault)
{
    const moe_ref_index_t *index = &layer->index;
    const bool past = fault.kind == MOE_FAULT_rows_past;
    int64_t most = past ? index->n : 0;

    if (index->offset == NULL || fault.variant % TILES == 0 ||
        (!past && fault.kind != MOE_FAULT_tail_tile &&
         fault.kind != MOE_FAULT_stale_padding)) {
        return false;
    }
    for (int64_t e = 0; e < index->n_experts; e++) {
        const int64_t n = index->offset[e + 1] - index->offset[e];

        most = n > most ? n : most;
    }
    return moe_ref_fault_tile_rows(fault.variant - 1) > most;
}

/* Rows of expert e behind its last whole tile. */
static moe_range_t tail_of(const moe_ref_index_t *index, int64_t e,
                           int64_t tile)
{
    const int64_t n = index->offset[e + 1] - index->offset[e];

    return (moe_range_t){index->offset[e] + n / tile * tile,
                         index->offset[e + 1]};
}

static void clear(const moe_rows_t *out, int64_t row, int64_t rows)
{
    memset(moe_rows_codes(out, row), 0,
           (size_t)(rows * moe_rows_code_bytes(out)));
}

static moe_status_t skip_tails(moe_ref_layer_t *layer, int64_t tile,
                               const moe_rows_t *out)
{
    for (int64_t e = 0; e < layer->index.n_experts; e++) {
        const moe_range_t tail = tail_of(&layer->index, e, tile);

        clear(out, tail.begin, tail.end - tail.begin);
    }
    return MOE_OK;
}

/* The last tile reaches over the rows of experts behind, at most to the end of
 * the buffer. Tiles are stored from the last expert's to the first one's: what
 * the experts behind had stored is lost. */
static moe_status_t store_past(moe_ref_layer_t *layer, moe_role_t role,
                               int64_t tile, const moe_rows_t *out)
{
    const moe_ref_index_t *index = &layer->index;
    moe_status_t status = MOE_OK;

    for (int64_t e = index->n_experts - 1; status == MOE_OK && e >= 0; e--) {
        const moe_range_t tail = tail_of(index, e, tile);
        int64_t end = tail.begin + tile;

        end = tail.begin == tail.end ? tail.end : end;
        end = end < out->rows ? end : out->rows;
        status = moe_ref_fault_multiply(layer, role,
                                        (moe_range_t){tail.end, end}, e, out);
    }
    return status;
}

/* Row of the call before that lay where row i of expert e lies: experts lie
 * one behind the other, or each at a place of its own. -1: none did. */
static int64_t row_before(const moe_ref_index_t *now,
                          const moe_ref_index_t *before, int64_t e, int64_t i,
                          bool apart)
{
    const int64_t row = apart ? before->offset[e] + i - now->offset[e] : i;
    const int64_t end = apart ? before->offset[e + 1] : before->n;

    return row < end ? row : -1;
}

/* Rows of both matmuls of the call before, in fp32, and whose they are: all
 * forms of the mistake take some of them. */
struct moe_ref_before {
    moe_rows_t rows[2]; /* codes NULL: not made yet */
    moe_ref_index_t index;
};

void moe_ref_fault_forget(moe_ref_layer_t *layer)
{
    if (layer->before != NULL) {
        moe_ref_rows_free(&layer->before->rows[0]);
        moe_ref_rows_free(&layer->before->rows[1]);
        moe_ref_index_fini(&layer->before->index);
        free(layer->before);
        layer->before = NULL;
    }
}

/* Make rows of the call before in a storage. */
static moe_status_t make_before(const moe_ref_layer_t *layer, moe_role_t role,
                                const moe_storage_t *storage, int64_t cols,
                                moe_rows_t *rows_p, moe_ref_index_t *index_p)
{
    moe_rows_t hidden = {0};
    moe_ref_layer_t twin = {0};
    moe_status_t status = moe_ref_fault_before_init(layer, &twin, &hidden);

    if (status == MOE_OK) {
        status = moe_ref_layer_make_inputs(&twin, role);
    }
    if (status == MOE_OK) {
        status = moe_ref_rows_alloc(storage, twin.index.n, cols, rows_p);
    }
    if (status == MOE_OK) {
        status = moe_ref_layer_right(&twin, role, rows_p);
    }
    if (status == MOE_OK) {
        moe_ref_index_fini(index_p);
        *index_p = twin.index;
        twin.index = (moe_ref_index_t){0};
    } else {
        moe_ref_rows_free(rows_p);
    }
    moe_ref_fault_before_fini(layer, &twin, &hidden);
    return status;
}

static void copy_tails(const moe_ref_layer_t *layer, const moe_rows_t *stale,
                       const moe_ref_index_t *before, const moe_rows_t *out)
{
    const moe_ref_index_t *now = &layer->index;
    const int64_t tile = moe_ref_fault_tile_rows(layer->fault.variant);
    const size_t bytes = (size_t)moe_rows_code_bytes(out);

    for (int64_t e = 0; e < now->n_experts; e++) {
        const moe_range_t tail = tail_of(now, e, tile);

        for (int64_t i = tail.begin; i < tail.end; i++) {
            const int64_t from =
                row_before(now, before, e, i, layer->fault.variant >= TILES);

            if (from < 0) {
                clear(out, i, 1); /* nobody wrote there */
            } else {
                memcpy(moe_rows_codes(out, i), moe_rows_codes(stale, from),
                       bytes);
            }
        }
    }
}

/* In fp32 they are kept for the forms to come. */
static moe_status_t leave_stale(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *out)
{
    const bool keeps = out->storage.format == MOE_FORMAT_fp32;
    struct moe_ref_before own = {0};
    struct moe_ref_before *before = &own;
    moe_rows_t *rows;
    moe_status_t status = MOE_OK;

    if (keeps && layer->before == NULL) {
        layer->before = calloc(1, sizeof(*layer->before));
        if (layer->before == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for the call before");
        }
    }
    before = keeps ? layer->before : before;
    rows = &before->rows[role == MOE_ROLE_gemm2_out];
    if (rows->codes == NULL) {
        status = make_before(layer, role, &out->storage, out->cols, rows,
                             &before->index);
    }
    if (status == MOE_OK) {
        copy_tails(layer, rows, &before->index, out);
    }
    if (!keeps) {
        moe_ref_rows_free(rows);
        moe_ref_index_fini(&own.index);
    }
    return status;
}

moe_status_t moe_ref_fault_tile(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *out)
{
    const int64_t tile = moe_ref_fault_tile_rows(layer->fault.variant);
    moe_status_t status = moe_ref_layer_right(layer, role, out);

    if (status != MOE_OK) {
        return status;
    }
    return layer->fault.kind == MOE_FAULT_tail_tile
               ? skip_tails(layer, tile, out)
           : layer->fault.kind == MOE_FAULT_rows_past
               ? store_past(layer, role, tile, out)
               : leave_stale(layer, role, out);
}
