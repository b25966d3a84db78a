/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors that come from files: there, of the right type and shape, and of
 * finite numbers where that is soon known; what is larger is looked at when
 * the layer runs.
 */
#include "base/safetensors.h"
#include "sim/scenario/parts.h"

#include <math.h>
#include <string.h>

#define LOOKED_AT_BYTES ((int64_t)64 << 20) /* some 20 ms */
#define PIECE           ((size_t)1 << 16)

typedef struct {
    const char *name;
    bool or_only;  /* the file's only tensor will do, whatever its name */
    bool optional; /* it may be left out */
    bool is_known; /* rows and columns are: no other key hides them */
    moe_dtype_t dtype;
    moe_dtype_t or_dtype;
    int64_t rows;
    int64_t cols;
} wanted_t;

/* "bf16 of 9 x 128"; a shape of any number of dimensions. */
static void say_tensor(const moe_safetensor_t *t, char *out, size_t size)
{
    size_t used =
        (size_t)snprintf(out, size, "%s of %s", moe_dtype_name(t->dtype),
                         t->ndim == 0 ? "no dimension" : "");

    for (int i = 0; i < t->ndim && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s%lld",
                                 i > 0 ? " x " : "", (long long)t->dim[i]);
    }
    if (t->ndim == 1 && used < size) {
        (void)snprintf(out + used, size - used, ", one dimension");
    }
}

static bool is_shaped(const moe_safetensor_t *t, const wanted_t *wanted)
{
    return !wanted->is_known || (t->ndim == 2 && t->dim[0] == wanted->rows &&
                                 t->dim[1] == wanted->cols);
}

static bool check_shape(const moe_at_t *at, const moe_safetensor_t *t,
                        const wanted_t *wanted)
{
    char other[32] = "";
    char found[300];

    if ((t->dtype == wanted->dtype || t->dtype == wanted->or_dtype) &&
        is_shaped(t, wanted)) {
        return true;
    }
    say_tensor(t, found, sizeof(found));
    if (wanted->or_dtype != wanted->dtype) {
        (void)snprintf(other, sizeof(other), " or %s",
                       moe_dtype_name(wanted->or_dtype));
    }
    if (wanted->is_known) {
        moe_at_error(at, "tensor '%.100s' is %s, expected %s%s of %lld x %lld",
                     t->name, found, moe_dtype_name(wanted->dtype), other,
                     (long long)wanted->rows, (long long)wanted->cols);
    } else {
        moe_at_error(at, "tensor '%.100s' is %s, expected %s%s", t->name, found,
                     moe_dtype_name(wanted->dtype), other);
    }
    return false;
}

