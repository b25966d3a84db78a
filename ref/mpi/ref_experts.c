/* SPDX-License-Identifier: Apache-2.0 */
/* Grouping and the experts of one rank, and their rows by weight. */
#include "config.h"

#include "ref/mpi/carried.h"
#include "ref/mpi/experts.h"

#include "ref/matmul.h"

#include <stdlib.h>
#include <string.h>

/* As systems do whose experts are placed: ids through the rank's expert map,
 * which has -1 for slots of other ranks. */
static moe_status_t group_mapped(const moe_ref_backend_t *be,
                                 const moe_call_t *call)
{
    const moe_tensor_t *ids = call->in[0];
    const moe_tensor_t *out = call->out[0];
    const int64_t n = ids->valid_rows * ids->dim[1];
    const int64_t slots = be->in.layer->model->experts;
    int32_t *map = malloc((size_t)slots * sizeof(*map) + 1);
    int32_t *local = malloc((size_t)n * sizeof(*local) + 1);
    moe_status_t status = MOE_OK;

    if (map == NULL || local == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for an expert map");
    } else {
        memcpy(local, ids->data, (size_t)n * sizeof(*local));
        moe_placed_expert_map(be->in.layer->placed, out->first_expert,
                              out->n_experts, map);
        status = moe_expert_map_apply(map, slots, out->n_experts, n, local);
    }
    if (status == MOE_OK) {
        status = moe_ref_index_init(local, ids->valid_rows, (int)ids->dim[1], 0,
                                    out->n_experts, out->data);
    }
    free(map);
    free(local);
    return status;
}

/* An injected mistake has had an effect. */
static void note_mapping(const moe_ref_backend_t *be, moe_mapping_t mapping)
{
    for (size_t i = 0; i < be->in.n_injections; i++) {
        moe_injection_t *injection = &be->in.injections[i];

        if (moe_fault_mapping(injection->fault) == mapping) {
            injection->fired = true;
        }
    }
}

/* As kernels do that take numbers for others. */
static moe_status_t group_wrongly(const moe_ref_backend_t *be,
                                  const moe_call_t *call)
{
    const moe_tensor_t *ids = call->in[0];
    const moe_tensor_t *out = call->out[0];
    const moe_range_t local = {out->first_expert,
                               out->first_expert + out->n_experts};
    const int64_t n = ids->valid_rows * ids->dim[1];
    int32_t *wrong = malloc((size_t)n * sizeof(*wrong) + 1);
    moe_status_t status;

    if (wrong == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for ids");
    }
    for (int64_t i = 0; i < n; i++) {
        const int32_t id = ((const int32_t *)ids->data)[i];

        wrong[i] = (int32_t)moe_mapping_local(out->mapping, local, id);
        if (wrong[i] != moe_mapping_local(MOE_MAPPING_right, local, id)) {
            note_mapping(be, out->mapping);
        }
    }
    status = moe_ref_index_init(wrong, ids->valid_rows, (int)ids->dim[1], 0,
                                out->n_experts, out->data);
    free(wrong);
    return status;
}

static moe_status_t group(const moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *ids = call->in[0];
    const moe_tensor_t *out = call->out[0];

    if (out->mapping != MOE_MAPPING_right) {
        return group_wrongly(be, call);
    }
    return be->in.layer->placed != NULL
               ? group_mapped(be, call)
               : moe_ref_index_init(ids->data, ids->valid_rows,
                                    (int)ids->dim[1], out->first_expert,
                                    out->n_experts, out->data);
}

moe_status_t moe_ref_group(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *out = call->out[0];
    const moe_ref_index_t *index = out->data;
    moe_status_t status = group(be, call);

    for (int64_t e = 0; status == MOE_OK && e < out->n_experts; e++) {
        int64_t n = index->offset[e + 1] - index->offset[e];

        if (n != out->rows_per_expert[e]) {
            status =
                moe_fail(MOE_ERR_CHECK,
                         "rank %d: expert %lld has %lld rows, the plan "
                         "of %s counted %lld",
                         moe_world_rank(be->in.world),
                         (long long)(out->first_expert + e), (long long)n,
                         be->use->label, (long long)out->rows_per_expert[e]);
        }
    }
    if (status == MOE_OK) {
        moe_ref_make_list(call);
    }
    return status;
}

/* Rows [row, row + n) of some rows with linear scales. */
static moe_rows_t part_of(const moe_tensor_t *t, int64_t row, int64_t n)
{
    moe_rows_t part = moe_ref_rows(t);

    part.rows = n;
    part.codes = (char *)part.codes + moe_ref_row_bytes(t, row);
    if (part.scales != NULL) {
        part.scales = (char *)part.scales + moe_tensor_row_bytes(t->scale, row);
    }
    return part;
}

static void progress(moe_ref_backend_t *be, int64_t n_experts)
{
    int64_t each = 2 * n_experts;

    if (be->in.n_methods > 0) {
        be->n_experts_done++;
        moe_runstate_progress(moe_world_state(be->in.world),
                              (be->n_begun - 1) * each + be->n_experts_done,
                              be->in.n_methods * each, "experts");
    }
}

