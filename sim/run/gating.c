/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/gating.h"

#include "ref/logits.h"
#include "ref/oracle_gating.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for a gate");
}

static void *copy(const moe_tensor_t *t)
{
    const size_t bytes = (size_t)moe_tensor_row_bytes(t, t->valid_rows);
    void *data = malloc(bytes + 1);

    if (data != NULL) {
        memcpy(data, t->data, bytes);
    }
    return data;
}

static void seen_fini(moe_gate_seen_t *seen)
{
    free(seen->ids);
    free(seen->location);
    free(seen->weights);
    free(seen->counts);
    *seen = (moe_gate_seen_t){.tokens = 0};
}

moe_status_t moe_job_on_gate(void *self, const moe_call_t *call)
{
    moe_job_t *job = self;
    moe_gate_seen_t *seen = &job->seen[job->method];

    seen_fini(seen);
    seen->tokens = call->out[0]->valid_rows;
    seen->capacity = call->capacity;
    seen->ids = copy(call->out[0]);
    seen->location = copy(call->out[1]);
    seen->weights = copy(call->out[2]);
    seen->counts = copy(call->out[3]);
    memcpy(&seen->loss, call->out[4]->data, sizeof(seen->loss));
    return seen->ids != NULL && seen->location != NULL &&
                   seen->weights != NULL && seen->counts != NULL
               ? MOE_OK
               : no_memory();
}

/* Arrays for the oracle of one gate. */
typedef struct {
    uint16_t *hidden; /* [n][H] */
    float *logits;    /* [n][E] */
    moe_oracle_gated_t out;
} room_t;

static bool room_init(const moe_model_t *m, int64_t n, room_t *room)
{
    const size_t pairs = (size_t)(n * m->topk) + 1;

    room->hidden = calloc((size_t)(n * m->hidden) + 1, sizeof(uint16_t));
    room->logits = calloc((size_t)(n * m->experts) + 1, sizeof(float));
    room->out.ids = calloc(pairs, sizeof(*room->out.ids));
    room->out.location = calloc(pairs, sizeof(*room->out.location));
    room->out.weights = calloc(pairs, sizeof(*room->out.weights));
    room->out.counts = calloc((size_t)m->experts, sizeof(*room->out.counts));
    return room->hidden != NULL && room->logits != NULL &&
           room->out.ids != NULL && room->out.location != NULL &&
           room->out.weights != NULL && room->out.counts != NULL;
}

static void room_fini(room_t *room)
{
    free(room->hidden);
    free(room->logits);
    free(room->out.ids);
    free(room->out.location);
    free(room->out.weights);
    free(room->out.counts);
}

/* Logits of own tokens, as the routing source has them. */
static moe_status_t find_logits(moe_job_t *job, moe_range_t own, room_t *room)
{
    const int64_t n = own.end - own.begin;
    const moe_rows_t x = {.storage = {.format = MOE_FORMAT_bf16},
                          .rows = n,
                          .cols = job->scenario->model.hidden,
                          .codes = room->hidden};
    moe_ref_stats_t ignored = {0, 0, 0};
    moe_status_t status =
        moe_inputs_hidden(&job->inputs, own.begin, n, room->hidden);

    return status == MOE_OK ? moe_ref_logits(&x, job->inputs.router,
                                             job->scenario->model.experts,
                                             room->logits, &ignored)
                            : status;
}

/* The largest count of an expert in any rank's tokens. */
static int64_t fullest(const moe_job_t *job, const moe_layer_t *layer)
{
    const int k = job->routing.topk;
    int64_t most = 0;

    for (int r = 0; r < layer->layout.dp; r++) {
        const moe_range_t own = moe_layer_tokens(layer, r);

        for (int64_t e = 0; e < layer->model->experts; e++) {
            int64_t n = 0;

            for (int64_t i = own.begin * k; i < own.end * k; i++) {
                n += job->routing.ids[i] == e;
            }
            most = n > most ? n : most;
        }
    }
    return most;
}

/* Distance in places of fp32, of positive numbers. */
static bool is_near(float x, double want)
{
    return fabs((double)x - want) <= 0x1p-22 * fabs(want);
}

static moe_gate_found_t compare(const moe_gate_seen_t *seen,
                                const moe_oracle_gated_t *want,
                                const moe_model_t *m)
{
    const int64_t pairs = seen->tokens * m->topk;
    moe_gate_found_t f = {.capacity = seen->capacity, .loss = seen->loss};

    for (int64_t i = 0; i < pairs; i++) {
        f.kept += seen->ids[i] >= 0;
        f.wrong +=
            seen->ids[i] != want->ids[i] ||
            seen->location[i] != want->location[i] ||
            memcmp(&seen->weights[i], &want->weights[i], sizeof(float)) != 0;
    }
    for (int64_t e = 0; e < m->experts; e++) {
        f.wrong += seen->counts[e] != want->counts[e];
    }
    f.wrong += seen->capacity != want->capacity;
    f.wrong += !is_near(seen->loss, want->loss);
    f.dropped = pairs - f.kept;
    return f;
}

