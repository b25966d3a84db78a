/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t moe_output_row_bytes(const moe_job_t *job)
{
    const moe_chain_t *chain = &job->scenario->layer.chain;

    return (size_t)moe_format_row_bytes(chain->at[MOE_ROLE_output].format,
                                        job->scenario->model.hidden);
}

FILE *moe_output_open(const moe_job_t *job, size_t method)
{
    char *path = moe_job_scratch(job, method);
    FILE *file = path == NULL ? NULL : fopen(path, "rb");

    if (file == NULL) {
        (void)moe_fail(MOE_ERR_IO, "%s: %s", path == NULL ? "scratch" : path,
                       strerror(errno));
    }
    free(path);
    return file;
}

moe_status_t moe_output_row(const moe_job_t *job, FILE *file, void *row)
{
    size_t bytes = moe_output_row_bytes(job);

    return fread(row, 1, bytes, file) == bytes
               ? MOE_OK
               : moe_fail(MOE_ERR_IO, "a scratch file is too short");
}

/* Elements of this rank's outputs that differ between two methods. */
static moe_status_t differ_rows(const moe_job_t *job, FILE *a, FILE *b,
                                char *rows, int64_t *differ_p)
{
    size_t bytes = moe_output_row_bytes(job);
    moe_compare_t compare = {0};
    moe_status_t status = MOE_OK;

    for (int64_t r = 0;
         status == MOE_OK && r < job->inputs.own.end - job->inputs.own.begin;
         r++) {
        status = moe_output_row(job, a, rows);
        if (status == MOE_OK) {
            status = moe_output_row(job, b, rows + bytes);
        }
        moe_compare_add(&compare,
                        job->scenario->layer.chain.at[MOE_ROLE_output].format,
                        status == MOE_OK ? job->scenario->model.hidden : 0,
                        rows, rows + bytes);
    }
    *differ_p = compare.mismatching;
    return status;
}

static moe_status_t differ_pair(moe_job_t *job, size_t i, size_t j, char *rows)
{
    FILE *a = moe_output_open(job, i);
    FILE *b = a == NULL ? NULL : moe_output_open(job, j);
    moe_status_t status = MOE_ERR_IO;

    if (b != NULL) {
        status = differ_rows(job, a, b, rows,
                             &job->differ[i * job->scenario->n_methods + j]);
        (void)fclose(b);
    }
    if (a != NULL) {
        (void)fclose(a);
    }
    return status;
}

moe_status_t moe_output_differ(moe_job_t *job)
{
    char *rows = malloc(2 * moe_output_row_bytes(job));
    moe_status_t status = MOE_OK;

    if (rows == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for two rows");
    }
    for (size_t i = 0; i < job->scenario->n_methods; i++) {
        for (size_t j = 0; status == MOE_OK && j < i; j++) {
            status = differ_pair(job, i, j, rows);
        }
    }
    free(rows);
    return status;
}

moe_status_t moe_job_judge(moe_job_t *job)
{
    moe_stage_set_t all;
    moe_status_t status;

    (void)moe_stage_set_find("all", &all);
    if (moe_job_stages(job) != all) {
        return MOE_OK;
    }
    status = moe_output_differ(job);
    return status == MOE_OK ? moe_output_oracle(job) : status;
}
