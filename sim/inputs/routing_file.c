/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/inputs/inputs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A router trace: topk_ids [T][k] int32 or int64, topk_weights [T][k] fp32
 * if it has them. */

static moe_status_t wrong(const char *path, const char *what)
{
    return moe_fail(MOE_ERR_INPUT, "%s: %s", path, what);
}

static bool has_shape(const moe_safetensor_t *t, int64_t rows, int64_t cols)
{
    return t->ndim == 2 && t->dim[0] == rows && t->dim[1] == cols;
}

static moe_status_t read_ids(const moe_safetensors_t *file,
                             const moe_safetensor_t *t, moe_routing_t *r)
{
    int64_t pairs = r->n * r->topk;
    int64_t width = moe_dtype_bytes(t->dtype, 1);
    int64_t first = r->first * r->topk * width;
    int64_t *wide;
    moe_status_t status;

    if (width == (int64_t)sizeof(*r->ids)) {
        return moe_safetensors_read(file, t, first, pairs * width, r->ids);
    }
    wide = calloc((size_t)pairs + 1, sizeof(*wide));
    if (wide == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a router trace");
    }
    status = moe_safetensors_read(file, t, first, pairs * width, wide);
    for (int64_t i = 0; i < pairs; i++) {
        r->ids[i] = wide[i] < 0 || wide[i] > INT32_MAX ? -1 : (int32_t)wide[i];
    }
    free(wide);
    return status;
}

static moe_status_t check_ids(const char *path, const moe_model_t *model,
                              const moe_routing_t *r)
{
    for (int64_t i = 0; i < r->n * r->topk; i++) {
        bool twice = false;

        for (int64_t j = i / r->topk * r->topk; j < i; j++) {
            twice = twice || r->ids[j] == r->ids[i];
        }
        if (r->ids[i] < 0 || r->ids[i] >= model->experts || twice) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: token %lld, slot %lld: expert %d, expected "
                            "%d different ones of 0..%lld",
                            path, (long long)(r->first + i / r->topk),
                            (long long)(i % r->topk), (int)r->ids[i], r->topk,
                            (long long)model->experts - 1);
        }
    }
    return MOE_OK;
}

static moe_status_t check_weights(const char *path, const moe_routing_t *r)
{
    for (int64_t i = 0; i < r->n * r->topk; i++) {
        if (!isfinite(r->weights[i])) {
            return wrong(path, "topk_weights has a value that is not finite");
        }
    }
    return MOE_OK;
}

static moe_status_t read_weights(const moe_safetensors_t *file,
                                 const char *path, int64_t total,
                                 const moe_model_t *model, moe_routing_t *r)
{
    const moe_safetensor_t *t = moe_safetensors_find(file, "topk_weights");
    int64_t row = r->topk * (int64_t)sizeof(*r->weights);
    moe_status_t status;

    if (t == NULL) {
        for (int64_t i = 0; i < r->n * r->topk; i++) {
            r->weights[i] = model->routed_scaling / (float)r->topk;
        }
        return MOE_OK;
    }
    if (t->dtype != MOE_DTYPE_fp32 || !has_shape(t, total, r->topk)) {
        return wrong(path, "topk_weights must be fp32 [tokens][k]");
    }
    status =
        moe_safetensors_read(file, t, r->first * row, r->n * row, r->weights);
    return status == MOE_OK ? check_weights(path, r) : status;
}

static moe_status_t read_all(const moe_safetensors_t *file, const char *path,
                             int64_t total, const moe_model_t *model,
                             moe_routing_t *r)
{
    const moe_safetensor_t *t = moe_safetensors_find(file, "topk_ids");
    moe_status_t status;

    if (t == NULL || !has_shape(t, total, r->topk) ||
        (t->dtype != MOE_DTYPE_i32 && t->dtype != MOE_DTYPE_i64)) {
        return wrong(path, "expected topk_ids, int32 or int64 [tokens][k], "
                           "of the scenario's tokens and k");
    }
    status = read_ids(file, t, r);
    if (status == MOE_OK) {
        status = check_ids(path, model, r);
    }
    if (status == MOE_OK) {
        status = read_weights(file, path, total, model, r);
    }
    for (int i = 0; i < r->topk; i++) {
        r->pad_ids[i] = i;
        r->pad_weights[i] = model->routed_scaling / (float)r->topk;
    }
    return status;
}

moe_status_t moe_routing_read(const char *path, const moe_model_t *model,
                              int64_t first, int64_t n, int64_t total,
                              moe_routing_t *routing_p)
{
    moe_routing_t r = {0};
    moe_safetensors_t *file;
    moe_status_t status = moe_safetensors_open(path, &file);

    if (status != MOE_OK) {
        return status;
    }
    status = moe_routing_init(&r, first, n, model->topk);
    if (status == MOE_OK) {
        status = read_all(file, path, total, model, &r);
    }
    moe_safetensors_close(file);
    if (status != MOE_OK) {
        moe_routing_fini(&r);
        return status;
    }
    *routing_p = r;
    return MOE_OK;
}
