/* SPDX-License-Identifier: Apache-2.0 */
/* Expert weights in a golden folder, some rows at a time. */
#include "sim/golden/golden.h"

#include "moe/draw.h"
#include "ref/formats.h"

#include <stdio.h>

enum {
    ROWS = 64
};

/* What of a weight is written in one go. */
typedef enum {
    CODES,
    SCALES,
    BOUNDS
} part_t;

static const struct {
    const char *name;
    moe_weight_t weight;
} weight_tensors[] = {{"w13", MOE_W13}, {"w2", MOE_W2}};

static bool local_weights(const moe_golden_file_t *f)
{
    return f->job->command->weights == MOE_GOLDEN_WEIGHTS_local;
}

void moe_golden_declare_weights(moe_golden_file_t *f)
{
    const moe_model_t *m = &f->job->scenario->model;
    const moe_format_t format = f->job->scenario->layer.chain.weights;
    const moe_format_info_t *info = moe_format_info(format);

    for (size_t i = 0; local_weights(f) && i < 2; i++) {
        const moe_weight_t w = weight_tensors[i].weight;
        const int64_t k = moe_weight_cols(m, w);
        const int64_t scales =
            m->expert_scales ? f->share->experts.end - f->share->experts.begin
                             : 1;
        int64_t dim[3] = {f->share->experts.end - f->share->experts.begin,
                          moe_weight_rows(m, w), k};
        char name[32];

        moe_golden_declare(f, weight_tensors[i].name, info->code, 3, dim);
        if (moe_format_is_float(format)) {
            moe_golden_declare_bound(f, weight_tensors[i].name, 3, dim);
        }
        dim[2] = moe_format_scale_cols(format, k);
        if (dim[2] > 0) {
            (void)snprintf(name, sizeof(name), "%s.scale",
                           weight_tensors[i].name);
            moe_golden_declare(f, name, info->scale, 3, dim);
        }
        if (info->has_global) {
            (void)snprintf(name, sizeof(name), "%s.decode_scale",
                           weight_tensors[i].name);
            moe_golden_declare(f, name, MOE_DTYPE_fp32, 1, &scales);
        }
    }
}

/* Codes, or scales, of rows of one expert. */
static void fill(const moe_golden_file_t *f, moe_weight_t w, int64_t e,
                 int64_t row, int64_t n, void *codes, void *scales)
{
    const moe_scenario_t *s = f->job->scenario;
    const int64_t k = moe_weight_cols(&s->model, w);
    const moe_draw_t from = {s->layer.data, s->seed, &s->model};

    moe_draw_rows(&from, w, s->layer.chain.weights, e, row, n, 0, k, codes,
                  scales);
}

static void put_weight(moe_golden_file_t *f, moe_weight_t w, part_t part)
{
    const moe_model_t *m = &f->job->scenario->model;
    const int64_t rows = moe_weight_rows(m, w);
    const moe_storage_t storage = {.format =
                                       f->job->scenario->layer.chain.weights};
    moe_rows_t panel;

    if (f->status == MOE_OK) {
        f->status =
            moe_ref_rows_alloc(&storage, ROWS, moe_weight_cols(m, w), &panel);
    }
    if (f->status != MOE_OK) {
        return;
    }
    for (int64_t p = f->share->experts.begin; p < f->share->experts.end; p++) {
        const int64_t e = moe_layer_expert(&f->job->layer, p);

        for (int64_t row = 0; row < rows; row += ROWS) {
            panel.rows = rows - row < ROWS ? rows - row : ROWS;
            fill(f, w, e, row, panel.rows, panel.codes, panel.scales);
            if (part == BOUNDS) {
                moe_golden_put_magnitudes(f, &panel);
            } else {
                moe_golden_put_rows(f, &panel, part == SCALES);
            }
        }
    }
    moe_ref_rows_free(&panel);
}

/* One for all experts, or one an expert. */
static void put_globals(moe_golden_file_t *f, moe_weight_t w)
{
    const moe_scenario_t *s = f->job->scenario;
    const moe_draw_t from = {s->layer.data, s->seed, &s->model};
    const moe_range_t experts = f->share->experts;
    const int64_t n = s->model.expert_scales ? experts.end - experts.begin : 1;

    for (int64_t e = 0; e < n; e++) {
        const float global = moe_draw_weight_global(
            &from, w, s->layer.chain.weights,
            moe_layer_expert(&f->job->layer, experts.begin + e),
            moe_weight_cols(&s->model, w));

        moe_golden_put(f, &global, sizeof(global));
    }
}

void moe_golden_put_weights(moe_golden_file_t *f)
{
    const moe_model_t *m = &f->job->scenario->model;
    const moe_format_t format = f->job->scenario->layer.chain.weights;

    for (size_t i = 0; local_weights(f) && i < 2; i++) {
        const moe_weight_t w = weight_tensors[i].weight;

        put_weight(f, w, CODES);
        if (moe_format_is_float(format)) {
            put_weight(f, w, BOUNDS);
        }
        if (moe_format_scale_cols(format, moe_weight_cols(m, w)) > 0) {
            put_weight(f, w, SCALES);
        }
        if (moe_format_info(format)->has_global) {
            put_globals(f, w);
        }
    }
}
