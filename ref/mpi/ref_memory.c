/* SPDX-License-Identifier: Apache-2.0 */
/* What tensors and operations take, and where tensors have it. */
#include "config.h"

#include "ref/mpi/carried.h"

#include "base/checked.h"
#include "ref/logits.h"
#include "ref/matmul.h"
#include "ref/swizzle.h"

#include <stdlib.h>
#include <string.h>

static bool is_view(const moe_tensor_t *t)
{
    return t->parent != NULL;
}

static bool is_index(const moe_tensor_t *t)
{
    return t->role == MOE_ROLE_index;
}

int64_t moe_ref_row_bytes(const moe_tensor_t *t, int64_t n)
{
    return t->carried_exact ? n * t->dim[1] * (int64_t)sizeof(moe_sum_t)
                            : moe_tensor_row_bytes(t, n);
}

bool moe_ref_is_kept(const moe_tensor_t *tensor)
{
    return tensor->kept && !is_view(tensor);
}

/* Bytes of the valid rows as they lie in memory. */
static int64_t data_bytes(const moe_tensor_t *t)
{
    if (t->is_scale && t->scale_layout != MOE_SCALES_linear) {
        return moe_scales_bytes(t->scale_layout, t->valid_rows, t->dim[1]) *
               moe_dtype_bytes(t->dtype, 1);
    }
    return moe_ref_row_bytes(t, t->valid_rows);
}

int64_t moe_ref_storage_bytes(const moe_tensor_t *tensor)
{
    const moe_tensor_t *ids = tensor->source[0];

    if (is_view(tensor) || moe_tensor_is_lazy(tensor)) {
        return 0;
    }
    if (is_index(tensor)) {
        return ids == NULL
                   ? moe_ref_index_bytes(tensor->valid_rows, 1,
                                         tensor->n_experts, tensor->valid_rows)
                   : moe_ref_index_bytes(ids->valid_rows, (int)ids->dim[1],
                                         tensor->n_experts, tensor->valid_rows);
    }
    return data_bytes(tensor);
}

static moe_status_t point_into_parent(moe_tensor_t *t)
{
    int64_t offset = moe_ref_row_bytes(t, t->row_offset);

    if (t->is_scale && t->scale_layout != MOE_SCALES_linear &&
        t->row_offset != 0) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "a slice of tiled scales");
    }
    /* rows of kept ones are asked for by moe_ref_sum_of() */
    if (t->parent->data != NULL && !t->kept) {
        t->data = (char *)t->parent->data + offset;
    }
    return MOE_OK;
}

/* No bytes are no allocation: of a rank without tokens it is a later one. */
static bool is_refused(moe_ref_backend_t *be, int64_t bytes)
{
    moe_injection_t *oom =
        moe_injection_due(be->in.injections, be->in.n_injections,
                          MOE_INJECTION_oom, moe_world_rank(be->in.world));

    if (bytes == 0 || oom == NULL || (oom->stages >> be->stage & 1) == 0) {
        return false;
    }
    oom->fired = true;
    return true;
}

/* What every byte of a poisoned tensor is: NaN in bf16, fp16, fp32, E4M3, E5M2
 * and E8M0, expert -1; of E2M1 and int8, which have no NaN, the scale is. */
enum {
    POISON = 0xff
};

static void *new_rows(int64_t bytes, bool poison)
{
    char *data = calloc((size_t)bytes + 64, 1);

    if (data != NULL && poison) {
        memset(data, POISON, (size_t)bytes);
    }
    return data;
}

/* An index takes its memory when it is made. */
static void *new_data(const moe_tensor_t *t, int64_t bytes, bool poison)
{
    if (moe_ref_is_kept(t)) {
        return moe_ref_carried_create(t->valid_rows, t->dim[1]);
    }
    return is_index(t) ? calloc(1, sizeof(moe_ref_index_t))
                       : new_rows(bytes, poison);
}

moe_status_t moe_ref_alloc(moe_backend_t *self, moe_tensor_t *tensor)
{
    moe_ref_backend_t *be = (moe_ref_backend_t *)self;
    int64_t bytes = moe_ref_storage_bytes(tensor);

    tensor->data = NULL;
    if (is_view(tensor)) {
        return point_into_parent(tensor);
    }
    if (moe_tensor_is_lazy(tensor)) {
        return MOE_OK;
    }
    if (!is_refused(be, bytes)) {
        tensor->data = new_data(tensor, bytes, be->layer.poison);
    }
    if (tensor->data == NULL) {
        return moe_fail(MOE_ERR_NOMEM,
                        "out of memory in stage %s of %s: %lld bytes for %s",
                        moe_stage_name(be->stage), be->use->label,
                        (long long)bytes, moe_role_name(tensor->role));
    }
    return MOE_OK;
}

void moe_ref_free(moe_backend_t *self, moe_tensor_t *tensor)
{
    (void)self;
    if (tensor->data == NULL || is_view(tensor)) {
        return;
    }
    if (moe_ref_is_kept(tensor)) {
        moe_ref_carried_free(tensor->data);
        tensor->data = NULL;
        return;
    }
    if (is_index(tensor)) {
        moe_ref_index_fini(tensor->data);
    }
    free(tensor->data);
    tensor->data = NULL;
}

