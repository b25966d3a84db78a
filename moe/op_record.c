/* SPDX-License-Identifier: Apache-2.0 */
/* Front-ends of records: rows of several tensors in one piece of bytes. */
#include "moe/ctx.h"

#include "base/checked.h"

#include <stddef.h>

int64_t moe_record_bytes(const int64_t *bytes, int n, int64_t align)
{
    int64_t end = 0;

    for (int i = 0; i < n; i++) {
        end = moe_div_up(end, align) * align + bytes[i];
    }
    return end;
}

/* Bytes that the fields take, codes and scales apart. */
static int64_t needed(moe_tensor_t *const *fields, int n, int64_t align)
{
    int64_t bytes[2 * MOE_FIELDS_MAX];
    int parts = 0;

    for (int i = 0; i < n; i++) {
        bytes[parts++] = moe_tensor_row_bytes(fields[i], 1);
        if (fields[i]->scale != NULL) {
            bytes[parts++] = moe_tensor_row_bytes(fields[i]->scale, 1);
        }
    }
    return moe_record_bytes(bytes, parts, align);
}

static bool is_sound(moe_ctx_t *c, moe_tensor_t *const *fields, int n,
                     int64_t align, int64_t stride)
{
    if (c->status == MOE_OK && (n < 1 || n > MOE_FIELDS_MAX || align < 1 ||
                                needed(fields, n, align) > stride)) {
        moe_ctx_fail(c, moe_fail(MOE_ERR_INTERNAL,
                                 "%d fields are no record of %lld bytes", n,
                                 (long long)stride));
    }
    return c->status == MOE_OK;
}

moe_tensor_t *moe_pack_rows(moe_ctx_t *c, moe_tensor_t *const *fields, int n,
                            int64_t align, int64_t stride)
{
    moe_tensor_spec_t spec = {.role = MOE_ROLE_record,
                              .storage = {.format = MOE_FORMAT_u8},
                              .cols = stride};
    moe_call_t call = {.op = MOE_OP_pack_rows, .root = -1, .stride = align};
    moe_tensor_t *t;

    if (!is_sound(c, fields, n, align, stride)) {
        return NULL;
    }
    spec.rows = fields[0]->dim[0];
    spec.valid_rows = fields[0]->valid_rows;
    t = moe_tensor_make(c, &spec);
    for (int i = 0; i < n; i++) {
        call.in[i] = fields[i];
    }
    call.n_in = n;
    call.out[0] = t;
    call.n_out = 1;
    moe_ctx_do(c, &call, t);
    return t;
}

void moe_unpack_rows(moe_ctx_t *c, moe_tensor_t *records,
                     moe_tensor_t *const *like, int n, int64_t align,
                     moe_tensor_t **fields)
{
    moe_call_t call = {.op = MOE_OP_unpack_rows, .root = -1, .stride = align};

    for (int i = 0; i < n; i++) {
        fields[i] = NULL;
    }
    if (c->status != MOE_OK || !is_sound(c, like, n, align, records->dim[1])) {
        return;
    }
    for (int i = 0; i < n; i++) {
        moe_tensor_spec_t spec = {.role = like[i]->role,
                                  .storage = like[i]->storage,
                                  .dtype = like[i]->dtype,
                                  .rows = records->dim[0],
                                  .cols = like[i]->dim[1],
                                  .valid_rows = records->valid_rows};

        fields[i] = call.out[i] = moe_tensor_make(c, &spec);
    }
    call.in[0] = records;
    call.n_in = 1;
    call.n_out = n;
    moe_ctx_do(c, &call, fields[0]);
}
