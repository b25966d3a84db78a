/* SPDX-License-Identifier: Apache-2.0 */
/* Where a run's report goes, and its files until they are whole: chosen and
 * held by one process, told to all ranks. */
#include "config.h"

#include "sim/run/job.h"

#include "base/outfile.h"
#include "sim/launch/launch.h"
#include "sim/report/head.h"
#include "sim/report/folder.h"

#include <stdlib.h>
#include <string.h>

/* On rank 0 of a launcher that is not ours. */
static moe_status_t choose(moe_job_t *job)
{
    moe_status_t status = moe_report_folder_choose(
        job->command, job->scenario->name, &job->folder);

    if (status == MOE_OK) {
        status = moe_report_may_write(job->command, job->folder);
    }
    if (status == MOE_OK) {
        status = moe_report_claim(job->folder, &job->claim);
    }
    if (status == MOE_OK) {
        moe_janitor_watch(job->janitor, job->claim);
    }
    return status;
}

static moe_status_t tell(moe_job_t *job)
{
    int64_t size = job->rank == 0 ? (int64_t)strlen(job->folder) + 1 : 0;
    moe_status_t status =
        moe_world_spread(job->world, 0, &size, (int64_t)sizeof(size));

    if (status == MOE_OK && job->rank != 0) {
        job->folder = calloc(1, (size_t)size);
        if (job->folder == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
        }
    }
    return status == MOE_OK ? moe_world_spread(job->world, 0, job->folder, size)
                            : status;
}

/* Each rank's own host may have a file system of its own. */
static moe_status_t make_unfinished(moe_job_t *job)
{
    job->unfinished = moe_report_folder_unfinished(job->folder);
    return job->unfinished == NULL
               ? moe_fail(MOE_ERR_NOMEM, "no memory for a path")
               : moe_report_make_folder(job->unfinished);
}

moe_status_t moe_job_place(moe_job_t *job)
{
    moe_status_t status = MOE_OK;

    if (moe_launch_is_watched()) {
        status = moe_report_folder_choose(job->command, job->scenario->name,
                                          &job->folder);
        return status == MOE_OK ? make_unfinished(job) : status;
    }
    if (job->rank == 0) {
        status = choose(job);
    }
    status =
        moe_agreement_finish(job->agreement, status, "the report's folder");
    if (status == MOE_OK) {
        status = tell(job);
    }
    return status == MOE_OK ? make_unfinished(job) : status;
}

void moe_job_leave_place(moe_job_t *job, bool good)
{
    if (!good) {
        moe_report_claim_abandon(job->claim);
    }
    moe_janitor_dismiss(job->janitor);
    moe_report_claim_end(job->claim);
    free(job->folder);
    free(job->unfinished);
}
