/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of one rank: each is one function of ref/. */
#include "config.h"

#include "ref/mpi/carried.h"
#include "ref/mpi/experts.h"

#include "ref/activation.h"
#include "ref/logits.h"
#include "ref/quantize.h"
#include "ref/swizzle.h"

#include <stdlib.h>
#include <string.h>

static moe_status_t load_hidden(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_rows_t out = moe_ref_rows(call->out[0]);
    moe_rows_t in = {.storage = {.format = MOE_FORMAT_bf16},
                     .rows = out.rows,
                     .cols = out.cols,
                     .codes = moe_mpi_bytes(be->in.hidden)};

    if (out.storage.format == MOE_FORMAT_bf16) {
        if (out.rows > 0) {
            memcpy(out.codes, in.codes,
                   (size_t)moe_tensor_row_bytes(call->out[0], out.rows));
        }
        return MOE_OK;
    }
    return moe_ref_convert(&in, &out);
}

static moe_status_t logits(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_rows_t x = moe_ref_rows(call->in[0]);

    return moe_ref_logits(&x, be->in.router,
                          moe_model_choices(be->in.layer->model),
                          call->out[0]->data, &be->stats);
}

static moe_status_t weigh_rows(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_rows_t in = moe_ref_rows(call->in[0]);
    moe_rows_t out = moe_ref_rows(call->out[0]);

    if (call->in[1]->role == MOE_ROLE_index) {
        return moe_ref_weigh_grouped(call);
    }
    moe_rows_weigh(&in, call->in[1]->data,
                   call->out[0]->role == MOE_ROLE_act_out &&
                       be->use->chain.numerics == MOE_NUMERICS_faithful,
                   &out);
    return MOE_OK;
}

static moe_status_t quantize(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_rows_t in = moe_ref_rows(call->in[0]);
    moe_rows_t out = moe_ref_rows(call->out[0]);

    (void)be;
    return moe_ref_quantize(&in, &out);
}

static moe_status_t dequantize(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_rows_t in = moe_ref_rows(call->in[0]);
    moe_rows_t out = moe_ref_rows(call->out[0]);

    (void)be;
    return moe_ref_dequantize(&in, &out);
}

static moe_status_t convert(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_rows_t in = moe_ref_rows(call->in[0]);
    moe_rows_t out = moe_ref_rows(call->out[0]);

    if (call->out[0]->carried_exact) {
        return moe_ref_carry(call->in[0], call->out[0]);
    }
    if (call->in[0]->carried_exact) {
        return moe_ref_round_local(be, call->in[0], call->out[0]);
    }
    return moe_ref_convert(&in, &out);
}

static moe_status_t swizzle(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *in = call->in[0];
    moe_tensor_t *out = call->out[0];

    (void)be;
    if (moe_dtype_bits(in->dtype) != 8) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "tiled scales of type %s",
                        moe_dtype_name(in->dtype));
    }
    moe_scales_swizzle(out->scale_layout, in->valid_rows, in->dim[1], in->data,
                       out->data);
    return MOE_OK;
}

/* Where a row of a tensor begins. */
static char *row_at(const moe_tensor_t *t, int64_t row)
{
    return (char *)t->data + moe_tensor_row_bytes(t, row);
}

static bool has_rows(const moe_tensor_t *t, int64_t row, int64_t n)
{
    return row >= 0 && n >= 0 && row + n <= t->valid_rows;
}

static moe_status_t fill(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_tensor_t *out = call->out[0];

    (void)be;
    if (!has_rows(out, call->dst_row, call->n_rows)) {
        return moe_fail(MOE_ERR_INTERNAL, "fill: rows outside of the tensor");
    }
    memset(row_at(out, call->dst_row), 0,
           (size_t)moe_tensor_row_bytes(out, call->n_rows));
    if (out->scale != NULL) {
        memset(row_at(out->scale, call->dst_row), 0,
               (size_t)moe_tensor_row_bytes(out->scale, call->n_rows));
    }
    return MOE_OK;
}

