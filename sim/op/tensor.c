/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors that an operation reads and writes. */
#include "sim/op/op.h"

#include "base/checked.h"
#include "ref/formats.h"
#include "sim/check/check.h"

#include <stdlib.h>
#include <string.h>

const char *moe_tool_name(const moe_tool_job_t *job, const char *arg)
{
    const moe_command_t *c = job->command;

    for (size_t i = c->n_tensors; i-- > 0;) {
        if (strcmp(c->tensor[i].path, arg) == 0) {
            return c->tensor[i].value;
        }
    }
    return arg;
}

/* Name of the scales beside an argument. */
static void scale_name(const moe_tool_job_t *job, const char *arg,
                       char out[MOE_NAME_MAX])
{
    char scale[MOE_NAME_MAX];
    const char *given;

    (void)snprintf(scale, sizeof(scale), "%s.scale", arg);
    given = moe_tool_name(job, scale);
    if (given == scale) {
        (void)snprintf(out, MOE_NAME_MAX, "%s.scale", moe_tool_name(job, arg));
    } else {
        (void)snprintf(out, MOE_NAME_MAX, "%s", given);
    }
}

#define SHAPE_MAX 128

static const char *shape_of(const moe_safetensor_t *t, char out[SHAPE_MAX])
{
    size_t used = 0;

    out[0] = '\0';
    for (int d = 0; d < t->ndim && used < SHAPE_MAX; d++) {
        used += (size_t)snprintf(out + used, SHAPE_MAX - used, "[%lld]",
                                 (long long)t->dim[d]);
    }
    return out;
}

void moe_tool_refuse(moe_tool_job_t *job, const moe_safetensor_t *t,
                     const char *expected)
{
    char shape[SHAPE_MAX];

    moe_diag_add(job->diag, job->path, 0, 0, t->name, "is %s %s, expected %s",
                 moe_dtype_safetensors(t->dtype), shape_of(t, shape), expected);
}

void moe_tool_refuse_value(moe_tool_job_t *job, const moe_safetensor_t *t,
                           int64_t i, int64_t value, const char *expected)
{
    char shape[SHAPE_MAX];
    char place[64];

    if (t->ndim == 2) {
        (void)snprintf(place, sizeof(place), "row %lld, slot %lld",
                       (long long)(i / t->dim[1]), (long long)(i % t->dim[1]));
    } else {
        (void)snprintf(place, sizeof(place), "element %lld", (long long)i);
    }
    moe_diag_add(job->diag, job->path, 0, 0, t->name,
                 "%s is %lld in %s %s, expected %s", place, (long long)value,
                 moe_dtype_safetensors(t->dtype), shape_of(t, shape), expected);
}

const moe_safetensor_t *moe_tool_find(moe_tool_job_t *job, const char *arg,
                                      bool wanted, const char *expected)
{
    const char *name = moe_tool_name(job, arg);
    const moe_safetensor_t *t = moe_safetensors_find(job->in, name);

    if (t == NULL && wanted) {
        moe_diag_add(job->diag, job->path, 0, 0, name,
                     "is missing, expected %s%s%s", expected,
                     name == arg ? "; --tensor gives another name to " : "",
                     name == arg ? arg : "");
    }
    return t;
}

bool moe_tool_rows_new(moe_tool_job_t *job, const moe_storage_t *storage,
                       int64_t rows, int64_t cols, moe_rows_t *rows_p)
{
    const moe_format_info_t *info = moe_format_info(storage->format);
    const int64_t scales = moe_format_scale_cols(storage->format, cols);

    *rows_p = (moe_rows_t){
        .storage = *storage,
        .rows = rows,
        .cols = cols,
        .codes = moe_tool_memory(job, rows,
                                 moe_format_code_bytes(storage->format, cols))};
    if (scales > 0) {
        rows_p->scales =
            moe_tool_memory(job, rows, moe_dtype_bytes(info->scale, scales));
    }
    return moe_tool_good(job);
}

