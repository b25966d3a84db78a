/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors that come from files: there, of the right type and shape. Their
 * numbers are read when the layer runs.
 */
#include "base/safetensors.h"
#include "sim/scenario/parts.h"

#include <string.h>

typedef struct {
    const char *name;
    bool or_only; /* the file's only tensor will do, whatever its name */
    moe_dtype_t dtype;
    moe_dtype_t or_dtype;
    int64_t rows;
    int64_t cols;
} wanted_t;

static void check_tensor(const moe_at_t *at, const moe_safetensors_t *file,
                         const wanted_t *wanted)
{
    const moe_safetensor_t *t = moe_safetensors_find(file, wanted->name);

    if (t == NULL && wanted->or_only && moe_safetensors_count(file) == 1) {
        t = moe_safetensors_get(file, 0);
    }
    if (t == NULL) {
        moe_at_error(at, "has no tensor '%s'%s", wanted->name,
                     wanted->or_only ? ", and more than one" : "");
        return;
    }
    if ((t->dtype != wanted->dtype && t->dtype != wanted->or_dtype) ||
        t->ndim != 2 || t->dim[0] != wanted->rows ||
        t->dim[1] != wanted->cols) {
        moe_at_error(at,
                     "tensor '%.100s' is %s with %d dimensions, %lld x %lld, "
                     "expected %s, %lld x %lld",
                     t->name, moe_dtype_name(t->dtype), t->ndim,
                     (long long)(t->ndim > 0 ? t->dim[0] : 0),
                     (long long)(t->ndim > 1 ? t->dim[1] : 0),
                     moe_dtype_name(wanted->dtype), (long long)wanted->rows,
                     (long long)wanted->cols);
    }
}

static moe_status_t check_file(const moe_at_t *at, const char *path,
                               const wanted_t *wanted)
{
    moe_safetensors_t *file;
    moe_status_t status;

    if (path == NULL) {
        return MOE_OK;
    }
    status = moe_safetensors_open(path, &file);
    if (status == MOE_ERR_NOMEM) {
        return status;
    }
    if (status != MOE_OK) {
        moe_at_error(at, "%s", moe_error_text());
        moe_error_clear();
        return MOE_OK;
    }
    check_tensor(at, file, wanted);
    moe_safetensors_close(file);
    return MOE_OK;
}

moe_status_t moe_scenario_check_tensors(const moe_build_t *b)
{
    const moe_scenario_t *s = b->s;
    int64_t total = moe_layer_total_tokens(&s->layer);
    moe_at_t workload = moe_at_key(&b->root, "workload");
    moe_at_t data = moe_at_key(&workload, "data");
    moe_at_t router = moe_at_key(&workload, "router");
    moe_at_t hidden = moe_at_key(&data, "hidden");
    moe_at_t gate = moe_at_key(&data, "gate");
    moe_at_t trace = moe_at_key(&router, "trace");
    const wanted_t rows = {.name = "hidden",
                           .or_only = true,
                           .dtype = MOE_DTYPE_bf16,
                           .or_dtype = MOE_DTYPE_bf16,
                           .rows = total,
                           .cols = s->model.hidden};
    const wanted_t weights = {.name = "gate",
                              .or_only = true,
                              .dtype = MOE_DTYPE_bf16,
                              .or_dtype = MOE_DTYPE_bf16,
                              .rows = s->model.experts,
                              .cols = s->model.hidden};
    const wanted_t ids = {.name = "topk_ids",
                          .dtype = MOE_DTYPE_i32,
                          .or_dtype = MOE_DTYPE_i64,
                          .rows = total,
                          .cols = s->model.topk};
    moe_status_t status = check_file(&hidden, s->hidden_file, &rows);

    if (status == MOE_OK) {
        status = check_file(&gate, s->gate_file, &weights);
    }
    return status == MOE_OK ? check_file(&trace, s->router_trace, &ids)
                            : status;
}
