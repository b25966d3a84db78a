/* SPDX-License-Identifier: Apache-2.0 */
/* The gate: chosen pairs against the rows that experts have. */
#include "config.h"

#include "ref/mpi/backend_inside.h"

#include "ref/gating_drop.h"
#include "ref/score.h"

#include <stdlib.h>
#include <string.h>

/* Arrays of a call. */
typedef struct {
    float *score;      /* [n][E] */
    float *random;     /* [n][E]; NULL unless dropping is random */
    int64_t *location; /* [n][k] */
    int64_t *counts;   /* [E] */
} arrays_t;

static bool arrays_init(const moe_call_t *call, arrays_t *a)
{
    const size_t n = (size_t)call->in[0]->valid_rows;
    const size_t experts = (size_t)call->in[0]->dim[1];
    const bool random = call->gate->drop == MOE_DROP_random;

    a->score = calloc(n * experts + 1, sizeof(*a->score));
    a->random = random ? calloc(n * experts + 1, sizeof(*a->random)) : NULL;
    a->location =
        calloc(n * (size_t)call->gate->topk + 1, sizeof(*a->location));
    a->counts = calloc(experts + 1, sizeof(*a->counts));
    return a->score != NULL && (a->random != NULL || !random) &&
           a->location != NULL && a->counts != NULL;
}

static void arrays_fini(arrays_t *a)
{
    free(a->score);
    free(a->random);
    free(a->location);
    free(a->counts);
}

int64_t moe_ref_gate_bytes(const moe_call_t *call)
{
    const int64_t n = call->in[0]->valid_rows;
    const int64_t experts = call->in[0]->dim[1];
    const int64_t random = call->gate->drop == MOE_DROP_random;
    const int64_t pair = (int64_t)sizeof(int64_t) + 16; /* and to sort them */

    return n * experts * (1 + random) * (int64_t)sizeof(float) +
           n * call->gate->topk * pair + experts * 3 * 8;
}

/* The softmax of the logits, or where a router has another score or is
 * imposed a token's weights. */
static void set_scores(moe_ref_backend_t *be, const moe_call_t *call,
                       float *score)
{
    const int64_t n = call->in[0]->valid_rows;
    const int64_t experts = call->in[0]->dim[1];
    const int64_t k = call->gate->topk;
    const float *logits = call->in[0]->data;
    const int32_t *ids = call->in[1]->data;
    const float *weights = call->in[2]->data;

    if (!be->in.impose_routing && moe_gating_has_softmax(be->in.layer->model)) {
        for (int64_t i = 0; i < n; i++) {
            moe_score_row(MOE_SCORE_softmax, logits + i * experts, experts,
                          score + i * experts, &be->stats);
        }
        return;
    }
    for (int64_t p = 0; p < n * k; p++) {
        score[p / k * experts + ids[p]] = weights[p];
    }
}

/* Numbers of the chosen pairs; of the others nobody asks. */
static void set_random(const moe_ref_backend_t *be, const moe_call_t *call,
                       float *random)
{
    const int64_t experts = call->in[0]->dim[1];
    const int64_t k = call->gate->topk;
    const int32_t *ids = call->in[1]->data;

    for (int64_t p = 0; p < call->in[0]->valid_rows * k; p++) {
        const int64_t token = call->spans[0].token + p / k;

        random[p / k * experts + ids[p]] =
            moe_gating_random(be->in.layer->seed, token, ids[p]);
    }
}

static void narrow(const int64_t *from, int64_t n, int32_t *to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = (int32_t)from[i];
    }
}

static moe_status_t gate(moe_ref_backend_t *be, const moe_call_t *call,
                         const arrays_t *a)
{
    const int64_t pairs = call->in[0]->valid_rows * call->gate->topk;
    const int64_t experts = call->in[0]->dim[1];
    const moe_gate_case_t about = {.rule = call->gate,
                                   .tokens = call->in[0]->valid_rows,
                                   .experts = experts,
                                   .score = a->score,
                                   .random = a->random};
    moe_gated_t out = {.ids = call->out[0]->data,
                       .location = a->location,
                       .weights = call->out[2]->data,
                       .counts = a->counts,
                       .capacity = call->capacity};
    moe_status_t status;

    memcpy(out.ids, call->in[1]->data, (size_t)pairs * sizeof(*out.ids));
    memcpy(out.weights, call->in[2]->data,
           (size_t)pairs * sizeof(*out.weights));
    set_scores(be, call, a->score);
    if (a->random != NULL) {
        set_random(be, call, a->random);
    }
    moe_ref_gate_count(&about, &out);
    status = moe_ref_gate_drop(&about, &out);
    narrow(a->location, pairs, call->out[1]->data);
    narrow(a->counts, experts, call->out[3]->data);
    memcpy(call->out[4]->data, &out.aux_loss, sizeof(out.aux_loss));
    return status;
}

moe_status_t moe_ref_gate_rows(moe_ref_backend_t *be, const moe_call_t *call)
{
    arrays_t a = {NULL, NULL, NULL, NULL};
    moe_status_t status =
        arrays_init(call, &a)
            ? gate(be, call, &a)
            : moe_fail(MOE_ERR_NOMEM, "no memory to gate %lld tokens",
                       (long long)call->in[0]->valid_rows);

    arrays_fini(&a);
    return status == MOE_OK && be->in.on_gate != NULL
               ? be->in.on_gate(be->in.on_gate_self, call)
               : status;
}
