/* SPDX-License-Identifier: Apache-2.0 */
/* moe-layer: the engine of ref/layer.h on somebody's tensors. */
#include "sim/op/expert.h"

#include "ref/layer.h"
#include "sim/inputs/layer_feed.h"

#include <stdlib.h>
#include <string.h>

/* Router weights, or ids and weights that somebody chose. */
static void give_routing(moe_tool_job_t *job, moe_ref_layer_t *layer)
{
    const moe_model_t *m = layer->about.model;
    const int64_t tokens = layer->about.tokens.end;
    moe_rows_t rows = {
        .storage = {.format = MOE_FORMAT_i32}, .rows = tokens, .cols = m->topk};

    rows.codes =
        moe_tool_data(job, "topk_ids", MOE_DTYPE_i32, tokens * m->topk, true);
    if (rows.codes != NULL && moe_tool_good(job)) {
        job->status = moe_ref_layer_give(layer, MOE_ROLE_topk_ids, &rows);
    }
    rows.storage.format = MOE_FORMAT_fp32;
    rows.codes = moe_tool_data(job, "topk_weights", MOE_DTYPE_fp32,
                               tokens * m->topk, true);
    if (rows.codes != NULL && moe_tool_good(job)) {
        job->status = moe_ref_layer_give(layer, MOE_ROLE_topk_weights, &rows);
    }
}

/* A copy that the layer frees. */
static void *copy(moe_tool_job_t *job, const void *data, int64_t size)
{
    void *out = malloc((size_t)size + 1);

    if (out == NULL) {
        job->status = moe_fail(MOE_ERR_NOMEM, "no memory for the router");
    } else if (data != NULL) {
        memcpy(out, data, (size_t)size);
    }
    return out;
}

static void give_router(moe_tool_job_t *job, moe_ref_layer_t *layer)
{
    const moe_model_t *m = layer->about.model;
    const void *router = moe_tool_data(job, "router", MOE_DTYPE_bf16,
                                       m->experts * m->hidden, true);
    const void *bias =
        m->bias ? moe_tool_data(job, "bias", MOE_DTYPE_fp32, m->experts, true)
                : NULL;

    if (!moe_tool_good(job)) {
        return;
    }
    layer->router = copy(job, router, 2 * m->experts * m->hidden);
    if (m->bias) {
        layer->bias = copy(job, bias, 4 * m->experts);
    }
}

static void check_weights(moe_tool_job_t *job, const char *arg,
                          const moe_tool_weights_t *w, int64_t experts,
                          int64_t rows)
{
    char expected[96];

    if (w->experts != experts ||
        (w->experts > 0 && w->expert[0].rows != rows)) {
        (void)snprintf(expected, sizeof(expected), "[%lld][%lld][K]",
                       (long long)experts, (long long)rows);
        moe_tool_refuse(job, moe_tool_find(job, arg, false, ""), expected);
    }
}

/* Both weights; as many experts as w13 has. */
static bool read_weights(moe_tool_job_t *job, const moe_scenario_t *s,
                         moe_tool_weights_t weights[2])
{
    const moe_model_t *m = &s->model;
    const moe_format_t format = s->layer.chain.weights;
    bool good = moe_tool_weights(job, "w13", format, m->hidden, &weights[0]);

    good = moe_tool_weights(job, "w2", format, m->intermediate, &weights[1]) &&
           good;
    if (good) {
        check_weights(job, "w13", &weights[0], weights[0].experts,
                      2 * m->intermediate);
        check_weights(job, "w2", &weights[1], weights[0].experts, m->hidden);
    }
    return good && moe_tool_good(job);
}

/* A tensor that this model's kernels do not read is a mistake. */
static void refuse_unused(moe_tool_job_t *job, const char *arg, const char *key)
{
    const moe_safetensor_t *t = moe_tool_find(job, arg, false, "");

    if (t != NULL) {
        char expected[96];

        (void)snprintf(expected, sizeof(expected),
                       "none: the model has no %s (--set model.%s=true)", key,
                       key);
        moe_tool_refuse(job, t, expected);
    }
}

/* Biases of both matmuls, if the model has them. */
static void give_biases(moe_tool_job_t *job, const moe_model_t *m,
                        moe_ref_layer_t *layer, int64_t experts)
{
    static const char *const names[] = {"w13.bias", "w2.bias"};
    const int64_t cols[] = {2 * m->intermediate, m->hidden};

    for (int w = MOE_W13; w <= MOE_W2; w++) {
        if (m->expert_bias) {
            layer->weights[w].bias = moe_tool_data(
                job, names[w], MOE_DTYPE_fp32, experts * cols[w], true);
        } else {
            refuse_unused(job, names[w], "expert_bias");
        }
    }
    if (!m->bias) {
        refuse_unused(job, "bias", "bias");
    }
}

/* Code x scale x this is the value; of formats with a global scale. */
static void put_decode_scale(moe_tool_job_t *job, moe_role_t role,
                             const moe_storage_t *storage)
{
    float *scale = moe_format_info(storage->format)->has_global
                       ? moe_tool_memory(job, 1, sizeof(*scale))
                       : NULL;
    char name[MOE_NAME_MAX];

    if (scale != NULL) {
        *scale = moe_storage_decode(storage);
        (void)snprintf(name, sizeof(name), "%s.decode_scale",
                       moe_role_name(role));
        moe_tool_put_list(job, name, MOE_DTYPE_fp32, 1, scale);
    }
}

