/* SPDX-License-Identifier: Apache-2.0 */
/* What goes with the weights in a golden folder: the experts' biases, the
 * router and its bias. */
#include "sim/golden/golden.h"

#include "moe/draw.h"
#include "moe/fill_rows.h"
#include "sim/inputs/inputs.h"

#include <stdlib.h>

static const struct {
    const char *name;
    moe_weight_t weight;
} biases[] = {{"w13.bias", MOE_W13}, {"w2.bias", MOE_W2}};

/* Routing that no logits make has no router. */
static bool has_router(const moe_scenario_t *s)
{
    return s->router == MOE_ROUTER_data;
}

static void declare(moe_golden_file_t *f, const char *name, moe_dtype_t dtype,
                    int ndim, const int64_t *dim)
{
    moe_golden_declare(f, name, dtype, ndim, dim);
    moe_golden_declare_bound(f, name, ndim, dim);
}

/* Rows of numbers, or their magnitudes. */
static void put(moe_golden_file_t *f, moe_format_t format, int64_t rows,
                int64_t cols, void *values, bool bounds)
{
    const moe_rows_t all = {.storage = {.format = format},
                            .rows = rows,
                            .cols = cols,
                            .codes = values};

    if (bounds) {
        moe_golden_put_magnitudes(f, &all);
    } else {
        moe_golden_put_rows(f, &all, false);
    }
}

void moe_golden_declare_biases(moe_golden_file_t *f)
{
    const moe_scenario_t *s = f->job->scenario;
    const moe_model_t *m = &s->model;
    const int64_t router[2] = {m->experts, m->hidden};

    if (f->job->command->weights != MOE_GOLDEN_WEIGHTS_local) {
        return;
    }
    for (size_t i = 0; m->expert_bias && i < 2; i++) {
        const int64_t dim[2] = {f->share->experts.end - f->share->experts.begin,
                                moe_weight_rows(m, biases[i].weight)};

        declare(f, biases[i].name, MOE_DTYPE_fp32, 2, dim);
    }
    if (has_router(s)) {
        declare(f, "router", MOE_DTYPE_bf16, 2, router);
    }
    if (has_router(s) && m->bias) {
        declare(f, "bias", MOE_DTYPE_fp32, 1, router);
    }
}

static void put_expert_biases(moe_golden_file_t *f, moe_weight_t w, float *room,
                              bool bounds)
{
    const moe_scenario_t *s = f->job->scenario;
    const int64_t rows = moe_weight_rows(&s->model, w);

    for (int64_t p = f->share->experts.begin; p < f->share->experts.end; p++) {
        moe_fill_expert_bias(s->seed, w, moe_layer_expert(&f->job->layer, p), 0,
                             rows, room);
        put(f, MOE_FORMAT_fp32, 1, rows, room, bounds);
    }
}

/* As the layer's own, or of a file. */
static void put_router(moe_golden_file_t *f, void *room)
{
    const moe_scenario_t *s = f->job->scenario;
    const moe_draw_t draw = {s->layer.data, s->seed, &s->model};

    if (s->gate_file != NULL) {
        f->status = f->status == MOE_OK ? moe_inputs_gate(s, room) : f->status;
    } else {
        moe_draw_router(&draw, room);
    }
    for (int b = 0; b < 2; b++) {
        put(f, MOE_FORMAT_bf16, s->model.experts, s->model.hidden, room, b);
    }
    if (s->model.bias) {
        moe_draw_bias(&draw, room);
        for (int b = 0; b < 2; b++) {
            put(f, MOE_FORMAT_fp32, 1, s->model.experts, room, b);
        }
    }
}

void moe_golden_put_biases(moe_golden_file_t *f)
{
    const moe_scenario_t *s = f->job->scenario;
    const moe_model_t *m = &s->model;
    const int64_t most = moe_weight_rows(m, MOE_W13) + m->hidden;
    void *room;

    if (f->job->command->weights != MOE_GOLDEN_WEIGHTS_local ||
        f->status != MOE_OK) {
        return;
    }
    room = malloc((size_t)(most * 4 + m->experts * (m->hidden * 2 + 4)) + 1);
    if (room == NULL) {
        f->status = moe_fail(MOE_ERR_NOMEM, "no memory for biases");
        return;
    }
    for (size_t i = 0; m->expert_bias && i < 2; i++) {
        put_expert_biases(f, biases[i].weight, room, false);
        put_expert_biases(f, biases[i].weight, room, true);
    }
    if (has_router(s)) {
        put_router(f, room);
    }
    free(room);
}