/* Expert by expert, so that progress shows. */
static moe_status_t multiply(moe_ref_backend_t *be, const moe_call_t *call,
                             const int64_t *offset)
{
    const moe_tensor_t *index = call->in[1];
    const moe_layer_t *layer = be->in.layer;
    moe_ref_weights_t weights = {.model = layer->model,
                                 .seed = layer->seed,
                                 .data = layer->data,
                                 .weight = call->weight,
                                 .halves = call->halves,
                                 .part = call->share,
                                 .parts = call->shares,
                                 .format = layer->chain.weights};
    moe_status_t status = MOE_OK;

    for (int64_t e = 0; status == MOE_OK && e < index->n_experts; e++) {
        int64_t first = offset[e];
        int64_t n = offset[e + 1] - first;
        const int64_t own[2] = {0, n};
        moe_rows_t in = part_of(call->in[0], first, n);
        moe_rows_t out = part_of(call->out[0], first, n);

        weights.first_expert = moe_layer_expert(layer, index->first_expert + e);
        if (n > 0) {
            status =
                moe_ref_grouped_matmul(&weights, &in, own, 1, &out, &be->stats);
        }
        progress(be, index->n_experts);
    }
    return status;
}

moe_status_t moe_ref_matmul(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_ref_index_t *index = moe_ref_index_of(call->in[1]);
    int64_t *offset;
    moe_status_t status = MOE_OK;

    if (index == NULL) {
        return moe_fail(MOE_ERR_INPUT,
                        "stage experts has no rows without stage permute");
    }
    if (be->in.layer->data == MOE_DATA_stamp && call->weight == MOE_W13) {
        status = moe_ref_check_stamps(be, call, index);
    }
    offset = malloc(((size_t)index->n_experts + 1) * sizeof(*offset));
    if (offset == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for rows of experts");
    }
    if (status == MOE_OK) {
        status = moe_ref_read_list(call->in[1], offset);
    }
    if (status == MOE_OK) {
        status = multiply(be, call, offset);
    }
    free(offset);
    return status;
}

/* Rows of two tensors side by side. */
static void join_rows(const moe_tensor_t *left, const moe_tensor_t *right,
                      uint8_t *out)
{
    const int64_t each = moe_ref_row_bytes(left, 1);

    for (int64_t i = 0; i < left->valid_rows; i++) {
        memcpy(out + 2 * i * each, (const uint8_t *)left->data + i * each,
               (size_t)each);
        memcpy(out + (2 * i + 1) * each,
               (const uint8_t *)right->data + i * each, (size_t)each);
    }
}

moe_status_t moe_ref_activate_pair(moe_ref_gate_t gate, const moe_call_t *call,
                                   moe_ref_stats_t *stats)
{
    const moe_tensor_t *g = call->in[0];
    moe_rows_t both = moe_ref_rows(g);
    moe_rows_t out = moe_ref_rows(call->out[0]);
    moe_status_t status;

    both.cols *= 2;
    both.codes = malloc((size_t)(2 * moe_ref_row_bytes(g, g->valid_rows)) + 1);
    if (both.codes == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for gates and ups");
    }
    join_rows(g, call->in[2], both.codes);
    status = moe_ref_activate(gate, &both, &out, stats);
    free(both.codes);
    return status;
}

/* Each grouped row a sum of its own, of one term. */
static moe_status_t singles_of(const moe_ref_index_t *index,
                               const float *weights, moe_ref_index_t *one,
                               float **weight_p)
{
    const size_t n = (size_t)index->n + 1;

    *one = (moe_ref_index_t){.n = index->n,
                             .source_rows = index->n,
                             .topk = 1,
                             .place = malloc(n * sizeof(*one->place))};
    *weight_p = malloc(n * sizeof(**weight_p));
    if (one->place == NULL || *weight_p == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for rows by weight");
    }
    for (int64_t i = 0; i < index->n; i++) {
        one->place[i] = i;
        (*weight_p)[i] = 1.0f;
    }
    for (int64_t p = 0; p < index->source_rows * index->topk; p++) {
        if (index->place[p] >= 0 && weights != NULL) {
            (*weight_p)[index->place[p]] = weights[p];
        }
    }
    return MOE_OK;
}

moe_status_t moe_ref_weigh_grouped(const moe_call_t *call)
{
    const moe_ref_index_t *index = moe_ref_index_of(call->in[1]);
    const moe_rows_t out = moe_ref_rows(call->out[0]);
    moe_ref_index_t one;
    float *weight;
    moe_status_t status;

    if (index == NULL) {
        return MOE_OK;
    }
    status = singles_of(index, call->n_in > 2 ? call->in[2]->data : NULL, &one,
                        &weight);
    if (status == MOE_OK) {
        const moe_ref_terms_t terms = {moe_ref_rows(call->in[0]), &one, weight};

        status =
            moe_ref_is_kept(call->out[0])
                ? moe_ref_sum_carried(call->in[0], &one, weight, call->out[0])
                : moe_ref_weighted_sum(&terms, MOE_ORDER_fp32_slot, &out);
    }
    free(one.place);
    free(weight);
    return status;
}
