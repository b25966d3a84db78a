/* SPDX-License-Identifier: Apache-2.0 */
/* run --golden: what the ranks of a run compute, as a golden folder in the
 * report. */
#include "config.h"

#include "sim/run/gating.h"

#include "base/outfile.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The own tokens' choices as the method's gate leaves them: [own][k]. */
static moe_status_t gate_own(moe_job_t *job, moe_golden_gate_t *gate,
                             int32_t **ids_p, float **weights_p)
{
    const moe_range_t own = moe_job_own(job, gate->use);
    const int64_t k = job->routing.topk;
    const size_t bytes = (size_t)((own.end - own.begin) * k) * 4;

    *ids_p = malloc(bytes + 1);
    *weights_p = malloc(bytes + 1);
    if (*ids_p == NULL || *weights_p == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a gate");
    }
    memcpy(*ids_p, job->routing.ids + own.begin * k, bytes);
    memcpy(*weights_p, job->routing.weights + own.begin * k, bytes);
    return moe_golden_gate_part(
        gate, moe_layout_dp_rank(&gate->layer.layout, job->rank), NULL, *ids_p,
        *weights_p);
}

moe_status_t moe_job_gate_golden(moe_job_t *job, size_t method,
                                 moe_status_t status)
{
    const moe_scenario_t *s = job->scenario;
    moe_golden_gate_t *gate = &job->golden_gate[method].gate;
    int32_t *ids = NULL;
    float *weights = NULL;

    if (status == MOE_OK) {
        status =
            moe_golden_gate_init(s, &s->method[method], &job->routing, gate);
    }
    if (status == MOE_OK && gate->use != NULL) {
        status = gate_own(job, gate, &ids, &weights);
    }
    if (s->method[method].method->gate != NULL) {
        status = moe_agreement_finish(job->agreement, status, "the gates");
        status = status == MOE_OK
                     ? moe_job_share_routing(job, method, ids, weights,
                                             &job->golden_gate[method].routing)
                     : status;
    }
    free(ids);
    free(weights);
    return status;
}

/* The share of this rank, routed as the run is. Its routing is the job's. */
static moe_golden_job_t golden_of(moe_job_t *job, size_t method, char *folder)
{
    const moe_scenario_t *s = job->scenario;
    const moe_job_gate_t *gated = &job->golden_gate[method];
    const bool has_gate = gated->gate.use != NULL;
    moe_golden_job_t g = {
        .command = job->command,
        .scenario = s,
        .layer = moe_method_layer(&s->layer, &s->method[method]),
        .folder = folder,
        .dispatch = s->method[method].chain.at[MOE_ROLE_dispatch].format,
        .sums = s->method[method].chain.at[MOE_ROLE_combine],
        .tap = &job->tap,
        .routing = has_gate ? gated->routing : job->routing,
        .gate = has_gate ? &gated->gate : NULL};

    if (job->chosen != NULL) {
        g.routing.ids = job->chosen; /* as the router chose them */
    }
    return g;
}

static char *golden_folder(const moe_job_t *job)
{
    return moe_strdup_printf("%s/golden", job->unfinished);
}

/* Files of all methods but the first go when they have been compared. */
static moe_status_t write_rank(moe_job_t *job, size_t method, char *folder)
{
    moe_golden_job_t g = golden_of(job, method, folder);
    const moe_golden_share_t share = moe_golden_share(&g, job->rank);
    char *path =
        method == 0
            ? moe_strdup_printf("%s/" MOE_GOLDEN_FILE, folder, job->rank)
            : moe_strdup_printf("%s/golden-%zu.%d", job->unfinished, method,
                                job->rank);
    moe_status_t status = path == NULL
                              ? moe_fail(MOE_ERR_NOMEM, "no memory for a path")
                              : moe_golden_rank(&g, &share, path);

    if (path != NULL && method > 0) {
        (void)unlink(path);
    }
    free(path);
    return status;
}

/* Not the methods that compute nothing. */
moe_status_t moe_job_hold_golden(moe_job_t *job, size_t method)
{
    const moe_method_use_t *use = &job->scenario->method[method];
    const bool holds = moe_contract_computes(&use->chain.contract);
    char *folder = golden_folder(job);
    moe_status_t status = folder == NULL
                              ? moe_fail(MOE_ERR_NOMEM, "no memory for a path")
                              : moe_make_folder(folder);

    if (status == MOE_OK && holds) {
        moe_runstate_stage(job->state, "golden tensors of %s", use->label);
        status = write_rank(job, method, folder);
    }
    if (method == 0) {
        job->golden_held = job->tap.held;
    }
    free(folder);
    return status;
}

/* Places that ranks held: of each the blob, and those that all did. */
static moe_status_t share_held(moe_job_t *job, moe_blob_t **each,
                               unsigned *held)
{
    moe_status_t status = moe_world_share(
        job->world, &job->golden_held, (int64_t)sizeof(job->golden_held), each);

    *held = ~0u;
    for (int r = 0; status == MOE_OK && r < job->n_ranks; r++) {
        *held &= *(const unsigned *)(*each)[r].data;
    }
    return status;
}

static moe_status_t write_about(moe_job_t *job, const moe_blob_t *each,
                                moe_golden_job_t *g)
{
    moe_status_t status = MOE_OK;

    for (int r = 0; status == MOE_OK && r < job->n_ranks; r++) {
        const moe_golden_share_t share = moe_golden_share(g, r);

        g->held_here = *(const unsigned *)each[r].data;
        status = moe_golden_add_rank(g, &share);
    }
    if (status == MOE_OK) {
        status = moe_golden_write_scenario(g);
    }
    return status == MOE_OK ? moe_golden_write_manifest(g) : status;
}

moe_status_t moe_job_golden(moe_job_t *job)
{
    moe_blob_t *each = NULL;
    char *folder;
    moe_golden_job_t g;
    moe_status_t status;

    if (!job->command->golden) {
        return MOE_OK;
    }
    folder = golden_folder(job);
    job->tap.use = &job->scenario->method[0];
    g = golden_of(job, 0, folder);
    g.ranks = json_array();
    status = folder == NULL || g.ranks == NULL
                 ? moe_fail(MOE_ERR_NOMEM, "no memory for the manifest")
                 : share_held(job, &each, &g.held);
    if (status == MOE_OK && job->rank == 0) {
        status = write_about(job, each, &g);
    }
    moe_blobs_free(each);
    json_decref(g.ranks);
    free(folder);
    return status;
}
