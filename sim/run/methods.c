/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/gating.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One method on this rank. */
typedef struct {
    moe_job_t *job;
    size_t number;
    moe_found_t *found;
} one_t;

static moe_status_t add_payload(void *self, const moe_trace_record_t *record)
{
    moe_found_t *found = self;

    if (record->call > 0) {
        found->payload[record->stage] += record->payload;
    }
    found->agree_s += record->agree_s;
    return MOE_OK;
}

static moe_status_t write_rows(const char *path, const moe_tensor_t *output)
{
    moe_rows_t rows = moe_ref_rows(output);
    size_t bytes = (size_t)moe_tensor_row_bytes(output, rows.rows);
    FILE *file = fopen(path, "wb");
    int error = 0; /* the first one: closing may have another, or none */

    if (file == NULL) {
        return moe_fail(MOE_ERR_IO, "%s: %s", path, strerror(errno));
    }
    errno = 0;
    if (fwrite(rows.codes, 1, bytes, file) != bytes) {
        error = errno != 0 ? errno : EIO;
    }
    if (fclose(file) != 0 && error == 0) {
        error = errno;
    }
    return error != 0 ? moe_fail(MOE_ERR_IO, "%s: cannot write %zu bytes: %s",
                                 path, bytes, strerror(error))
                      : MOE_OK;
}

/* Outputs wait in files, so that any number of methods can be compared. */
static moe_status_t keep_output(void *self, const moe_tensor_t *output)
{
    const one_t *one = self;
    char *path = moe_job_scratch(one->job, one->number);
    moe_status_t status;

    if (path == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    }
    status = write_rows(path, output);
    free(path);
    return status == MOE_OK && one->job->command->golden
               ? moe_golden_tap_output(&one->job->tap, output)
               : status;
}

static moe_ref_stats_t stats_since(const moe_ref_stats_t *now,
                                   const moe_ref_stats_t *before)
{
    moe_ref_stats_t d = {now->elements - before->elements,
                         now->redone_sum2 - before->redone_sum2,
                         now->redone_exact - before->redone_exact};

    return d;
}

/* Own hidden states of a method that lays the layer in its own way; NULL if
 * those of the scenario are its own too. */
static moe_status_t lay_hidden(const moe_job_t *job,
                               const moe_method_use_t *use, uint16_t **own_p)
{
    moe_range_t own = moe_job_own(job, use);
    size_t bytes =
        (size_t)((own.end - own.begin) * job->scenario->model.hidden * 2);

    *own_p = NULL;
    if (use->tokens == NULL) {
        return MOE_OK;
    }
    *own_p = malloc(bytes + 1);
    return *own_p == NULL
               ? moe_fail(MOE_ERR_NOMEM, "no memory for hidden states")
               : moe_inputs_hidden(&job->inputs, own.begin, own.end - own.begin,
                                   *own_p);
}

/* Injections that have had an effect on this rank. */
static uint64_t injected(const moe_job_t *job)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < job->command->n_injections && i < 64; i++) {
        bits |= (uint64_t)job->injection[i].fired << i;
    }
    return bits;
}

static moe_status_t run_one(one_t *one, moe_backend_t *backend)
{
    moe_job_t *job = one->job;
    const moe_method_use_t *use = &job->scenario->method[one->number];
    moe_trace_sink_t sink = {.self = one->found, .record = add_payload};
    moe_ref_stats_t before = *moe_ref_backend_stats(backend);
    moe_run_t run = {.layer = &job->scenario->layer,
                     .use = use,
                     .rank = job->rank,
                     .routing = &job->routing,
                     .backend = backend,
                     .sink = &sink,
                     .stages = moe_job_stages(job),
                     .on_output = keep_output,
                     .on_output_self = one};
    const double start = moe_job_now();
    const double cpu = moe_job_cpu();
    uint16_t *hidden;
    moe_status_t status = lay_hidden(job, use, &hidden);

    moe_ref_backend_hidden(backend,
                           hidden != NULL ? hidden : job->inputs.hidden);
    if (status == MOE_OK) {
        status = moe_ref_backend_begin(backend, use);
    }
    moe_golden_tap_init(&job->scenario->layer, use, job->rank, &job->tap);
    if (status == MOE_OK) {
        status = moe_run_method(&run);
    }
    if (job->command->golden) {
        status = moe_job_gate_golden(job, one->number, status);
    }
    if (status == MOE_OK && job->command->golden) {
        status = moe_job_hold_golden(job, one->number);
    }
    moe_golden_tap_fini(&job->tap);
    free(hidden);
    one->found->wall_s = moe_job_now() - start;
    one->found->cpu_s = moe_job_cpu() - cpu;
    one->found->injected = injected(job);
    one->found->stats = stats_since(moe_ref_backend_stats(backend), &before);
    return status;
}

static moe_status_t run_all(moe_job_t *job, moe_backend_t *backend)
{
    moe_status_t status = MOE_OK;

    for (size_t i = 0; status == MOE_OK && i < job->scenario->n_methods; i++) {
        one_t one = {job, i, &job->found[i]};
        const char *label = job->scenario->method[i].label;

        job->method = i;
        status = run_one(&one, backend);
        status = moe_agreement_finish(job->agreement, status, label);
    }
    return status;
}

/* Ids and weights are the source's: nobody's router made them, or a wrong one.
 */
static bool imposes(const moe_job_t *job)
{
    bool wrong = false;

    for (size_t i = 0; i < job->command->n_injections; i++) {
        wrong = wrong || moe_fault_chooses(job->injection[i].fault);
    }
    return wrong || job->scenario->router != MOE_ROUTER_data;
}

moe_status_t moe_job_methods(moe_job_t *job)
{
    const moe_scenario_t *s = job->scenario;
    moe_ref_inputs_t inputs = {
        .world = job->world,
        .agreement = job->agreement,
        .ledger = job->ledger,
        .layer = &s->layer,
        .routing = &job->routing,
        .impose_routing = imposes(job),
        .no_scores = s->router != MOE_ROUTER_data,
        .hidden = job->inputs.hidden,
        .router = job->inputs.router,
        .bias = job->inputs.bias,
        .injections = job->injection,
        .n_injections = job->command->n_injections,
        .n_calls = job->n_calls,
        .on_gate = moe_job_on_gate,
        .on_gate_self = job,
        .observe = job->command->golden ? moe_golden_tap_observe : NULL,
        .observe_self = &job->tap,
        .n_methods = (int)s->n_methods};
    moe_backend_t *backend;
    moe_status_t status = moe_ref_backend_create(&inputs, &backend);

    if (status == MOE_OK) {
        status = run_all(job, backend);
        moe_ref_backend_free(backend);
    }
    return status;
}
