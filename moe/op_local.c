/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/ctx.h"

#include <stddef.h>

static moe_call_t call_of(moe_op_t op, const moe_tensor_t *in,
                          moe_tensor_t *out)
{
    moe_call_t call = {.op = op, .root = -1};

    call.in[0] = in;
    call.n_in = in != NULL;
    call.out[0] = out;
    call.n_out = out != NULL;
    return call;
}

moe_tensor_t *moe_ctx_numbers(moe_ctx_t *c, moe_role_t role,
                              moe_format_t format, int64_t rows, int64_t cols,
                              int64_t valid_rows)
{
    moe_tensor_spec_t spec = {.role = role,
                              .storage = {.format = format},
                              .rows = rows,
                              .cols = cols,
                              .valid_rows = valid_rows};

    return moe_tensor_make(c, &spec);
}

moe_tensor_t *moe_ctx_make_of(moe_ctx_t *c, moe_op_t op, moe_tensor_t *in,
                              const moe_tensor_spec_t *spec)
{
    moe_tensor_t *t = moe_tensor_make(c, spec);
    moe_call_t call = call_of(op, in, t);

    if (t != NULL && t->list != NULL) {
        call.out[call.n_out++] = t->list;
    }
    moe_ctx_do(c, &call, t);
    return t;
}

moe_tensor_t *moe_new(moe_ctx_t *c, moe_role_t role, moe_format_t format,
                      int64_t rows, int64_t cols)
{
    return moe_ctx_numbers(c, role, format, rows, cols, rows);
}

moe_tensor_t *moe_hidden(moe_ctx_t *c)
{
    const moe_layer_t *layer = c->run->layer;
    int dp_rank = moe_layout_dp_rank(&layer->layout, c->run->rank);
    moe_tensor_spec_t spec = {.role = MOE_ROLE_hidden,
                              .storage = *moe_ctx_storage(c, MOE_ROLE_hidden),
                              .rows = layer->tokens[dp_rank],
                              .cols = layer->model->hidden,
                              .valid_rows = -1};
    moe_tensor_t *t = moe_tensor_make(c, &spec);
    moe_call_t call = call_of(MOE_OP_load_hidden, NULL, t);

    moe_ctx_do(c, &call, t);
    return t;
}

static moe_tensor_t *view(moe_ctx_t *c, moe_tensor_t *t, int64_t row, int64_t n)
{
    moe_tensor_spec_t spec = {.role = t->role,
                              .storage = t->storage,
                              .dtype = t->dtype,
                              .rows = n,
                              .cols = t->dim[1],
                              .valid_rows = -1,
                              .carried_exact = t->carried_exact,
                              .kept = t->kept,
                              .is_scale = t->is_scale,
                              .scale_layout = t->scale_layout,
                              .parent = t,
                              .row_offset = row};

    return moe_tensor_make(c, &spec);
}

moe_tensor_t *moe_slice(moe_ctx_t *c, moe_tensor_t *t, int64_t row, int64_t n)
{
    moe_tensor_t *v;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (row < 0 || n < 0 || row + n > t->dim[0]) {
        moe_ctx_fail(
            c, moe_fail(MOE_ERR_INTERNAL, "slice of rows %lld + %lld of %lld",
                        (long long)row, (long long)n, (long long)t->dim[0]));
        return NULL;
    }
    v = view(c, t, row, n);
    if (v != NULL && t->scale != NULL) {
        v->scale = view(c, t->scale, row, n);
    }
    return v;
}

moe_tensor_t *moe_logits(moe_ctx_t *c, moe_tensor_t *rows)
{
    moe_tensor_spec_t spec = {.role = MOE_ROLE_logits,
                              .storage = {.format = MOE_FORMAT_fp32},
                              .cols = moe_model_choices(moe_ctx_model(c))};

    if (c->status != MOE_OK) {
        return NULL;
    }
    spec.rows = rows->dim[0];
    spec.valid_rows = rows->valid_rows;
    return moe_ctx_make_of(c, MOE_OP_logits, rows, &spec);
}

void moe_topk(moe_ctx_t *c, moe_tensor_t *logits, const moe_span_t *spans,
              int n_spans, moe_tensor_t **ids_p, moe_tensor_t **weights_p)
{
    int topk = moe_ctx_model(c)->topk;
    moe_call_t call;

    *ids_p = *weights_p = NULL;
    if (c->status != MOE_OK) {
        return;
    }
    *ids_p = moe_ctx_numbers(c, MOE_ROLE_topk_ids, MOE_FORMAT_i32,
                             logits->dim[0], topk, logits->valid_rows);
    *weights_p = moe_ctx_numbers(c, MOE_ROLE_topk_weights, MOE_FORMAT_fp32,
                                 logits->dim[0], topk, logits->valid_rows);
    call = call_of(MOE_OP_topk, logits, *ids_p);
    call.out[1] = *weights_p;
    call.n_out = 2;
    call.spans = spans;
    call.n_spans = n_spans;
    call.source = c->run->routing;
    moe_ctx_do(c, &call, *ids_p);
}

