/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/ctx.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

/* Tensors larger than this are a mistake of the scenario. */
#define BYTES_MAX (INT64_C(1) << 50)

static bool fits(const moe_tensor_spec_t *spec)
{
    int64_t elements;
    int64_t bytes;

    return spec->rows >= 0 && spec->cols >= 0 &&
           moe_mul_i64(spec->rows, spec->cols, &elements) &&
           moe_mul_i64(elements, 8, &bytes) && bytes <= BYTES_MAX;
}

static void set_fields(moe_tensor_t *t, const moe_tensor_spec_t *spec)
{
    t->role = spec->role;
    t->storage = spec->storage;
    t->carried_exact = spec->carried_exact;
    t->kept = spec->kept;
    t->is_scale = spec->is_scale;
    t->dtype = spec->dtype != MOE_DTYPE_none
                   ? spec->dtype
                   : moe_format_info(spec->storage.format)->code;
    t->ndim = 2;
    t->dim[0] = spec->rows;
    t->dim[1] = spec->cols;
    t->dim[2] = t->dim[3] = 1;
    t->row_stride = spec->cols;
    t->valid_rows = spec->valid_rows < 0 ? spec->rows : spec->valid_rows;
    t->place = MOE_PLACE_device;
    t->scale_layout = spec->scale_layout;
    t->parent = moe_tensor_keep(spec->parent);
    t->row_offset = spec->row_offset;
    for (int i = 0; i < 3; i++) {
        t->source[i] = moe_tensor_keep(spec->source[i]);
    }
    t->first_expert = spec->first_expert;
    t->n_experts = spec->n_experts;
    t->index = spec->index;
    t->capacity = spec->capacity;
    t->block = spec->block;
    t->bin = spec->bin;
    t->sorted = spec->sorted;
    t->list_type = spec->list;
    t->mapping = spec->mapping;
}

static moe_status_t set_counts(moe_tensor_t *t, const int64_t *counts)
{
    if (counts == NULL) {
        return MOE_OK;
    }
    t->rows_per_expert =
        calloc((size_t)t->n_experts + 1, sizeof(*t->rows_per_expert));
    if (t->rows_per_expert == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for an index");
    }
    memcpy(t->rows_per_expert, counts, (size_t)t->n_experts * sizeof(*counts));
    return MOE_OK;
}

static void add_scale(moe_ctx_t *c, moe_tensor_t *t,
                      const moe_tensor_spec_t *spec)
{
    const moe_format_info_t *info = moe_format_info(t->storage.format);
    moe_tensor_spec_t scale = *spec;

    if (info->block == 0 || spec->is_scale || spec->carried_exact ||
        spec->parent != NULL) {
        return;
    }
    scale.is_scale = true;
    scale.dtype = info->scale;
    scale.cols = moe_format_scale_cols(t->storage.format, spec->cols);
    t->scale = moe_tensor_make(c, &scale);
}

static void add_list(moe_ctx_t *c, moe_tensor_t *t)
{
    const moe_tensor_spec_t list = {.role = MOE_ROLE_group_list,
                                    .storage = {.format = MOE_FORMAT_i32},
                                    .dtype = MOE_DTYPE_i64,
                                    .rows = 1,
                                    .cols = t->n_experts,
                                    .valid_rows = -1};

    if (t->list_type != MOE_GROUP_LIST_none && t->valid_rows > 0) {
        t->list = moe_tensor_make(c, &list);
    }
}

static void give_data(moe_ctx_t *c, moe_tensor_t *t)
{
    const moe_trace_sink_t *sink = c->run->sink;
    moe_backend_t *be = c->run->backend;
    moe_status_t status = be->alloc(be, t);

    if (status != MOE_OK) {
        moe_ctx_fail(c, status);
        return;
    }
    t->bytes = c->skip ? 0 : be->storage_bytes(t);
    c->bytes += t->bytes;
    if (sink != NULL && sink->memory != NULL) {
        sink->memory(sink->self, c->run->rank, c->bytes);
    }
}

moe_tensor_t *moe_tensor_make(moe_ctx_t *c, const moe_tensor_spec_t *spec)
{
    moe_tensor_t *t;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (!fits(spec)) {
        moe_ctx_fail(c, moe_fail(MOE_ERR_RANGE,
                                 "a tensor %s of %lld x %lld is too large",
                                 moe_role_name(spec->role),
                                 (long long)spec->rows, (long long)spec->cols));
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (t == NULL) {
        moe_ctx_fail(c, moe_fail(MOE_ERR_NOMEM, "no memory for a tensor"));
        return NULL;
    }
    t->id = ++c->n_tensors;
    t->refs = 1;
    set_fields(t, spec);
    t->next = c->tensors;
    c->tensors = t;
    moe_ctx_fail(c, set_counts(t, spec->rows_per_expert));
    if (c->status == MOE_OK) {
        give_data(c, t);
        add_scale(c, t, spec);
        add_list(c, t);
    }
    return c->status == MOE_OK ? t : NULL;
}

moe_tensor_t *moe_tensor_keep(moe_tensor_t *t)
{
    if (t != NULL) {
        t->refs++;
    }
    return t;
}

static void unlink_tensor(moe_ctx_t *c, const moe_tensor_t *t)
{
    moe_tensor_t **at = &c->tensors;

    while (*at != NULL && *at != t) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = t->next;
    }
}

static void end_tensor(moe_ctx_t *c, moe_tensor_t *t)
{
    moe_backend_t *be = c->run->backend;

    c->bytes -= t->bytes;
    be->free(be, t);
    free(t->rows_per_expert);
    free(t);
}

void moe_release(moe_ctx_t *c, moe_tensor_t *t)
{
    moe_tensor_t *owned[6];

    if (t == NULL || --t->refs > 0) {
        return;
    }
    owned[0] = t->scale;
    owned[1] = t->parent;
    owned[2] = t->list;
    memcpy(&owned[3], t->source, sizeof(t->source));
    unlink_tensor(c, t);
    end_tensor(c, t);
    for (int i = 0; i < 6; i++) {
        moe_release(c, owned[i]);
    }
}

void moe_tensors_drop(moe_ctx_t *c)
{
    while (c->tensors != NULL) {
        moe_tensor_t *next = c->tensors->next;

        end_tensor(c, c->tensors);
        c->tensors = next;
    }
}

const char *moe_scale_layout_name(moe_scale_layout_t layout)
{
    static const char *const names[MOE_SCALES_COUNT] = {"linear", "128x4",
                                                        "8x4"};

    return (unsigned)layout < MOE_SCALES_COUNT ? names[layout] : "?";
}

bool moe_tensor_is_lazy(const moe_tensor_t *t)
{
    while (t->parent != NULL) {
        t = t->parent;
    }
    return t->carried_exact && t->source[0] != NULL;
}

int64_t moe_tensor_row_bytes(const moe_tensor_t *t, int64_t n)
{
    return n * moe_dtype_bytes(t->dtype, t->dim[1]);
}