/* Every tensor that the layer holds, in memory of the job. */
static void put_stages(moe_tool_job_t *job, const moe_ref_layer_t *layer)
{
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
        const moe_rows_t *at = &layer->at[r];
        moe_rows_t rows;

        if (!layer->held[r] ||
            !moe_tool_rows_new(job, &at->storage, at->rows, at->cols, &rows)) {
            continue;
        }
        memcpy(rows.codes, at->codes,
               (size_t)(at->rows * moe_rows_code_bytes(at)));
        if (rows.scales != NULL) {
            memcpy(rows.scales, at->scales,
                   (size_t)(at->rows * moe_rows_scale_bytes(at)));
        }
        moe_tool_put_rows(job, moe_role_name((moe_role_t)r), &rows, NULL);
        put_decode_scale(job, (moe_role_t)r, &at->storage);
    }
}

/* The layer, once all is read. */
static void compute(moe_tool_job_t *job, const moe_scenario_t *s,
                    const moe_rows_t *hidden, moe_tool_weights_t weights[2],
                    moe_format_t dispatch)
{
    const int64_t first = moe_tool_number(
        job, "first_expert", 0, s->model.experts - weights[0].experts, 0);
    const moe_range_t experts = {first, first + weights[0].experts};
    const moe_ref_case_t about =
        moe_layer_case(s, dispatch, (moe_range_t){0, hidden->rows}, experts);
    const bool all = weights[0].experts == s->model.experts;
    moe_ref_layer_t layer = {0};

    job->status = moe_ref_layer_init(&about, &layer);
    for (int w = MOE_W13; w <= MOE_W2; w++) {
        layer.weights[w].given = weights[w].expert;
        layer.weights[w].format = weights[w].format;
    }
    give_biases(job, &s->model, &layer, weights[0].experts);
    if (moe_tool_good(job)) {
        job->status = moe_ref_layer_give(&layer, MOE_ROLE_hidden, hidden);
    }
    if (moe_tool_find(job, "topk_ids", false, "") != NULL) {
        give_routing(job, &layer);
    } else {
        give_router(job, &layer);
    }
    if (moe_tool_good(job)) {
        job->status = moe_ref_layer_make(&layer, all ? MOE_ROLE_output
                                                     : MOE_ROLE_combine);
    }
    if (moe_tool_good(job)) {
        put_stages(job, &layer);
    }
    moe_ref_layer_fini(&layer);
}

/* What else is wrong, where something is. */
static void look(moe_tool_job_t *job, const moe_model_t *m,
                 const moe_safetensor_t *hidden)
{
    const int64_t pairs =
        hidden != NULL && hidden->ndim == 2 ? hidden->dim[0] * m->topk : -1;
    const moe_safetensor_t *w13 = moe_tool_find(job, "w13", false, "");
    const int64_t experts = w13 != NULL && w13->ndim == 3 ? w13->dim[0] : -1;

    if (moe_tool_find(job, "topk_ids", false, "") != NULL) {
        (void)moe_tool_data(job, "topk_ids", MOE_DTYPE_i32, pairs, true);
        (void)moe_tool_data(job, "topk_weights", MOE_DTYPE_fp32, pairs, true);
    } else {
        (void)moe_tool_data(job, "router", MOE_DTYPE_bf16,
                            m->experts * m->hidden, true);
    }
    if (m->bias && moe_tool_find(job, "topk_ids", false, "") == NULL) {
        (void)moe_tool_data(job, "bias", MOE_DTYPE_fp32, m->experts, true);
    }
    if (m->expert_bias) {
        (void)moe_tool_data(job, "w13.bias", MOE_DTYPE_fp32,
                            experts < 0 ? -1 : experts * 2 * m->intermediate,
                            true);
        (void)moe_tool_data(job, "w2.bias", MOE_DTYPE_fp32,
                            experts < 0 ? -1 : experts * m->hidden, true);
    }
}

void moe_tool_moe_layer(moe_tool_job_t *job)
{
    const char *expected = "bf16 [T][H]";
    const moe_safetensor_t *t = moe_tool_find(job, "hidden", true, expected);
    moe_scenario_t *s =
        moe_tool_scenario(job, t != NULL && t->ndim == 2 ? t->dim[0] : 1);
    moe_tool_weights_t weights[2];
    moe_format_t dispatch;
    moe_rows_t hidden;
    bool good;

    if (s == NULL) {
        return;
    }
    dispatch =
        moe_tool_format(job, "dispatch", moe_tool_setting(job, "dispatch"),
                        s->layer.chain.at[MOE_ROLE_hidden].format);
    good = t != NULL &&
           moe_tool_rows(job, "hidden", &s->layer.chain.at[MOE_ROLE_hidden],
                         t->dim[0], s->model.hidden, true, &hidden);
    good = read_weights(job, s, weights) && good;
    if (good) {
        compute(job, s, &hidden, weights, dispatch);
    } else {
        look(job, &s->model, t);
    }
    moe_scenario_free(s);
}
