/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/job.h"

#include "models/backend_meta.h"
#include "moe/placed.h"
#include "sim/price/methods.h"
#include "sim/run/need.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a rank tells the others of its memory. */
typedef struct {
    int64_t base;     /* of its prediction, without tensors */
    int64_t resident; /* of that already taken */
    char host[256];
} rank_memory_t;

/* A mistake that is made in inputs, or NULL. */
static moe_injection_t *mistake_of(moe_job_t *job)
{
    for (size_t i = 0; i < job->command->n_injections; i++) {
        if (moe_fault_is_of_inputs(job->injection[i].fault)) {
            return &job->injection[i];
        }
    }
    return NULL;
}

/* Own inputs, and the part of the routing source that the others get. */
static moe_status_t make_part(moe_job_t *job, moe_blob_t *part)
{
    moe_injection_t *mistake = mistake_of(job);
    moe_status_t status =
        moe_inputs_make(job->scenario, job->rank,
                        mistake != NULL ? mistake->fault : MOE_FAULT_none,
                        mistake != NULL ? mistake->rank : -1, &job->inputs);

    if (mistake != NULL && status == MOE_OK) {
        mistake->fired = job->inputs.spoilt;
    }

    if (status != MOE_OK) {
        return status;
    }
    part->size = (int64_t)moe_routing_pack_size(&job->inputs.routing);
    part->data = malloc((size_t)part->size + 1);
    if (part->data == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the routing source");
    }
    moe_routing_pack(&job->inputs.routing, part->data);
    return MOE_OK;
}

/* The routing source by slots; the oracle keeps the experts. Every rank finds
 * the same, from the same counts. */
static moe_status_t place_experts(moe_job_t *job)
{
    moe_layer_t *layer = &job->scenario->layer;
    const size_t n = (size_t)(job->routing.n * job->routing.topk);
    moe_status_t status;

    if (!moe_layer_is_placed(layer)) {
        return MOE_OK;
    }
    job->chosen = malloc(n * sizeof(*job->chosen) + 1);
    if (job->chosen == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the routing source");
    }
    memcpy(job->chosen, job->routing.ids, n * sizeof(*job->chosen));
    status = moe_layer_place(layer, &job->routing, &job->placed);
    if (status == MOE_OK) {
        moe_placed_route(&job->placed, &job->routing);
        layer->placed = &job->placed;
    }
    return status;
}

/* Nobody waits for the part of a rank that has none to give. */
moe_status_t moe_job_inputs(moe_job_t *job)
{
    moe_blob_t part = {0};
    moe_blob_t *parts = NULL;
    moe_status_t status = make_part(job, &part);

    status = moe_agreement_finish(job->agreement, status, "making the inputs");
    if (status == MOE_OK) {
        status = moe_world_share(job->world, part.data, part.size, &parts);
    }
    free(part.data);
    if (status == MOE_OK) {
        status = moe_routing_join(&job->scenario->layer, job->n_ranks, parts,
                                  &job->inputs.routing, &job->routing);
        moe_blobs_free(parts);
    }
    return status == MOE_OK ? place_experts(job) : status;
}

/* Collectives of each rank in a trace. */
typedef struct {
    int64_t *n_calls; /* [W] */
} counter_t;

static moe_status_t count_call(void *self, const moe_trace_record_t *record)
{
    counter_t *counter = self;

    counter->n_calls[record->rank] += record->call > 0;
    return MOE_OK;
}

/* What rank 0 finds out and tells the others: [W] each. */
typedef struct {
    int64_t *peak;
    int64_t *n_calls;
    int64_t *peak_one;
} plan_t;

static moe_status_t plan_method(moe_job_t *job, const moe_method_use_t *use,
                                plan_t *plan)
{
    counter_t counter = {.n_calls = plan->n_calls};
    moe_trace_sink_t sink = {.self = &counter, .record = count_call};
    json_t *priced = NULL;
    moe_status_t status = moe_meta_run(
        &job->scenario->layer, use, &job->routing, moe_ref_backend_like(),
        moe_job_stages(job), &sink, plan->peak_one);

    for (int r = 0; status == MOE_OK && r < job->n_ranks; r++) {
        if (plan->peak_one[r] > plan->peak[r]) {
            plan->peak[r] = plan->peak_one[r];
        }
    }
    if (status == MOE_OK) {
        status = moe_price_methods_one(job->scenario, use, &job->routing,
                                       moe_ref_backend_like(),
                                       moe_job_stages(job), &priced);
    }
    if (status == MOE_OK && json_array_append_new(job->methods, priced) != 0) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for prices");
    }
    return status;
}

static moe_status_t plan_all(moe_job_t *job, plan_t *plan)
{
    moe_status_t status = MOE_OK;

    job->methods = json_array();
    if (job->methods == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for prices");
    }
    for (size_t i = 0; status == MOE_OK && i < job->scenario->n_methods; i++) {
        status = plan_method(job, &job->scenario->method[i], plan);
    }
    return status;
}

/* start, inputs and tensors of each rank; all ranks get all. */
static moe_status_t predict(moe_job_t *job, const plan_t *plan,
                            moe_need_t *need)
{
    rank_memory_t own = {0};
    moe_blob_t *all;
    moe_status_t status;

    own.base = job->start_bytes + MOE_OTHER_BYTES +
               moe_inputs_bytes(job->scenario, job->rank);
    own.resident = moe_job_resident();
    (void)gethostname(own.host, sizeof(own.host) - 1);
    status = moe_world_share(job->world, &own, sizeof(own), &all);
    if (status != MOE_OK) {
        return status;
    }
    need->one_host = true;
    for (int r = 0; r < job->n_ranks; r++) {
        rank_memory_t m;

        memcpy(&m, all[r].data, sizeof(m));
        job->predicted[r] = m.base + plan->peak[r];
        need->bytes += job->predicted[r];
        need->resident += m.resident;
        need->one_host = need->one_host && strcmp(m.host, own.host) == 0;
    }
    moe_blobs_free(all);
    return MOE_OK;
}

static moe_status_t plan_and_tell(moe_job_t *job, plan_t *plan,
                                  int64_t *numbers)
{
    size_t bytes = 2 * (size_t)job->n_ranks * sizeof(*numbers);
    moe_status_t status = job->rank == 0 ? plan_all(job, plan) : MOE_OK;
    moe_need_t need = {.ranks = job->n_ranks};

    status = moe_agreement_finish(job->agreement, status, "planning");
    if (status != MOE_OK) {
        return status;
    }
    status = moe_world_spread(job->world, 0, numbers, (int64_t)bytes);
    job->n_calls = plan->n_calls[job->rank];
    if (status == MOE_OK) {
        status = predict(job, plan, &need);
    }
    if (status == MOE_OK && job->rank == 0) {
        status = moe_need_check(&need, job->command->memory_limit);
    }
    return status;
}

moe_status_t moe_job_plan(moe_job_t *job)
{
    size_t n = (size_t)job->n_ranks;
    int64_t *numbers = calloc(3 * n, sizeof(*numbers));
    plan_t plan = {.peak = numbers};
    moe_status_t status;

    if (numbers == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a plan");
        return status;
    }
    plan.n_calls = numbers + n;
    plan.peak_one = numbers + 2 * n;
    status = plan_and_tell(job, &plan, numbers);
    free(numbers);
    return status;
}
