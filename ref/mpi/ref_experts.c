/* SPDX-License-Identifier: Apache-2.0 */
/* Grouping and the experts' matmuls of one rank. */
#include "config.h"

#include "ref/mpi/backend_inside.h"

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

static moe_status_t group(const moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *ids = call->in[0];
    const moe_tensor_t *out = call->out[0];

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
moe_status_t moe_ref_matmul(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_ref_index_t *index = moe_ref_index_of(call->in[1]);
    const moe_layer_t *layer = be->in.layer;
    moe_ref_weights_t weights = {.model = layer->model,
                                 .seed = layer->seed,
                                 .data = layer->data,
                                 .weight = call->weight,
                                 .part = call->share,
                                 .parts = call->shares,
                                 .format = layer->chain.weights};
    moe_status_t status = MOE_OK;

    if (index == NULL) {
        return moe_fail(MOE_ERR_INPUT,
                        "stage experts has no rows without stage permute");
    }
    if (layer->data == MOE_DATA_stamp && call->weight == MOE_W13) {
        status = moe_ref_check_stamps(be, call, index);
    }
    for (int64_t e = 0; status == MOE_OK && e < index->n_experts; e++) {
        int64_t first = index->offset[e];
        int64_t n = index->offset[e + 1] - first;
        const int64_t offset[2] = {0, n};
        moe_rows_t in = part_of(call->in[0], first, n);
        moe_rows_t out = part_of(call->out[0], first, n);

        weights.first_expert =
            moe_layer_expert(layer, call->in[1]->first_expert + e);
        if (n > 0) {
            status = moe_ref_grouped_matmul(&weights, &in, offset, 1, &out,
                                            &be->stats);
        }
        progress(be, index->n_experts);
    }
    return status;
}
