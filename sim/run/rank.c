/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/gating.h"

#include "base/text.h"
#include "ref/matmul.h"
#include "sim/launch/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double moe_job_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double moe_job_cpu(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

moe_range_t moe_job_own(const moe_job_t *job, const moe_method_use_t *use)
{
    const moe_layer_t layer = moe_method_layer(&job->scenario->layer, use);

    return moe_layer_tokens(&layer,
                            moe_layout_dp_rank(&layer.layout, job->rank));
}

moe_stage_set_t moe_job_stages(const moe_job_t *job)
{
    return job->command->stages;
}

int64_t moe_job_resident(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file == NULL) {
        return moe_job_peak();
    }
    if (fscanf(file, "%*s %lld", &pages) != 1) {
        pages = 0;
    }
    (void)fclose(file);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

int64_t moe_job_peak(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }
    return (int64_t)usage.ru_maxrss * 1024;
}

char *moe_job_scratch(const moe_job_t *job, size_t method)
{
    return moe_strdup_printf("%s/output-%zu.%d", job->unfinished, method,
                             job->rank);
}

typedef moe_status_t step_func_t(moe_job_t *job);

static const struct {
    const char *name;
    step_func_t *step;
} steps[] = {
    {"the report's folder", moe_job_place},
    {"making the inputs", moe_job_inputs},
    {"selecting", moe_job_select},
    {"planning", moe_job_plan},
    {"the methods", moe_job_methods},
    {"judging", moe_job_judge},
    {"the golden folder", moe_job_golden},
    {"the report", moe_job_report},
};

/* Rows of experts are planned by it; of several mistakes by the first. */
static void lay_mapping(moe_job_t *job, const moe_injection_t *injection)
{
    moe_layer_t *layer = &job->scenario->layer;

    if (layer->mapping == MOE_MAPPING_right) {
        layer->mapping = moe_fault_mapping(injection->fault);
        layer->mapping_rank = injection->rank;
    }
}

static moe_status_t parse_injections(moe_job_t *job)
{
    const moe_command_t *c = job->command;

    job->injection = calloc(c->n_injections + 1, sizeof(*job->injection));
    if (job->injection == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for injections");
    }
    for (size_t i = 0; i < c->n_injections; i++) {
        char why[MOE_INJECTION_TEXT];

        if (!moe_injection_parse(c->injection[i], job->n_ranks,
                                 &job->injection[i], why)) {
            return moe_fail(MOE_ERR_INPUT, "--inject %s: expected %s",
                            c->injection[i], why);
        }
        lay_mapping(job, &job->injection[i]);
        if (job->injection[i].fault != MOE_FAULT_none &&
            moe_scenario_wants_whole_rows(job->scenario, "--inject") !=
                MOE_OK) {
            return MOE_ERR_UNSUPPORTED;
        }
    }
    return MOE_OK;
}

static moe_status_t check_ranks(const moe_job_t *job)
{
    int want = moe_layout_world(&job->scenario->layer.layout);

    if (job->n_ranks != want) {
        return moe_fail(MOE_ERR_INPUT,
                        "the launcher started %d rank%s, the layout has %d; "
                        "--ranks %d would re-lay it",
                        job->n_ranks, job->n_ranks == 1 ? "" : "s", want,
                        job->n_ranks);
    }
    return MOE_OK;
}

static moe_status_t start(moe_job_t *job)
{
    size_t n = job->scenario->n_methods;
    moe_status_t status = moe_world_create(job->state, &job->world);

    if (status != MOE_OK) {
        return status;
    }
    job->rank = moe_world_rank(job->world);
    job->n_ranks = moe_world_size(job->world);
    status = moe_agreement_create(job->world, !job->command->no_verify_calls,
                                  &job->agreement);
    if (status == MOE_OK) {
        status = moe_ledger_create(job->rank, &job->ledger);
    }
    if (status == MOE_OK && moe_ref_matmul_kernel_name() == NULL) {
        status = MOE_ERR_UNSUPPORTED; /* MOESIM_KERNEL, said already */
    }
    if (status == MOE_OK) {
        status = check_ranks(job);
    }
    if (status == MOE_OK) {
        status = moe_world_set_layout(job->world, &job->scenario->layer.layout);
    }
    if (status == MOE_OK) {
        status = parse_injections(job);
    }
    job->found = calloc(n + 1, sizeof(*job->found));
    job->predicted = calloc((size_t)job->n_ranks, sizeof(*job->predicted));
    job->seen = calloc(n + 1, sizeof(*job->seen));
    job->gated = calloc(n + 1, sizeof(*job->gated));
    job->golden_gate = calloc(n + 1, sizeof(*job->golden_gate));
    if (job->found == NULL || job->predicted == NULL || job->seen == NULL ||
        job->gated == NULL || job->golden_gate == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for results");
    }
    job->start_bytes = moe_job_resident();
    return status;
}

static moe_status_t run_steps(moe_job_t *job)
{
    moe_status_t status = start(job);

    if (job->agreement == NULL) {
        return status;
    }
    status = moe_agreement_finish(job->agreement, status, "the start");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (status != MOE_OK) {
            return status;
        }
        moe_runstate_stage(job->state, "%s", steps[i].name);
        status = steps[i].step(job);
        status = moe_agreement_finish(job->agreement, status, steps[i].name);
    }
    return status;
}

static void remove_scratch(moe_job_t *job)
{
    for (size_t i = 0; job->unfinished != NULL && i < job->scenario->n_methods;
         i++) {
        char *path = moe_job_scratch(job, i);

        if (path != NULL) {
            (void)unlink(path);
        }
        free(path);
    }
}

/* Everything but MPI, which can end only if all ranks know. */
static void job_fini(moe_job_t *job)
{
    remove_scratch(job);
    moe_ledger_free(job->ledger);
    moe_job_gates_fini(job);
    moe_inputs_fini(&job->inputs);
    moe_routing_fini(&job->routing);
    moe_placed_fini(&job->placed);
    free(job->chosen);
    moe_sample_fini(&job->sample);
    json_decref(job->methods);
    json_decref(job->selection);
    free(job->injection);
    free(job->found);
    free(job->predicted);
}

/* MPI ends before the rank says that it is done. */
static int end(moe_job_t *job, moe_status_t status)
{
    bool together = status == MOE_OK || job->agreement == NULL ||
                    moe_agreement_complete(job->agreement);
    const moe_status_t cause =
        job->agreement == NULL ? status
                               : moe_agreement_cause(job->agreement, status);
    int exit_status;

    job_fini(job);
    moe_job_leave_place(job, status == MOE_OK || status == MOE_ERR_CHECK);
    if (job->agreement == NULL || moe_agreement_speaks(job->agreement)) {
        moe_launch_say(job->state, status);
    }
    if (!together) {
        moe_world_abort(job->world, moe_launch_end(job->state, status, cause));
    }
    moe_agreement_free(job->agreement);
    moe_world_free(job->world);
    exit_status = moe_launch_end(job->state, status, cause);
    moe_launch_close(job->state);
    return exit_status;
}

int moe_run_rank(const moe_command_t *command, moe_scenario_t *scenario)
{
    moe_job_t job = {
        .command = command, .scenario = scenario, .start_s = moe_job_now()};
    moe_status_t status = moe_launch_begin(&job.state);

    if (!moe_launch_is_watched() && moe_launch_rank() == 0) {
        job.janitor = moe_janitor_start();
    }
    if (status == MOE_OK) {
        status = run_steps(&job);
    }
    return end(&job, status);
}
