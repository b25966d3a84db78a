/* SPDX-License-Identifier: Apache-2.0 */
/* Routing of rows, held against the routing source. */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include "ref/route.h"

#include <string.h>

/* Token of a row; -1 for a row of zeros. */
static int64_t token_of(const moe_call_t *call, int64_t row)
{
    for (int i = 0; i < call->n_spans; i++) {
        const moe_span_t *s = &call->spans[i];

        if (row >= s->row && row < s->row + s->n) {
            return s->token + row - s->row;
        }
    }
    return -1;
}

static moe_status_t not_a_number(const moe_ref_backend_t *be,
                                 const moe_call_t *call, const int64_t bad[2])
{
    int64_t token = token_of(call, bad[0]);
    int rank = moe_world_rank(be->in.world);

    if (token < 0) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "rank %d: the logit of row %lld, which is of zeros, "
                        "for expert %lld is NaN",
                        rank, (long long)bad[0], (long long)bad[1]);
    }
    return moe_fail(MOE_ERR_RANGE,
                    "rank %d: the logit of token %lld for expert %lld is NaN",
                    rank, (long long)token, (long long)bad[1]);
}

/* What the source says of a row; false if it does not know its token. */
static bool expected(const moe_routing_t *source, int64_t token,
                     const int32_t **ids_p, const float **weights_p)
{
    int64_t at = (token - source->first) * source->topk;

    if (token < 0) {
        *ids_p = source->pad_ids;
        *weights_p = source->pad_weights;
        return true;
    }
    if (token < source->first || token >= source->first + source->n) {
        return false;
    }
    *ids_p = source->ids + at;
    *weights_p = source->weights + at;
    return true;
}

/* One row of ids and weights. */
typedef struct {
    int32_t *ids;
    float *weights;
    size_t k;
} row_t;

static row_t row_of(const moe_call_t *call, int64_t row)
{
    int64_t k = call->out[0]->dim[1];
    row_t r = {(int32_t *)call->out[0]->data + row * k,
               (float *)call->out[1]->data + row * k, (size_t)k};

    return r;
}

/* A sampled or traced router: the result is the source. */
static moe_status_t impose(const moe_call_t *call)
{
    for (int64_t i = 0; i < call->out[0]->valid_rows; i++) {
        int64_t token = token_of(call, i);
        row_t r = row_of(call, i);
        const int32_t *ids;
        const float *weights;

        if (!expected(call->source, token, &ids, &weights)) {
            return moe_fail(MOE_ERR_INTERNAL,
                            "no routing is known for token %lld",
                            (long long)token);
        }
        memcpy(r.ids, ids, r.k * sizeof(*ids));
        memcpy(r.weights, weights, r.k * sizeof(*weights));
    }
    return MOE_OK;
}

static moe_status_t compare(const moe_ref_backend_t *be, const moe_call_t *call)
{
    for (int64_t i = 0; i < call->out[0]->valid_rows; i++) {
        int64_t token = token_of(call, i);
        row_t r = row_of(call, i);
        const int32_t *ids;
        const float *weights;

        if (!expected(call->source, token, &ids, &weights)) {
            continue;
        }
        if (memcmp(r.ids, ids, r.k * sizeof(*ids)) != 0 ||
            memcmp(r.weights, weights, r.k * sizeof(*weights)) != 0) {
            return moe_fail(MOE_ERR_CHECK,
                            "rank %d: %s routed row %lld (token %lld) "
                            "otherwise than the routing source",
                            moe_world_rank(be->in.world), be->use->label,
                            (long long)i, (long long)token);
        }
    }
    return MOE_OK;
}

/* Experts that the router chose become slots of ranks. */
static void to_slots(const moe_placed_t *placed, const moe_call_t *call)
{
    for (int64_t i = 0; i < call->out[0]->valid_rows; i++) {
        const int64_t token = token_of(call, i);
        const row_t r = row_of(call, i);

        for (size_t s = 0; s < r.k; s++) {
            r.ids[s] = moe_placed_slot(placed, token, r.ids[s]);
        }
    }
}

moe_status_t moe_ref_topk(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_layer_t *layer = be->in.layer;
    const moe_model_t model = moe_model_unplaced(layer->model);
    int64_t bad[2] = {-1, -1};
    moe_status_t status;

    if (be->in.impose_routing) {
        return impose(call);
    }
    status = moe_ref_route(&model, call->in[0]->data, be->in.bias,
                           call->in[0]->valid_rows, call->out[0]->data,
                           call->out[1]->data, &be->stats, bad);
    if (status == MOE_ERR_RANGE && bad[0] >= 0) {
        return not_a_number(be, call, bad);
    }
    if (status == MOE_OK && layer->placed != NULL) {
        to_slots(layer->placed, call);
    }
    return status == MOE_OK && call->source != NULL ? compare(be, call)
                                                    : status;
}

moe_status_t moe_ref_map_choices(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *ids = call->in[0];
    const int64_t k = ids->dim[1];
    const int64_t n = call->out[0]->dim[1];
    uint8_t *map = call->out[0]->data;
    float *probs = call->out[1]->data;

    (void)be;
    for (int64_t i = 0; i < ids->valid_rows; i++) {
        memset(map + i * n, 0, (size_t)n);
        memset(probs + i * n, 0, (size_t)n * sizeof(*probs));
        for (int64_t s = i * k; s < (i + 1) * k; s++) {
            const int64_t at = i * n + ((const int32_t *)ids->data)[s];

            map[at] = 1;
            probs[at] = ((const float *)call->in[1]->data)[s];
        }
    }
    return MOE_OK;
}

moe_status_t moe_ref_list_choices(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *map = call->in[0];
    const int64_t n = map->dim[1];
    const int64_t k = call->out[0]->dim[1];
    int32_t *ids = call->out[0]->data;
    float *weights = call->out[1]->data;

    for (int64_t i = 0; i < map->valid_rows; i++) {
        int64_t s = 0;

        for (int64_t e = 0; e < n; e++) {
            const bool chosen = ((const uint8_t *)map->data)[i * n + e] != 0;

            if (chosen && s < k) {
                ids[i * k + s] = (int32_t)e;
                weights[i * k + s] =
                    ((const float *)call->in[1]->data)[i * n + e];
            }
            s += chosen;
        }
        if (s != k) {
            return moe_fail(MOE_ERR_CHECK,
                            "rank %d: row %lld of a map has %lld experts, "
                            "expected %lld",
                            moe_world_rank(be->in.world), (long long)i,
                            (long long)s, (long long)k);
        }
    }
    return MOE_OK;
}
