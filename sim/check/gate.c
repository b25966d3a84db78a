/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate of a folder's first method leaves, made again of the
 * scenario, or of a kernel's own logits. */
#include "sim/check/gate_inside.h"

#include "sim/golden/golden.h"

#include <stdlib.h>
#include <string.h>

/* The folder's ranks are those whose tokens the capacity is of. */
static moe_status_t check_ranks(const moe_check_t *check)
{
    const moe_layer_t *layer = &check->gate->gate.layer;

    for (size_t i = 0; i < check->golden.n_ranks; i++) {
        const moe_golden_rank_t *rank = &check->golden.rank[i];
        moe_range_t own = {0, 0};

        if (rank->rank < moe_layout_world(&layer->layout)) {
            own = moe_layer_tokens(
                layer, moe_layout_dp_rank(&layer->layout, rank->rank));
        }
        if (rank->tokens.begin != own.begin || rank->tokens.end != own.end) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: ranks[%zu].tokens: are not those that the "
                            "gate has of rank %d",
                            check->golden.path, i, rank->rank);
        }
    }
    return MOE_OK;
}

static moe_status_t make(moe_check_t *check)
{
    struct moe_check_gate *g = check->gate;
    const moe_scenario_t *s = check->scenario;
    moe_golden_job_t job = {
        .scenario = s, .layer = s->layer, .dispatch = check->golden.dispatch};
    moe_status_t status = moe_golden_route(&job);

    g->routing = job.routing;
    if (status == MOE_OK && s->n_methods > 0) {
        status = moe_golden_gate_init(s, &s->method[0], &g->routing, &g->gate);
    }
    if (status == MOE_OK && g->gate.use == NULL) {
        status = moe_fail(MOE_ERR_INPUT,
                          "%s: gate: the first method of the scenario has none",
                          check->golden.path);
    }
    if (status == MOE_OK) {
        status = check_ranks(check);
    }
    return status == MOE_OK ? moe_golden_gate_all(&g->gate, &g->routing)
                            : status;
}

moe_status_t moe_check_gate_make(moe_check_t *check)
{
    if (!check->golden.gated) {
        return MOE_OK;
    }
    check->gate = calloc(1, sizeof(*check->gate));
    if (check->gate == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a gate");
    }
    return make(check);
}

void moe_check_gate_free(struct moe_check_gate *gate)
{
    if (gate != NULL) {
        moe_golden_gate_fini(&gate->gate);
        moe_routing_fini(&gate->routing);
        free(gate->ids);
        free(gate->weights);
        free(gate->room);
    }
    free(gate);
}

bool moe_check_gate_drops(const moe_check_t *check)
{
    return check->gate != NULL && moe_golden_gate_drops(&check->gate->gate);
}

moe_status_t moe_check_gate_by(moe_check_t *check,
                               const moe_golden_rank_t *rank,
                               const moe_rows_t *logits)
{
    struct moe_check_gate *g = check->gate;
    const int64_t k = check->scenario->model.topk;
    const size_t bytes =
        (size_t)((rank->tokens.end - rank->tokens.begin) * k) * 4 + 1;

    if (check->scenario->router != MOE_ROUTER_data ||
        logits->storage.format != MOE_FORMAT_fp32 ||
        !moe_rows_are_finite(logits)) {
        return MOE_OK;
    }
    free(g->ids);
    free(g->weights);
    g->tokens = rank->tokens;
    g->ids = malloc(bytes);
    g->weights = malloc(bytes);
    if (g->ids == NULL || g->weights == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a gate");
    }
    return moe_golden_gate_again(
        &g->gate, moe_layout_dp_rank(&g->gate.layer.layout, rank->rank),
        logits->codes, g->ids, g->weights);
}

moe_status_t moe_check_gate_doubt(moe_check_t *check, const moe_judge_t *judge)
{
    struct moe_check_gate *gate = check->gate;
    const size_t experts = (size_t)check->scenario->model.experts;

    if (gate == NULL) {
        return MOE_OK;
    }
    gate->doubt = -1;
    if (judge == NULL) {
        return MOE_OK;
    }
    if (gate->room == NULL) {
        gate->room = malloc(experts * sizeof(*gate->room) + 1);
    }
    if (gate->room == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a gate");
    }
    gate->doubt = moe_judge_gate_doubt(judge, gate->room);
    return MOE_OK;
}

void moe_check_gate_rows(const moe_check_t *check, moe_range_t tokens,
                         moe_rows_t *ids_p, moe_rows_t *weights_p)
{
    const struct moe_check_gate *g = check->gate;
    const bool by_own = g->ids != NULL && g->tokens.begin == tokens.begin &&
                        g->tokens.end == tokens.end;
    const int k = check->scenario->model.topk;
    moe_rows_t rows = {.storage = {.format = MOE_FORMAT_i32},
                       .rows = tokens.end - tokens.begin,
                       .cols = k};

    rows.codes = by_own ? g->ids : g->routing.ids + tokens.begin * k;
    *ids_p = rows;
    rows.storage.format = MOE_FORMAT_fp32;
    rows.codes = by_own ? g->weights : g->routing.weights + tokens.begin * k;
    *weights_p = rows;
}
