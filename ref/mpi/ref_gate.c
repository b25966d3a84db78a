/* SPDX-License-Identifier: Apache-2.0 */
/* The gate: chosen pairs against the rows that experts have. */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include "ref/gating_routed.h"

#include <stdlib.h>
#include <string.h>

int64_t moe_ref_gate_bytes(const moe_call_t *call)
{
    const int64_t n = call->in[0]->valid_rows;
    const int64_t experts = call->in[0]->dim[1];

    return moe_ref_gate_routed_bytes(call->gate, n, experts) +
           (n * call->gate->topk + experts) * (int64_t)sizeof(int64_t);
}

static moe_status_t gate(moe_ref_backend_t *be, const moe_call_t *call,
                         int64_t *location, int64_t *counts)
{
    const int64_t pairs = call->in[0]->valid_rows * call->gate->topk;
    const moe_layer_t *layer = be->in.layer;
    const bool has_scores =
        !be->in.no_scores && moe_gating_has_softmax(layer->model);
    const moe_gate_routed_t in = {.rule = call->gate,
                                  .tokens = call->in[0]->valid_rows,
                                  .experts = call->in[0]->dim[1],
                                  .first = call->spans[0].token,
                                  .seed = layer->seed,
                                  .logits =
                                      has_scores ? call->in[0]->data : NULL};
    moe_gated_t out = {.ids = call->out[0]->data,
                       .location = location,
                       .weights = call->out[2]->data,
                       .counts = counts,
                       .capacity = call->capacity};
    moe_status_t status;

    memcpy(out.ids, call->in[1]->data, (size_t)pairs * sizeof(*out.ids));
    memcpy(out.weights, call->in[2]->data,
           (size_t)pairs * sizeof(*out.weights));
    status = moe_ref_gate_routed(&in, &out, &be->stats);
    moe_gated_narrow(location, pairs, call->out[1]->data);
    moe_gated_narrow(counts, in.experts, call->out[3]->data);
    memcpy(call->out[4]->data, &out.aux_loss, sizeof(out.aux_loss));
    return status;
}

moe_status_t moe_ref_gate_rows(moe_ref_backend_t *be, const moe_call_t *call)
{
    const size_t pairs =
        (size_t)(call->in[0]->valid_rows * call->gate->topk) + 1;
    const size_t experts = (size_t)call->in[0]->dim[1] + 1;
    int64_t *location = calloc(pairs, sizeof(*location));
    int64_t *counts = calloc(experts, sizeof(*counts));
    moe_status_t status =
        location != NULL && counts != NULL
            ? gate(be, call, location, counts)
            : moe_fail(MOE_ERR_NOMEM, "no memory to gate %lld tokens",
                       (long long)call->in[0]->valid_rows);

    free(location);
    free(counts);
    return status == MOE_OK && be->in.on_gate != NULL
               ? be->in.on_gate(be->in.on_gate_self, call)
               : status;
}