static moe_status_t copy_rows(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *in = call->in[0];
    moe_tensor_t *out = call->out[0];

    (void)be;
    if (!has_rows(out, call->dst_row, call->n_rows) ||
        !has_rows(in, call->src_row, call->n_rows)) {
        return moe_fail(MOE_ERR_INTERNAL, "copy: rows outside of the tensor");
    }
    memmove(row_at(out, call->dst_row), row_at(in, call->src_row),
            (size_t)moe_tensor_row_bytes(out, call->n_rows));
    if (out->scale != NULL && in->scale != NULL) {
        memmove(row_at(out->scale, call->dst_row),
                row_at(in->scale, call->src_row),
                (size_t)moe_tensor_row_bytes(out->scale, call->n_rows));
    }
    return MOE_OK;
}

static moe_status_t gather_rows(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_ref_index_t *index = moe_ref_index_of(call->in[1]);
    moe_rows_t in = moe_ref_rows(call->in[0]);
    moe_rows_t out = moe_ref_rows(call->out[0]);

    (void)be;
    if (index != NULL) {
        moe_ref_gather_rows(&in, index, &out);
    }
    return MOE_OK;
}

static moe_status_t activation(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_model_t *m = be->in.layer->model;
    const moe_ref_gate_t gate = {m->activation, m->gate_up};
    moe_rows_t in = moe_ref_rows(call->in[0]);
    moe_rows_t out = moe_ref_rows(call->out[0]);

    return call->n_in > 2 ? moe_ref_activate_pair(gate, call, &be->stats)
                          : moe_ref_activate(gate, &in, &out, &be->stats);
}

static moe_status_t weighted_sum(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_ref_terms_t terms = {.rows = moe_ref_rows(call->in[0]),
                             .index = moe_ref_index_of(call->in[1]),
                             .weights =
                                 call->n_in > 2 ? call->in[2]->data : NULL};
    moe_rows_t out = moe_ref_rows(call->out[0]);

    (void)be;
    if (terms.index == NULL) {
        return MOE_OK;
    }
    if (moe_ref_is_kept(call->out[0])) {
        return moe_ref_sum_carried(call->in[0], terms.index, terms.weights,
                                   call->out[0]);
    }
    /* another unrounded sum is made when it is sent or rounded */
    if (call->out[0]->carried_exact) {
        return MOE_OK;
    }
    return moe_ref_weighted_sum(&terms, call->order, &out);
}

typedef moe_status_t local_func_t(moe_ref_backend_t *be,
                                  const moe_call_t *call);

static local_func_t *const local[MOE_OP_COUNT] = {
    [MOE_OP_load_hidden] = load_hidden,
    [MOE_OP_logits] = logits,
    [MOE_OP_topk] = moe_ref_topk,
    [MOE_OP_map_choices] = moe_ref_map_choices,
    [MOE_OP_list_choices] = moe_ref_list_choices,
    [MOE_OP_gate] = moe_ref_gate_rows,
    [MOE_OP_weigh_rows] = weigh_rows,
    [MOE_OP_quantize] = quantize,
    [MOE_OP_dequantize] = dequantize,
    [MOE_OP_convert] = convert,
    [MOE_OP_swizzle] = swizzle,
    [MOE_OP_fill] = fill,
    [MOE_OP_copy_rows] = copy_rows,
    [MOE_OP_group_rows] = moe_ref_group,
    [MOE_OP_sort_rows] = moe_ref_sort,
    [MOE_OP_sort_chunks] = moe_ref_sort_received,
    [MOE_OP_origins] = moe_ref_origins,
    [MOE_OP_pair_weights] = moe_ref_pair_weights,
    [MOE_OP_gather_rows] = gather_rows,
    [MOE_OP_scatter_rows] = moe_ref_scatter,
    [MOE_OP_pack_rows] = moe_ref_pack,
    [MOE_OP_unpack_rows] = moe_ref_unpack,
    [MOE_OP_grouped_matmul] = moe_ref_matmul,
    [MOE_OP_activation] = activation,
    [MOE_OP_weighted_sum] = weighted_sum,
};

moe_status_t moe_ref_local(moe_ref_backend_t *be, const moe_call_t *call)
{
    moe_status_t status;

    if (local[call->op] == NULL) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "operation %s",
                        moe_op_name(call->op));
    }
    status = local[call->op](be, call);
    if (status == MOE_OK && be->in.n_injections > 0) {
        status = moe_ref_inject(be, call);
    }
    if (status != MOE_OK) {
        /* a message of its own comes first, if there is one */
        return moe_fail(status, "%s in stage %s of %s: %s",
                        moe_op_name(call->op), moe_stage_name(be->stage),
                        be->use->label, moe_status_text(status));
    }
    return MOE_OK;
}