static moe_status_t judge(moe_job_t *job, size_t method,
                          const moe_gate_rule_t *rule, room_t *room)
{
    const moe_model_t *m = &job->scenario->model;
    const moe_method_use_t *use = &job->scenario->method[method];
    const moe_layer_t layer = moe_method_layer(&job->scenario->layer, use);
    const moe_range_t own = moe_job_own(job, use);
    const bool by_data = job->scenario->router == MOE_ROUTER_data;
    const moe_oracle_gating_t in = {
        .rule = rule,
        .tokens = own.end - own.begin,
        .experts = m->experts,
        .fullest = moe_gating_agrees(rule) ? fullest(job, &layer) : 0,
        .logits = by_data && moe_gating_has_softmax(m) ? room->logits : NULL,
        .ids = job->routing.ids + own.begin * m->topk,
        .weights = job->routing.weights + own.begin * m->topk,
        .seed = layer.seed,
        .first = own.begin};
    moe_status_t status =
        in.logits != NULL ? find_logits(job, own, room) : MOE_OK;

    if (status == MOE_OK) {
        status = moe_oracle_gate(&in, &room->out);
    }
    if (status == MOE_OK && job->seen[method].ids != NULL) {
        job->found[method].gate = compare(&job->seen[method], &room->out, m);
    }
    return status;
}

moe_status_t moe_job_share_routing(moe_job_t *job, size_t method, int32_t *ids,
                                   float *weights, moe_routing_t *all_p)
{
    const moe_method_use_t *use = &job->scenario->method[method];
    const moe_layer_t layer = moe_method_layer(&job->scenario->layer, use);
    const moe_range_t own = moe_job_own(job, use);
    const moe_routing_t part = {.first = own.begin,
                                .n = own.end - own.begin,
                                .topk = job->routing.topk,
                                .ids = ids,
                                .weights = weights};
    const size_t size = moe_routing_pack_size(&part);
    void *packed = malloc(size + 1);
    moe_blob_t *parts = NULL;
    moe_status_t status;

    if (packed != NULL) {
        moe_routing_pack(&part, packed);
    }
    /* without memory too: the others wait */
    status = moe_world_share(job->world, packed,
                             packed != NULL ? (int64_t)size : 0, &parts);
    if (status == MOE_OK) {
        status = packed == NULL ? no_memory()
                                : moe_routing_join(&layer, job->n_ranks, parts,
                                                   &part, all_p);
        moe_blobs_free(parts);
    }
    free(packed);
    return status;
}

static moe_status_t judge_method(moe_job_t *job, size_t method,
                                 const moe_gate_rule_t *rule)
{
    const moe_range_t own = moe_job_own(job, &job->scenario->method[method]);
    room_t room = {NULL, NULL, {0, NULL, NULL, NULL, NULL, 0.0}};
    moe_status_t status =
        room_init(&job->scenario->model, own.end - own.begin, &room)
            ? judge(job, method, rule, &room)
            : no_memory();

    if (rule->drop != MOE_DROP_none) { /* all ranks share, or none */
        status = moe_agreement_finish(job->agreement, status, "the gates");
        status =
            status == MOE_OK
                ? moe_job_share_routing(job, method, room.out.ids,
                                        room.out.weights, &job->gated[method])
                : status;
    }
    room_fini(&room);
    return status;
}

/* The oracle's routing of all ranks where bins leave pairs out. */
static moe_status_t leave_out(moe_job_t *job, size_t method,
                              const moe_layer_t *layer)
{
    const moe_routing_t *all = &job->routing;
    const int64_t experts = layer->model->experts;
    const size_t pairs = (size_t)(all->n * all->topk);
    moe_routing_t *own = &job->gated[method];
    int64_t *room = calloc((size_t)experts + 1, sizeof(*room));
    moe_status_t status =
        room == NULL ? no_memory()
                     : moe_routing_init(own, all->first, all->n, all->topk);

    for (int64_t e = 0; status == MOE_OK && e < experts; e++) {
        room[e] = moe_method_bin(layer, &job->scenario->method[method],
                                 moe_layout_holder(&layer->layout, experts, e));
        room[e] = room[e] == 0 ? INT64_MAX : room[e];
    }
    if (status == MOE_OK && pairs > 0) {
        memcpy(own->ids, all->ids, pairs * sizeof(*own->ids));
        memcpy(own->weights, all->weights, pairs * sizeof(*own->weights));
        moe_oracle_leave_out(own->ids, (int64_t)pairs, room);
    }
    free(room);
    return status;
}

moe_status_t moe_job_judge_gates(moe_job_t *job)
{
    const moe_scenario_t *s = job->scenario;
    moe_status_t status = MOE_OK;

    for (size_t m = 0; status == MOE_OK && m < s->n_methods; m++) {
        const moe_layer_t layer = moe_method_layer(&s->layer, &s->method[m]);
        moe_gate_rule_t rule;

        if (moe_method_gate(&layer, &s->method[m], &rule)) {
            status = judge_method(job, m, &rule);
        } else if (moe_method_drops(&layer, &s->method[m])) {
            status = leave_out(job, m, &layer);
        }
    }
    return status;
}

const moe_routing_t *moe_job_gated(const moe_job_t *job, size_t method)
{
    return job->gated[method].ids != NULL ? &job->gated[method] : NULL;
}

bool moe_job_routes_alike(const moe_job_t *job, size_t a, size_t b)
{
    return a == b || (!moe_method_drops(&job->scenario->layer,
                                        &job->scenario->method[a]) &&
                      !moe_method_drops(&job->scenario->layer,
                                        &job->scenario->method[b]));
}

void moe_job_gates_fini(moe_job_t *job)
{
    for (size_t m = 0; m < job->scenario->n_methods; m++) {
        if (job->seen != NULL) {
            seen_fini(&job->seen[m]);
        }
        if (job->gated != NULL) {
            moe_routing_fini(&job->gated[m]);
        }
        if (job->golden_gate != NULL) {
            moe_golden_gate_fini(&job->golden_gate[m].gate);
            moe_routing_fini(&job->golden_gate[m].routing);
        }
    }
    free(job->seen);
    free(job->gated);
    free(job->golden_gate);
}
