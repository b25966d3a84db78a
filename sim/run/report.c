/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/join.h"

#include "base/outfile.h"
#include "base/text.h"
#include "ref/matmul.h"
#include "ref/version.h"
#include "sim/launch/launch.h"
#include "sim/report/head.h"
#include "sim/report/folder.h"
#include "sim/run/verdict.h"
#include "sim/options/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for the report");
}

static json_t *numbers(const int64_t *value, int n)
{
    json_t *array = json_array();

    for (int i = 0; array != NULL && i < n; i++) {
        (void)json_array_append_new(array, json_integer(value[i]));
    }
    return array;
}

static json_t *stage_names(moe_stage_set_t set)
{
    json_t *array = json_array();

    for (int s = 0; array != NULL && s < MOE_STAGE_COUNT; s++) {
        if ((set >> s & 1) != 0) {
            (void)json_array_append_new(
                array, json_string(moe_stage_name((moe_stage_t)s)));
        }
    }
    return array;
}

static moe_status_t set_run(const moe_job_t *job, const moe_joined_t *j,
                            json_t *document)
{
    int64_t sum = 0;
    int bad = 0;

    for (int r = 0; r < job->n_ranks; r++) {
        sum += j->peak[r];
    }
    bad |= json_object_set_new(document, "backend", json_string("ref"));
    bad |= json_object_set_new(document, "stages",
                               stage_names(moe_job_stages(job)));
    bad |= json_object_set_new(document, "wall_s",
                               json_real(moe_job_now() - job->start_s));
    bad |= json_object_set_new(document, "peak_rss_bytes", json_integer(sum));
    bad |= json_object_set_new(
        document, "memory",
        json_pack("{s:o,s:o,s:o}", "predicted_bytes",
                  numbers(job->predicted, job->n_ranks), "peak_bytes",
                  numbers(j->peak, job->n_ranks), "start_bytes",
                  numbers(j->start, job->n_ranks)));
    bad |= json_object_set_new(document, "verify_calls",
                               json_boolean(!job->command->no_verify_calls));
    bad |= json_object_set_new(
        document, "blas",
        json_sprintf("%s, kernels %s", moe_blas_config(), moe_blas_core()));
    bad |= json_object_set_new(document, "matmul_kernel",
                               json_string(moe_ref_matmul_kernel_name()));
    bad |= json_object_set_new(document, "blas_threads",
                               json_integer(moe_blas_threads()));
    if (job->selection != NULL) {
        bad |= json_object_set(document, "selection", job->selection);
    }
    bad |= json_object_set_new(document, "ledger",
                               json_pack("[s]", MOE_REPORT_LEDGER));
    return bad != 0 ? no_memory() : MOE_OK;
}

/* A mistake that changed no bit on any rank shows nothing. */
static moe_status_t warn_injections(const moe_job_t *job, const moe_joined_t *j,
                                    json_t *document)
{
    const size_t n = job->command->n_injections;
    uint64_t effect = 0;
    moe_status_t status = MOE_OK;

    for (size_t m = 0; m < job->scenario->n_methods; m++) {
        effect |= j->found[m].injected;
    }
    for (size_t i = 0; status == MOE_OK && i < n && i < 64; i++) {
        if ((effect >> i & 1) == 0) {
            status = moe_report_warn(
                document, "--inject %s had no effect: %s",
                job->injection[i].given,
                job->injection[i].fault != MOE_FAULT_none
                    ? "it changed no bit"
                    : "the rank does nothing that it could disturb");
        }
    }
    return status;
}

/* Somebody who gave a list of values gets to know that one of them ran. */
static moe_status_t warn_sweep(const moe_job_t *job, json_t *document)
{
    moe_sweep_points_t points;
    moe_status_t status;

    if (!moe_sweep_given(job->command)) {
        return MOE_OK;
    }
    status = moe_sweep_points_init(job->command, job->scenario, &points);
    if (status == MOE_OK && points.n_points > 1) {
        status = moe_report_warn(document,
                                 "the first of %zu points was run; --sweep "
                                 "all runs each",
                                 points.n_points);
    }
    if (status == MOE_OK) {
        moe_sweep_points_fini(&points);
    }
    return status;
}