/* Columns of a tensor as elements of a format. */
static int64_t columns(const moe_safetensor_t *t, moe_format_t format)
{
    int64_t cols = t->ndim > 0 ? t->dim[t->ndim - 1] : 1;
    const int bits = moe_dtype_bits(moe_format_info(format)->code);

    if ((t->dtype != MOE_DTYPE_u8 && t->dtype != MOE_DTYPE_i8) ||
        !moe_format_is_coded(format) || bits % 8 == 0) {
        return cols;
    }
    return moe_mul_i64(cols, 8, &cols) ? cols / bits : -1; /* packed codes */
}

static bool give_memory(moe_tool_job_t *job, void *memory)
{
    void **more =
        realloc(job->memory, (job->n_memory + 1) * sizeof(*job->memory));

    if (more == NULL) {
        free(memory);
        job->status = moe_fail(MOE_ERR_NOMEM, "out of memory");
        return false;
    }
    job->memory = more;
    job->memory[job->n_memory++] = memory;
    return true;
}

void *moe_tool_memory(moe_tool_job_t *job, int64_t n, int64_t size)
{
    size_t bytes;
    void *memory;

    if (!moe_mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX - 64 ||
        (memory = calloc(bytes + 1, 1)) == NULL) {
        job->status = moe_fail(
            MOE_ERR_NOMEM,
            "%s: no memory for a result of %lld x %lld bytes, expected "
            "tensors that fit in memory",
            job->command->in != NULL ? job->command->in : "--in", (long long)n,
            (long long)size);
        return NULL;
    }
    return give_memory(job, memory) ? memory : NULL;
}

static bool is_weights(const char *arg)
{
    return strcmp(arg, "w") == 0 || strcmp(arg, "w13") == 0 ||
           strcmp(arg, "w2") == 0;
}

bool moe_tool_rows(moe_tool_job_t *job, const char *arg,
                   const moe_storage_t *storage, int64_t rows, int64_t cols,
                   bool wanted, moe_rows_t *rows_p)
{
    char expected[128];
    char scale[MOE_NAME_MAX];
    moe_check_tensor_t tensor;
    const moe_safetensor_t *t;
    moe_status_t status;

    *rows_p = (moe_rows_t){.storage = *storage};
    (void)snprintf(expected, sizeof(expected), "rows of %s",
                   moe_format_name(storage->format));
    t = moe_tool_find(job, arg, wanted, expected);
    if (t == NULL) {
        return false;
    }
    scale_name(job, arg, scale);
    status = moe_check_tensor_read_as(
        job->in, job->path, t->name, scale, is_weights(arg), storage, rows,
        cols >= 0 ? cols : columns(t, storage->format), &tensor);
    if (status == MOE_ERR_INPUT) {
        moe_diag_add(job->diag, NULL, 0, 0, NULL, "%s", moe_error_text());
        moe_error_clear(); /* other tensors have problems of their own */
        return false;
    }
    if (status != MOE_OK) {
        job->status = status;
        return false;
    }
    *rows_p = tensor.rows;
    return give_memory(job, tensor.rows.codes) &&
           (tensor.rows.scales == NULL || give_memory(job, tensor.rows.scales));
}

/* Elements of a tensor; a file of that size was accepted. */
static int64_t elements(const moe_safetensor_t *t)
{
    return t->size_bytes * 8 / moe_dtype_bits(t->dtype);
}

