/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which method runs: rank 0 prices all by the true routing and decides; every
 * rank is told name and reason before it plans anything.
 */
#include "config.h"

#include "sim/run/job.h"

#include "sim/price/methods.h"
#include "sim/scenario/parts.h"
#include "sim/price/selection.h"

#include <stdlib.h>
#include <string.h>

/* What rank 0 tells. */
typedef struct {
    int32_t chosen; /* number of the method; -1: none */
    char label[MOE_NAME_MAX];
    char reason[768];
} decision_t;

static moe_status_t price_all(moe_job_t *job, json_t *methods)
{
    moe_status_t status = MOE_OK;

    for (size_t i = 0; status == MOE_OK && i < job->scenario->n_methods; i++) {
        json_t *priced = NULL;

        status = moe_price_methods_one(job->scenario, &job->scenario->method[i],
                                       &job->routing, moe_ref_backend_like(),
                                       moe_job_stages(job), &priced);
        if (status == MOE_OK && json_array_append_new(methods, priced) != 0) {
            status = moe_fail(MOE_ERR_NOMEM, "no memory for prices");
        }
    }
    return status;
}

static moe_status_t decide(moe_job_t *job, decision_t *decision)
{
    json_t *methods = json_array();
    int chosen = -1;
    moe_status_t status = methods == NULL
                              ? moe_fail(MOE_ERR_NOMEM, "no memory for prices")
                              : price_all(job, methods);

    if (status == MOE_OK) {
        status = moe_selection_make(job->scenario, methods, &chosen,
                                    &job->selection);
    }
    json_decref(methods);
    if (status != MOE_OK) {
        return status;
    }
    decision->chosen = chosen;
    (void)snprintf(
        decision->reason, sizeof(decision->reason), "%s",
        json_string_value(json_object_get(job->selection, "reason")));
    if (chosen >= 0) {
        memcpy(decision->label, job->scenario->method[chosen].label,
               sizeof(decision->label));
    }
    return MOE_OK;
}

/* The others are as if they had never been asked for. */
static moe_status_t keep(moe_scenario_t *s, const decision_t *decision)
{
    char name[MOE_SELECT_TEXT];
    moe_method_use_t kept;

    if (decision->chosen < 0) {
        return moe_fail(MOE_ERR_INPUT, "select %s %s",
                        moe_select_name(&s->select, name), decision->reason);
    }
    kept = s->method[decision->chosen];
    if (strcmp(kept.label, decision->label) != 0) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "rank 0 selected %s, which is %s here", decision->label,
                        kept.label);
    }
    for (size_t i = 0; i < s->n_methods; i++) {
        if ((int32_t)i != decision->chosen) {
            moe_method_use_fini(&s->method[i]);
        }
    }
    s->method[0] = kept;
    s->n_methods = 1;
    return MOE_OK;
}

moe_status_t moe_job_select(moe_job_t *job)
{
    decision_t decision = {.chosen = -1};
    moe_status_t status = MOE_OK;

    if (job->scenario->select.kind == MOE_SELECT_none) {
        return MOE_OK;
    }
    if (job->rank == 0) {
        status = decide(job, &decision);
    }
    status = moe_agreement_finish(job->agreement, status, "the selection");
    if (status == MOE_OK) {
        status = moe_world_spread(job->world, 0, &decision, sizeof(decision));
    }
    return status == MOE_OK ? keep(job->scenario, &decision) : status;
}
