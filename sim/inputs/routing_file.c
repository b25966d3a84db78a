/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/inputs/inputs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A router trace: topk_ids [T][k] int32 or int64, topk_weights [T][k] fp32
 * if it has them. */

static bool has_shape(const moe_safetensor_t *t, int64_t rows, int64_t cols)
{
    return t->ndim == 2 && t->dim[0] == rows && t->dim[1] == cols;
}

/* What is read, and of which scenario. */
typedef struct {
    const moe_scenario_t *scenario;
    const moe_safetensors_t *file;
    moe_routing_t *r;
} trace_t;

/* Pair i of the routing has an id that it may not have. */
static moe_status_t bad_id(const trace_t *trace, int64_t i, int64_t id)
{
    const moe_routing_t *r = trace->r;

    return moe_fail(MOE_ERR_INPUT,
                    "%s: topk_ids: token %lld, slot %lld: expert %lld, "
                    "expected %d different ones of 0..%lld",
                    trace->scenario->router_where,
                    (long long)(r->first + i / r->topk),
                    (long long)(i % r->topk), (long long)id, r->topk,
                    (long long)trace->scenario->model.experts - 1);
}

static moe_status_t read_ids(const trace_t *trace, const moe_safetensor_t *t)
{
    moe_routing_t *r = trace->r;
    int64_t pairs = r->n * r->topk;
    int64_t width = moe_dtype_bytes(t->dtype, 1);
    int64_t first = r->first * r->topk * width;
    int64_t *wide;
    moe_status_t status;

    if (width == (int64_t)sizeof(*r->ids)) {
        return moe_safetensors_read(trace->file, t, first, pairs * width,
                                    r->ids);
    }
    wide = calloc((size_t)pairs + 1, sizeof(*wide));
    if (wide == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a router trace");
    }
    status = moe_safetensors_read(trace->file, t, first, pairs * width, wide);
    for (int64_t i = 0; status == MOE_OK && i < pairs; i++) {
        r->ids[i] = (int32_t)wide[i];
        if (r->ids[i] != wide[i]) {
            status = bad_id(trace, i, wide[i]);
        }
    }
    free(wide);
    return status;
}

static moe_status_t check_ids(const trace_t *trace)
{
    const moe_routing_t *r = trace->r;

    for (int64_t i = 0; i < r->n * r->topk; i++) {
        bool twice = false;

        for (int64_t j = i / r->topk * r->topk; j < i; j++) {
            twice = twice || r->ids[j] == r->ids[i];
        }
        if (r->ids[i] < 0 || r->ids[i] >= trace->scenario->model.experts ||
            twice) {
            return bad_id(trace, i, r->ids[i]);
        }
    }
    return MOE_OK;
}

static moe_status_t check_weights(const trace_t *trace)
{
    const moe_routing_t *r = trace->r;

    for (int64_t i = 0; i < r->n * r->topk; i++) {
        if (!isfinite(r->weights[i])) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: topk_weights: token %lld, slot %lld is %s, "
                            "expected a finite number",
                            trace->scenario->router_where,
                            (long long)(r->first + i / r->topk),
                            (long long)(i % r->topk),
                            isnan(r->weights[i]) ? "NaN" : "infinite");
        }
    }
    return MOE_OK;
}

/* Without a tensor of them: equal ones. */
static moe_status_t read_weights(const trace_t *trace, int64_t total)
{
    const moe_safetensor_t *t =
        moe_safetensors_find(trace->file, "topk_weights");
    moe_routing_t *r = trace->r;
    int64_t row = r->topk * (int64_t)sizeof(*r->weights);
    moe_status_t status;

    if (t == NULL) {
        for (int64_t i = 0; i < r->n * r->topk; i++) {
            r->weights[i] =
                trace->scenario->model.routed_scaling / (float)r->topk;
        }
        return MOE_OK;
    }
    if (t->dtype != MOE_DTYPE_fp32 || !has_shape(t, total, r->topk)) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: topk_weights is %s with %d dimensions, expected "
                        "fp32, %lld x %d",
                        trace->scenario->router_where, moe_dtype_name(t->dtype),
                        t->ndim, (long long)total, r->topk);
    }
    status = moe_safetensors_read(trace->file, t, r->first * row, r->n * row,
                                  r->weights);
    return status == MOE_OK ? check_weights(trace) : status;
}

static moe_status_t read_all(const trace_t *trace)
{
    const moe_scenario_t *s = trace->scenario;
    const moe_safetensor_t *t = moe_safetensors_find(trace->file, "topk_ids");
    int64_t total = moe_layer_total_tokens(&s->layer);
    moe_routing_t *r = trace->r;
    moe_status_t status;

    if (t == NULL || !has_shape(t, total, r->topk) ||
        (t->dtype != MOE_DTYPE_i32 && t->dtype != MOE_DTYPE_i64)) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: no topk_ids of this scenario, expected int32 or "
                        "int64, %lld x %d",
                        s->router_where, (long long)total, r->topk);
    }
    status = read_ids(trace, t);
    if (status == MOE_OK) {
        status = check_ids(trace);
    }
    if (status == MOE_OK) {
        status = read_weights(trace, total);
    }
    for (int i = 0; i < r->topk; i++) {
        r->pad_ids[i] = i;
        r->pad_weights[i] = s->model.routed_scaling / (float)r->topk;
    }
    return status;
}

moe_status_t moe_routing_read(const moe_scenario_t *scenario, int64_t first,
                              int64_t n, moe_routing_t *routing_p)
{
    moe_routing_t r = {0};
    moe_safetensors_t *file;
    moe_status_t status = moe_safetensors_open(scenario->router_trace, &file);

    if (status != MOE_OK) {
        return status;
    }
    status = moe_routing_init(&r, first, n, scenario->model.topk);
    if (status == MOE_OK) {
        status =
            read_all(&(trace_t){.scenario = scenario, .file = file, .r = &r});
    }
    moe_safetensors_close(file);
    if (status != MOE_OK) {
        moe_routing_fini(&r);
        return status;
    }
    *routing_p = r;
    return MOE_OK;
}
