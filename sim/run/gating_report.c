/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/gating.h"

#include <stdlib.h>

enum {
    PAIRS_MAX = 64 /* that are listed */
};

/* What each rank's gate found, by rank. */
typedef struct {
    json_t *kept;
    json_t *dropped;
    json_t *loss;
} lists_t;

static lists_t lists_of(const moe_job_t *job, const moe_joined_t *j, size_t m)
{
    lists_t l = {json_array(), json_array(), json_array()};

    for (int r = 0; r < job->n_ranks; r++) {
        const moe_gate_found_t *g =
            &j->gate[(size_t)r * job->scenario->n_methods + m];

        (void)json_array_append_new(l.kept, json_integer(g->kept));
        (void)json_array_append_new(l.dropped, json_integer(g->dropped));
        (void)json_array_append_new(l.loss, json_real((double)g->loss));
    }
    return l;
}

/* Tokens that choose each expert, of all ranks: before dropping. */
static json_t *expert_counts(const moe_job_t *job)
{
    const int64_t experts = job->scenario->model.experts;
    int64_t *counts = calloc((size_t)experts + 1, sizeof(*counts));
    json_t *array = json_array();

    if (counts != NULL) {
        moe_routing_count(&job->routing, 0, job->routing.n, counts);
    }
    for (int64_t e = 0; counts != NULL && e < experts; e++) {
        (void)json_array_append_new(array, json_integer(counts[e]));
    }
    free(counts);
    return array;
}

/* The first pairs that rank 0 kept. */
static json_t *pairs_of(const moe_job_t *job, const moe_gate_seen_t *seen)
{
    const int k = job->scenario->model.topk;
    json_t *array = json_array();

    for (int64_t i = 0; seen->ids != NULL && i < seen->tokens * k; i++) {
        if (seen->ids[i] >= 0 && json_array_size(array) < PAIRS_MAX) {
            (void)json_array_append_new(
                array,
                json_pack("{s:I,s:I,s:I,s:f}", "token", (json_int_t)(i / k),
                          "expert", (json_int_t)seen->ids[i], "row",
                          (json_int_t)seen->location[i], "weight",
                          (double)seen->weights[i]));
        }
    }
    return array;
}

json_t *moe_run_gating(const moe_job_t *job, const moe_joined_t *j, size_t m)
{
    const moe_method_use_t *use = &job->scenario->method[m];
    const moe_layer_t layer = moe_method_layer(&job->scenario->layer, use);
    moe_gate_rule_t rule;
    moe_stage_set_t all;
    lists_t l;

    (void)moe_stage_set_find("all", &all);
    if (moe_job_stages(job) != all || !moe_method_gate(&layer, use, &rule)) {
        return json_null();
    }
    l = lists_of(job, j, m);
    return json_pack(
        "{s:s,s:s,s:I,s:o,s:o,s:o,s:o,s:I,s:o}", "rule",
        moe_capacity_name(rule.capacity), "drop", moe_drop_name(rule.drop),
        "capacity", (json_int_t)j->gate[m].capacity, "kept", l.kept, "dropped",
        l.dropped, "aux_loss", l.loss, "expert_counts", expert_counts(job),
        "mismatching", (json_int_t)j->found[m].gate.wrong, "pairs",
        pairs_of(job, &job->seen[m]));
}
