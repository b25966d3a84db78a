/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/gating.h"
#include "sim/run/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t moe_output_row_bytes(const moe_job_t *job)
{
    const moe_chain_t *chain = &job->scenario->layer.chain;

    return (size_t)moe_format_row_bytes(chain->at[MOE_ROLE_output].format,
                                        job->scenario->model.hidden);
}

int64_t moe_output_own_rows(const moe_job_t *job, size_t method)
{
    moe_range_t own = moe_job_own(job, &job->scenario->method[method]);

    return own.end - own.begin;
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

/* Digest of each own row, as text; the first tp rank speaks for all. */
static moe_status_t digest_rows(const moe_job_t *job, size_t method, char *row,
                                char *out)
{
    size_t bytes = moe_output_row_bytes(job);
    FILE *file = moe_output_open(job, method);
    moe_status_t status = file == NULL ? MOE_ERR_IO : MOE_OK;

    for (int64_t r = 0;
         status == MOE_OK && r < moe_output_own_rows(job, method); r++) {
        status = moe_output_row(job, file, row);
        if (status == MOE_OK) {
            moe_digest_hex(row, bytes, out);
            out += MOE_DIGEST_CHARS;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return status;
}

/* One digest of all rows in the order of tokens, whatever the cut. */
static moe_status_t join_digests(const moe_job_t *job, const moe_blob_t *part,
                                 char out[MOE_DIGEST_CHARS])
{
    int64_t size = 0;
    int64_t at = 0;
    char *text;

    for (int r = 0; r < job->n_ranks; r++) {
        size += part[r].size;
    }
    text = malloc((size_t)size + 1);
    if (text == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for digests");
    }
    for (int r = 0; r < job->n_ranks; r++) {
        memcpy(text + at, part[r].data, (size_t)part[r].size);
        at += part[r].size;
    }
    moe_digest_hex(text, (size_t)size, out);
    free(text);
    return MOE_OK;
}

static moe_status_t digest_method(moe_job_t *job, size_t method, char *row,
                                  char *own)
{
    const moe_layer_t layer =
        moe_method_layer(&job->scenario->layer, &job->scenario->method[method]);
    bool speaks =
        moe_layout_group_index(&layer.layout, MOE_GROUP_tp, job->rank) == 0;
    int64_t size =
        speaks ? moe_output_own_rows(job, method) * MOE_DIGEST_CHARS : 0;
    moe_blob_t *all = NULL;
    moe_status_t status = digest_rows(job, method, row, own);

    if (status == MOE_OK) {
        status = moe_world_gather(job->world, 0, own, size, &all);
    }
    if (status == MOE_OK && all != NULL) {
        status = join_digests(job, all, job->found[method].digest);
    }
    moe_blobs_free(all);
    return status;
}

static moe_status_t digest_all(moe_job_t *job)
{
    char *row = malloc(moe_output_row_bytes(job));
    int64_t most = 0;
    char *own;
    moe_status_t status = MOE_OK;

    for (size_t m = 0; m < job->scenario->n_methods; m++) {
        int64_t rows = moe_output_own_rows(job, m);

        most = rows > most ? rows : most;
    }
    own = malloc((size_t)most * MOE_DIGEST_CHARS + 1);

    if (row == NULL || own == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for digests");
    }
    for (size_t m = 0; status == MOE_OK && m < job->scenario->n_methods; m++) {
        status = digest_method(job, m, row, own);
    }
    free(row);
    free(own);
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
    status = digest_all(job);
    if (status == MOE_OK) {
        status = moe_job_judge_gates(job);
    }
    if (status == MOE_OK) {
        status = moe_output_differences(job);
    }
    return status == MOE_OK ? moe_output_oracle(job) : status;
}