moe_tensor_t *moe_weigh_input(moe_ctx_t *c, moe_tensor_t *rows,
                              moe_tensor_t *weights)
{
    moe_tensor_t *t;
    moe_call_t call;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (c->run->use->chain.contract.weigh != MOE_WEIGH_input) {
        return moe_tensor_keep(rows);
    }
    t = moe_ctx_numbers(c, rows->role, rows->storage.format, rows->dim[0],
                        rows->dim[1], rows->valid_rows);
    call = call_of(MOE_OP_weigh_rows, rows, t);
    call.in[1] = weights;
    call.n_in = 2;
    moe_ctx_do(c, &call, t);
    return t;
}

/* Which operation brings rows from one storage to another. */
static moe_op_t op_between(const moe_tensor_t *rows, const moe_storage_t *to)
{
    if (moe_format_is_coded(to->format)) {
        return MOE_OP_quantize;
    }
    return moe_format_is_coded(rows->storage.format) ? MOE_OP_dequantize
                                                     : MOE_OP_convert;
}

moe_tensor_t *moe_ctx_to(moe_ctx_t *c, moe_tensor_t *rows, moe_role_t role,
                         const moe_storage_t *to)
{
    moe_tensor_spec_t spec = {.role = role, .storage = *to};

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (moe_storage_equal(&rows->storage, to) && !rows->carried_exact) {
        return moe_tensor_keep(rows);
    }
    spec.rows = rows->dim[0];
    spec.cols = rows->dim[1];
    spec.valid_rows = rows->valid_rows;
    return moe_ctx_make_of(c, op_between(rows, to), rows, &spec);
}

moe_tensor_t *moe_to(moe_ctx_t *c, moe_tensor_t *rows, moe_role_t role)
{
    return moe_ctx_to(c, rows, role, moe_ctx_storage(c, role));
}

moe_tensor_t *moe_swizzle(moe_ctx_t *c, moe_tensor_t *rows,
                          moe_scale_layout_t layout)
{
    moe_tensor_spec_t spec = {0};
    moe_tensor_t *t;
    moe_call_t call;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (rows->scale == NULL || rows->scale->scale_layout == layout ||
        moe_dtype_bits(rows->scale->dtype) != 8) { /* tiles are of bytes */
        return moe_tensor_keep(rows);
    }
    t = view(c, rows, 0, rows->dim[0]);
    if (t == NULL) {
        return NULL;
    }
    t->valid_rows = rows->valid_rows;
    spec.role = rows->role;
    spec.storage = rows->storage;
    spec.dtype = rows->scale->dtype;
    spec.rows = rows->dim[0];
    spec.cols = rows->scale->dim[1];
    spec.valid_rows = rows->valid_rows;
    spec.is_scale = true;
    spec.scale_layout = layout;
    t->scale = moe_tensor_make(c, &spec);
    call = call_of(MOE_OP_swizzle, rows->scale, t->scale);
    moe_ctx_do(c, &call, t->scale);
    return t;
}

void moe_fill_zero(moe_ctx_t *c, moe_tensor_t *t, int64_t row, int64_t n)
{
    moe_call_t call = call_of(MOE_OP_fill, NULL, t);

    call.dst_row = row;
    call.n_rows = n;
    moe_ctx_do(c, &call, t);
}

void moe_copy_rows(moe_ctx_t *c, moe_tensor_t *dst, int64_t dst_row,
                   moe_tensor_t *src, int64_t src_row, int64_t n)
{
    moe_call_t call = call_of(MOE_OP_copy_rows, src, dst);

    call.dst_row = dst_row;
    call.src_row = src_row;
    call.n_rows = n;
    moe_ctx_do(c, &call, dst);
}

moe_tensor_t *moe_pad_rows(moe_ctx_t *c, moe_tensor_t *t, int64_t n)
{
    moe_tensor_t *rows;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (t->dim[0] == n) {
        return moe_slice(c, t, 0, n);
    }
    rows = moe_new(c, t->role, t->storage.format, n, t->dim[1]);
    moe_copy_rows(c, rows, 0, t, 0, t->dim[0]);
    moe_fill_zero(c, rows, t->dim[0], n - t->dim[0]);
    return rows;
}

moe_tensor_t *moe_place_rows(moe_ctx_t *c, moe_tensor_t *t, moe_role_t role,
                             int64_t row, int64_t n)
{
    moe_tensor_t *rows;

    if (c->status != MOE_OK) {
        return NULL;
    }
    rows = moe_new(c, role, t->storage.format, n, t->dim[1]);
    moe_fill_zero(c, rows, 0, n);
    moe_copy_rows(c, rows, row, t, 0, t->dim[0]);
    return rows;
}