static float value_of(moe_dtype_t dtype, const void *values, size_t i)
{
    float x;
    uint32_t bits;

    if (dtype == MOE_DTYPE_fp32) {
        memcpy(&x, (const char *)values + i * sizeof(x), sizeof(x));
        return x;
    }
    bits = (uint32_t)((const uint16_t *)values)[i] << 16; /* bf16 */
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static void not_finite(const moe_at_t *at, const moe_safetensor_t *t,
                       int64_t element, float x)
{
    const int64_t cols = t->ndim > 1 ? t->dim[t->ndim - 1] : 1;

    moe_at_error(at,
                 "tensor '%.100s': row %lld, column %lld is %s, expected a "
                 "finite number",
                 t->name, (long long)(element / cols),
                 (long long)(element % cols), isnan(x) ? "NaN" : "infinite");
}

/* The first value that is none. */
static moe_status_t check_values(const moe_at_t *at,
                                 const moe_safetensors_t *file,
                                 const moe_safetensor_t *t)
{
    const int64_t width = t->dtype == MOE_DTYPE_fp32 ? 4 : 2;
    uint32_t values[PIECE / sizeof(uint32_t)];
    moe_status_t status = MOE_OK;

    for (int64_t from = 0; status == MOE_OK && from < t->size_bytes;
         from += (int64_t)sizeof(values)) {
        const int64_t left = t->size_bytes - from;
        const int64_t size =
            left < (int64_t)sizeof(values) ? left : (int64_t)sizeof(values);

        status = moe_safetensors_read(file, t, from, size, values);
        for (int64_t i = 0; status == MOE_OK && i < size / width; i++) {
            const float x = value_of(t->dtype, values, (size_t)i);

            if (!isfinite(x)) {
                not_finite(at, t, from / width + i, x);
                return MOE_OK;
            }
        }
    }
    return status;
}

static bool has_numbers(const moe_safetensor_t *t)
{
    return (t->dtype == MOE_DTYPE_bf16 || t->dtype == MOE_DTYPE_fp32) &&
           t->size_bytes <= LOOKED_AT_BYTES;
}

static moe_status_t check_tensor(const moe_at_t *at,
                                 const moe_safetensors_t *file,
                                 const wanted_t *wanted)
{
    const moe_safetensor_t *t = moe_safetensors_find(file, wanted->name);

    if (t == NULL && wanted->or_only && moe_safetensors_count(file) == 1) {
        t = moe_safetensors_get(file, 0);
    }
    if (t == NULL) {
        if (!wanted->optional) {
            moe_at_error(at, "has no tensor '%s'%s, expected one", wanted->name,
                         wanted->or_only ? ", and more than one" : "");
        }
        return MOE_OK;
    }
    return check_shape(at, t, wanted) && has_numbers(t)
               ? check_values(at, file, t)
               : MOE_OK;
}

/* What a file must hold, and may. */
static moe_status_t check_file(const moe_at_t *at, const char *path,
                               const wanted_t *wanted, size_t n)
{
    moe_safetensors_t *file;
    moe_status_t status;

    if (path == NULL) {
        return MOE_OK;
    }
    status = moe_safetensors_open(path, &file);
    if (status == MOE_OK) {
        for (size_t i = 0; status == MOE_OK && i < n; i++) {
            status = check_tensor(at, file, &wanted[i]);
        }
        moe_safetensors_close(file);
    }
    if (status == MOE_OK || status == MOE_ERR_NOMEM) {
        return status;
    }
    moe_at_error(at, "%s", moe_error_text());
    moe_error_clear();
    return MOE_OK;
}

moe_status_t moe_scenario_check_tensors(const moe_build_t *b)
{
    const moe_scenario_t *s = b->s;
    const bool known = b->layout_ok && b->model_ok;
    const int64_t total = known ? moe_layer_total_tokens(&s->layer) : 0;
    moe_at_t workload = moe_at_key(&b->root, "workload");
    moe_at_t data = moe_at_key(&workload, "data");
    moe_at_t router = moe_at_key(&workload, "router");
    moe_at_t hidden = moe_at_key(&data, "hidden");
    moe_at_t gate = moe_at_key(&data, "gate");
    moe_at_t trace = moe_at_key(&router, "trace");
    const moe_dtype_t bf16 = MOE_DTYPE_bf16;
    const wanted_t rows = {"hidden", true, false, known,
                           bf16,     bf16, total, s->model.hidden};
    const wanted_t weights = {
        "gate",           true,           false, known, bf16, bf16,
        s->model.experts, s->model.hidden};
    const wanted_t routing[] = {{"topk_ids", false, false, known, MOE_DTYPE_i32,
                                 MOE_DTYPE_i64, total, s->model.topk},
                                {"topk_weights", false, true, known,
                                 MOE_DTYPE_fp32, MOE_DTYPE_fp32, total,
                                 s->model.topk}};
    moe_status_t status = check_file(&hidden, s->hidden_file, &rows, 1);

    if (status == MOE_OK) {
        status = check_file(&gate, s->gate_file, &weights, 1);
    }
    return status == MOE_OK ? check_file(&trace, s->router_trace, routing, 2)
                            : status;
}
