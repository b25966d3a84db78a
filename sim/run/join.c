/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/join.h"

#include <stdlib.h>
#include <string.h>

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for the report");
}

void moe_joined_fini(moe_joined_t *j)
{
    free(j->found);
    free(j->peak);
    free(j->payload);
    free(j->gate);
}

static moe_status_t joined_init(const moe_job_t *job, moe_joined_t *j)
{
    size_t n = job->scenario->n_methods;
    size_t w = (size_t)job->n_ranks;

    j->found = calloc(n + 1, sizeof(*j->found));
    j->peak = calloc(2 * w, sizeof(*j->peak));
    j->payload = calloc(w * n * MOE_STAGE_COUNT + 1, sizeof(*j->payload));
    j->gate = calloc(w * n + 1, sizeof(*j->gate));
    if (j->found == NULL || j->peak == NULL || j->payload == NULL ||
        j->gate == NULL) {
        moe_joined_fini(j);
        return no_memory();
    }
    j->start = j->peak + w;
    return MOE_OK;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static void join_found(moe_found_t *all, const moe_found_t *part)
{
    all->wall_s = larger(all->wall_s, part->wall_s);
    all->cpu_s += part->cpu_s;
    all->agree_s = larger(all->agree_s, part->agree_s);
    all->injected |= part->injected;
    all->gate.kept += part->gate.kept;
    all->gate.dropped += part->gate.dropped;
    all->gate.wrong += part->gate.wrong;
    all->stats.elements += part->stats.elements;
    all->stats.redone_sum2 += part->stats.redone_sum2;
    all->stats.redone_exact += part->stats.redone_exact;
    moe_compare_join(&all->oracle, &part->oracle);
    moe_compare_join(&all->exact, &part->exact);
    moe_compare_join(&all->to_first, &part->to_first);
    if (part->digest[0] != '\0') {
        memcpy(all->digest, part->digest, sizeof(all->digest));
    }
}

/* A rank's part as bytes: peak, start, found[]. */
static size_t part_size(const moe_job_t *job)
{
    size_t n = job->scenario->n_methods;

    return 2 * sizeof(int64_t) + n * sizeof(moe_found_t);
}

static void pack_part(const moe_job_t *job, char *out)
{
    size_t n = job->scenario->n_methods;
    int64_t memory[2] = {moe_job_peak(), job->start_bytes};

    memcpy(out, memory, sizeof(memory));
    out += sizeof(memory);
    memcpy(out, job->found, n * sizeof(*job->found));
}

static void join_part(const moe_job_t *job, int rank, const char *part,
                      moe_joined_t *j)
{
    size_t n = job->scenario->n_methods;
    int64_t memory[2];
    moe_found_t found;

    memcpy(memory, part, sizeof(memory));
    j->peak[rank] = memory[0];
    j->start[rank] = memory[1];
    part += sizeof(memory);
    for (size_t m = 0; m < n; m++) {
        memcpy(&found, part + m * sizeof(found), sizeof(found));
        join_found(&j->found[m], &found);
        memcpy(&j->payload[((size_t)rank * n + m) * MOE_STAGE_COUNT],
               found.payload, sizeof(found.payload));
        j->gate[(size_t)rank * n + m] = found.gate;
    }
}

static moe_status_t join_all(moe_job_t *job, moe_joined_t *j)
{
    size_t size = part_size(job);
    char *own = malloc(size);
    moe_blob_t *all = NULL;
    moe_status_t status;

    if (own == NULL) {
        return no_memory();
    }
    pack_part(job, own);
    status = moe_world_gather(job->world, 0, own, (int64_t)size, &all);
    free(own);
    for (int r = 0; status == MOE_OK && all != NULL && r < job->n_ranks; r++) {
        join_part(job, r, all[r].data, j);
    }
    moe_blobs_free(all);
    return status;
}

moe_status_t moe_run_join(moe_job_t *job, moe_joined_t *joined_p)
{
    moe_joined_t joined = {0};
    moe_status_t status = joined_init(job, &joined);

    if (status != MOE_OK) {
        return status;
    }
    status = join_all(job, &joined);
    if (status != MOE_OK) {
        moe_joined_fini(&joined);
        return status;
    }
    *joined_p = joined;
    return MOE_OK;
}