void *moe_tool_data(moe_tool_job_t *job, const char *arg, moe_dtype_t dtype,
                    int64_t n, bool wanted)
{
    char expected[128];
    const moe_safetensor_t *t;
    void *data;

    (void)snprintf(expected, sizeof(expected),
                   n >= 0 ? "%s, %lld elements" : "%s",
                   moe_dtype_safetensors(dtype), (long long)n);
    t = moe_tool_find(job, arg, wanted, expected);
    if (t == NULL) {
        return NULL;
    }
    if (t->dtype != dtype || (n >= 0 && elements(t) != n)) {
        moe_tool_refuse(job, t, expected);
        return NULL;
    }
    data = moe_tool_memory(job, t->size_bytes, 1);
    if (data != NULL) {
        moe_status_t status =
            moe_safetensors_read(job->in, t, 0, t->size_bytes, data);

        job->status = status != MOE_OK ? status : job->status;
    }
    return data;
}

int64_t *moe_tool_integers(moe_tool_job_t *job, const char *arg, int64_t n,
                           int64_t *n_p)
{
    const moe_safetensor_t *t = moe_tool_find(job, arg, true, "integers");
    int64_t *list = NULL;
    char expected[64];
    moe_status_t status;

    *n_p = 0;
    if (t == NULL) {
        return NULL;
    }
    (void)snprintf(expected, sizeof(expected), "I32 or I64, %lld elements",
                   (long long)n);
    if ((t->dtype != MOE_DTYPE_i32 && t->dtype != MOE_DTYPE_i64) ||
        (n >= 0 && elements(t) != n)) {
        moe_tool_refuse(job, t, n >= 0 ? expected : "I32 or I64");
        return NULL;
    }
    status = moe_check_integers(job->in, job->path, t->name, &list, n_p);
    if (status != MOE_OK) {
        job->status = status;
        return NULL;
    }
    return give_memory(job, list) ? list : NULL;
}

static void put_named(moe_tool_job_t *job, const char *name, moe_dtype_t dtype,
                      int ndim, const int64_t *dim, const void *data)
{
    moe_tool_result_t *r = &job->result[job->n_results];

    if (job->n_results == MOE_TOOL_RESULTS) {
        job->status = moe_fail(MOE_ERR_INTERNAL, "too many results");
        return;
    }
    *r = (moe_tool_result_t){.dtype = dtype, .ndim = ndim, .data = data};
    (void)snprintf(r->name, sizeof(r->name), "%s", name);
    r->size = moe_dtype_bits(dtype);
    for (int d = 0; d < ndim; d++) {
        r->dim[d] = dim[d];
        r->size *= dim[d];
    }
    r->size /= 8;
    job->n_results++;
}

void moe_tool_put(moe_tool_job_t *job, const char *arg, moe_dtype_t dtype,
                  int ndim, const int64_t *dim, const void *data)
{
    put_named(job, moe_tool_name(job, arg), dtype, ndim, dim, data);
}

void moe_tool_put_list(moe_tool_job_t *job, const char *arg, moe_dtype_t dtype,
                       int64_t n, const void *data)
{
    moe_tool_put(job, arg, dtype, 1, &n, data);
}

void moe_tool_put_rows(moe_tool_job_t *job, const char *arg,
                       const moe_rows_t *rows, const moe_safetensor_t *like)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    const int64_t blocks =
        moe_format_scale_cols(rows->storage.format, rows->cols);
    int64_t dim[MOE_SAFETENSORS_DIMS] = {rows->rows, 0};
    int ndim = 2;
    char scale[MOE_NAME_MAX];

    if (like != NULL && like->ndim > 0) {
        ndim = like->ndim;
        memcpy(dim, like->dim, sizeof(dim));
    }
    dim[ndim - 1] = rows->cols;
    if (moe_dtype_safetensors(info->code)[0] == '\0') { /* packed bytes */
        dim[ndim - 1] = moe_rows_code_bytes(rows);
        moe_tool_put(job, arg, MOE_DTYPE_u8, ndim, dim, rows->codes);
    } else {
        moe_tool_put(job, arg, info->code, ndim, dim, rows->codes);
    }
    if (blocks > 0) {
        scale_name(job, arg, scale);
        dim[ndim - 1] = blocks;
        put_named(job, scale, info->scale, ndim, dim, rows->scales);
    }
}