/* What is held unrounded and has data is in format exact. */
static moe_storage_t held(const moe_tensor_t *t)
{
    const moe_storage_t exact = {.format = MOE_FORMAT_exact};

    return t->carried_exact ? exact : t->storage;
}

moe_rows_t moe_ref_rows(const moe_tensor_t *tensor)
{
    moe_rows_t rows = {.storage = held(tensor),
                       .rows = tensor->valid_rows,
                       .cols = tensor->dim[1],
                       .codes = tensor->data};

    if (tensor->scale != NULL) {
        rows.scales = tensor->scale->data;
        rows.layout = tensor->scale->scale_layout;
    }
    return rows;
}

const moe_ref_index_t *moe_ref_index_of(const moe_tensor_t *tensor)
{
    const moe_ref_index_t *index = tensor->data;

    return index == NULL || index->place == NULL ? NULL : index;
}

const moe_tensor_t *moe_ref_sum_of(const moe_tensor_t *tensor, int64_t *row_p)
{
    *row_p = 0;
    while (is_view(tensor)) {
        *row_p += tensor->row_offset;
        tensor = tensor->parent;
    }
    return tensor;
}

bool moe_ref_terms_of(const moe_tensor_t *sum, moe_ref_terms_t *terms_p)
{
    terms_p->rows = moe_ref_rows(sum->source[0]);
    terms_p->index = moe_ref_index_of(sum->source[1]);
    terms_p->weights = sum->source[2] == NULL ? NULL : sum->source[2]->data;
    return terms_p->index != NULL;
}

void moe_ref_sums(const moe_tensor_t *tensor, int64_t row, int64_t n,
                  moe_sum_t *out)
{
    int64_t first;
    const moe_tensor_t *sum = moe_ref_sum_of(tensor, &first);
    moe_ref_terms_t terms;

    if (moe_ref_is_kept(sum)) {
        memcpy(out, moe_ref_carried_sums(sum->data, first + row),
               (size_t)(n * tensor->dim[1]) * sizeof(*out));
    } else if (!moe_tensor_is_lazy(sum)) {
        moe_rows_t rows = moe_ref_rows(sum);

        memcpy(out, moe_rows_sums(&rows, first + row, 0),
               (size_t)(n * tensor->dim[1]) * sizeof(*out));
    } else if (moe_ref_terms_of(sum, &terms)) {
        moe_ref_sum_rows(&terms, first + row, n, out);
    } else {
        memset(out, 0, (size_t)(n * tensor->dim[1]) * sizeof(*out));
    }
}

/* --- workspace ------------------------------------------------------------ */

static int64_t largest(const int64_t *rows, int64_t n)
{
    int64_t most = 0;

    for (int64_t i = 0; i < n; i++) {
        most = rows[i] > most ? rows[i] : most;
    }
    return most;
}

/* Buffers of ref_reduce.c and ref_exact.c. */
static int64_t reduce_bytes(const moe_layer_t *layer, const moe_call_t *call)
{
    const moe_tensor_t *in = call->in[0];
    int64_t row = in->carried_exact ? moe_ref_row_bytes(in, 1)
                                    : moe_tensor_row_bytes(in, 1);
    bool all = call->op == MOE_OP_allreduce;
    int64_t part = moe_div_up(in->dim[0], call->n_ranks);
    moe_ref_cut_t cut = {0};

    if (call->out[0]->carried_exact) {
        return moe_ref_reduce_carried_bytes(call);
    }
    if (all && !in->carried_exact &&
        layer->chain.numerics == MOE_NUMERICS_faithful) {
        cut = moe_ref_cut(&in->dim[0], 1, 0, row * call->n_ranks);
        return call->n_ranks * cut.recv_rows * row;
    }
    if (all) {
        cut = moe_ref_cut(&part, 1, 0, row * call->n_ranks);
        cut.send_rows = call->n_ranks * cut.recv_rows;
    } else {
        cut = moe_ref_cut(call->send_rows, call->n_ranks, call->me, row);
    }
    return row * (call->n_ranks * cut.recv_rows +
                  (in->carried_exact ? cut.send_rows : 0));
}

int64_t moe_ref_workspace_bytes(const moe_layer_t *layer,
                                const moe_call_t *call)
{
    const moe_tensor_t *in = call->in[0];

    switch (call->op) {
    case MOE_OP_logits:
        return moe_ref_logits_workspace(in->valid_rows, in->dim[1],
                                        moe_model_choices(layer->model));
    case MOE_OP_gate:
        return moe_ref_gate_bytes(call);
    case MOE_OP_grouped_matmul:
        return moe_ref_matmul_workspace(
            in->storage.format, layer->chain.weights,
            largest(call->in[1]->rows_per_expert, call->in[1]->n_experts),
            in->dim[1], call->out[0]->dim[1]);
    case MOE_OP_convert:
        return in->carried_exact ? moe_ref_row_bytes(in, 1) : 0;
    case MOE_OP_alltoall:
    case MOE_OP_alltoallv:
        return in->carried_exact && !moe_ref_is_kept(in)
                   ? moe_ref_row_bytes(in, in->valid_rows)
                   : 0;
    case MOE_OP_reducescatter:
    case MOE_OP_reducescatterv:
    case MOE_OP_allreduce:
        return reduce_bytes(layer, call);
    default:
        return 0;
    }
}