static moe_status_t warn_all(const moe_job_t *job, json_t *document)
{
    moe_stage_set_t all;
    moe_status_t status = warn_sweep(job, document);

    if (status != MOE_OK) {
        return status;
    }

    (void)moe_stage_set_find("all", &all);
    if (moe_job_stages(job) != all) {
        status =
            moe_report_warn(document, "not all stages were executed: no output "
                                      "was compared");
    } else if (job->sample.n == 0) {
        status = moe_report_warn(document, "the scenario has no tokens: no "
                                           "output was compared");
    } else if (!job->sample.all) {
        status = moe_report_warn(
            document,
            "the oracle took %lld of %lld tokens: each rank's first and "
            "last, those of the fullest and of the emptiest expert%s, others "
            "evenly spread; whole rows",
            (long long)job->sample.n, (long long)job->routing.n,
            job->sample.cut ? " (the first of them)" : "");
    }
    return status;
}

static moe_status_t write_ledger(moe_job_t *job)
{
    char *path = moe_strdup_printf("%s/" MOE_REPORT_LEDGER, job->unfinished);
    moe_outfile_t *file = NULL;
    FILE *stream = NULL;
    moe_status_t status = MOE_OK;

    if (path == NULL) {
        return no_memory();
    }
    if (job->rank == 0) {
        status = moe_outfile_open(path, &file, &stream);
    }
    status = moe_agreement_finish(job->agreement, status, "the ledger");
    if (status == MOE_OK) {
        status = moe_ledger_write(job->ledger, job->world, stream);
    }
    if (file != NULL && status == MOE_OK) {
        status = moe_outfile_commit(file);
    } else {
        moe_outfile_abort(file);
    }
    free(path);
    return status;
}

/* Under a launcher that is not ours nobody else shows it. */
static moe_status_t show(const moe_job_t *job, json_t *document,
                         moe_status_t verdict)
{
    const moe_command_t *command = job->command;
    moe_status_t status = moe_report_write(command, document, NULL);

    if (status == MOE_OK && verdict == MOE_OK) {
        moe_report_say_folder(command, job->folder);
    }
    return status == MOE_OK ? moe_report_strict(command, document) : status;
}

static moe_status_t write_report(const moe_job_t *job, const moe_joined_t *j)
{
    json_t *document = NULL;
    moe_status_t verdict;
    moe_status_t status =
        moe_report_head(job->command, job->scenario, &document);

    if (status != MOE_OK) {
        return status;
    }
    status = set_run(job, j, document);
    if (status == MOE_OK) {
        status = moe_run_add_methods(job, j, document);
    }
    if (status == MOE_OK) {
        status = moe_report_compare_published(document);
    }
    if (status == MOE_OK) {
        status = warn_all(job, document);
    }
    if (status == MOE_OK) {
        status = warn_injections(job, j, document);
    }
    verdict = moe_run_verdict(job, j);
    if (verdict != MOE_OK && status == MOE_OK &&
        json_object_set_new(document, "status",
                            json_string(moe_error_text())) != 0) {
        status = no_memory();
    }
    if (status == MOE_OK) {
        status = moe_report_write_folder(document, job->unfinished);
    }
    if (status == MOE_OK) {
        status = moe_report_folder_publish(job->folder);
    }
    if (status == MOE_OK && !moe_launch_is_watched()) {
        status = show(job, document, verdict);
    }
    json_decref(document);
    return status == MOE_OK ? verdict : status;
}

moe_status_t moe_job_report(moe_job_t *job)
{
    moe_joined_t joined;
    moe_status_t status = moe_run_join(job, &joined);

    if (status != MOE_OK) {
        return status;
    }
    status = write_ledger(job);
    if (status == MOE_OK && job->rank == 0) {
        status = write_report(job, &joined);
    }
    moe_joined_fini(&joined);
    return status;
}
