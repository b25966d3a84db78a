/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/ctx.h"

#include <string.h>

/* A view is its parent's data: a trace names who owns them. */
static int owner_id(const moe_tensor_t *t)
{
    while (t->parent != NULL) {
        t = t->parent;
    }
    return t->id;
}

static void add_tensor(const moe_tensor_t *t, int *list, int *n)
{
    if (t != NULL && *n < MOE_TRACE_TENSORS) {
        list[(*n)++] = owner_id(t);
    }
}

/* A local operation reads and writes scales with their codes; a collective
 * moves the one tensor that it is given. */
static void add_tensors(const moe_call_t *call, moe_trace_record_t *r)
{
    bool with_scales = moe_op_plane(call->op) == MOE_PLANE_LOCAL;

    for (int i = 0; i < call->n_in; i++) {
        add_tensor(call->in[i], r->read, &r->n_read);
        add_tensor(with_scales ? call->in[i]->scale : NULL, r->read,
                   &r->n_read);
    }
    for (int i = 0; i < call->n_out; i++) {
        add_tensor(call->out[i], r->written, &r->n_written);
        add_tensor(with_scales ? call->out[i]->scale : NULL, r->written,
                   &r->n_written);
    }
}

/* Rows of fp32 sums that are weighed where they are made (moe_chain_take())
 * are written in the format that the layer has there. */
static int64_t tensor_bytes(const moe_ctx_t *c, const moe_tensor_t *t)
{
    const int at = MOE_ROLE_gemm2_out;
    const moe_storage_t *layers = &c->run->layer->chain.at[at];
    const bool weighed = (int)t->role == at && !t->is_scale &&
                         !moe_storage_equal(&c->run->use->chain.at[at], layers);
    const int64_t bytes =
        weighed
            ? t->valid_rows * moe_format_row_bytes(layers->format, t->dim[1])
            : moe_tensor_row_bytes(t, t->valid_rows);

    return t->scale == NULL ? bytes : bytes + tensor_bytes(c, t->scale);
}

/* Bytes of the weights that a matmul reads: of the experts it hits. */
static int64_t weight_bytes(const moe_ctx_t *c, const moe_call_t *call)
{
    const moe_model_t *model = c->run->layer->model;
    const moe_tensor_t *index = call->in[1];
    int64_t hit = 0;

    if (call->op == MOE_OP_logits && call->in[0]->valid_rows > 0) {
        return moe_model_choices(model) *
               moe_format_row_bytes(MOE_FORMAT_bf16, model->hidden);
    }
    if (call->op != MOE_OP_grouped_matmul) {
        return 0;
    }
    for (int64_t e = 0; e < index->n_experts; e++) {
        hit += index->rows_per_expert[e] > 0;
    }
    return hit * call->out[0]->dim[1] *
           moe_format_row_bytes(c->run->use->chain.weights,
                                call->in[0]->dim[1]);
}

/* Of two that are multiplied: a machine has rates of formats alike. */
static moe_format_t wider(moe_format_t rows, moe_format_t weights)
{
    return moe_dtype_bits(moe_format_info(weights)->code) >
                   moe_dtype_bits(moe_format_info(rows)->code)
               ? weights
               : rows;
}

/* Rows that an operation computes: padding where experts have it. */
static int64_t rows_of(const moe_call_t *call)
{
    const moe_tensor_t *index = call->n_in > 1 ? call->in[1] : NULL;

    return index != NULL && (index->block > 1 || index->bin > 0)
               ? index->dim[0]
               : call->out[0]->valid_rows;
}

static double flops_of(const moe_call_t *call)
{
    const moe_tensor_t *in = call->in[0];
    const moe_tensor_t *out = call->out[0];
    double elements = (double)rows_of(call) * (double)out->dim[1];

    switch (call->op) {
    case MOE_OP_logits:
    case MOE_OP_grouped_matmul:
        return 2.0 * elements * (double)in->dim[1];
    case MOE_OP_weighted_sum:
        return 2.0 * (double)in->valid_rows * (double)in->dim[1];
    case MOE_OP_activation:
    case MOE_OP_quantize:
    case MOE_OP_dequantize:
    case MOE_OP_convert:
    case MOE_OP_topk:
    case MOE_OP_gate:
    case MOE_OP_weigh_rows:
        return elements;
    default:
        return 0.0;
    }
}

/* What an operation reads and writes; a partial write counts its rows. */
static void local_bytes(const moe_ctx_t *c, const moe_call_t *call,
                        moe_trace_record_t *r)
{
    bool part = call->op == MOE_OP_fill || call->op == MOE_OP_copy_rows;

    for (int i = 0; i < call->n_in; i++) {
        r->read_bytes += part ? moe_tensor_row_bytes(call->in[i], call->n_rows)
                              : tensor_bytes(c, call->in[i]);
    }
    for (int i = 0; i < call->n_out; i++) {
        r->write_bytes += part
                              ? moe_tensor_row_bytes(call->out[i], call->n_rows)
                              : tensor_bytes(c, call->out[i]);
    }
    r->read_bytes += weight_bytes(c, call);
    r->flops = flops_of(call);
}

static int64_t payload_rows(const moe_call_t *call)
{
    switch (call->op) {
    case MOE_OP_allgather:
    case MOE_OP_allgatherv:
        return call->send_rows[call->me];
    case MOE_OP_broadcast:
        return call->me == call->root ? call->send_rows[call->me] : 0;
    case MOE_OP_allreduce:
        return call->send_rows[call->me];
    default:
        return call->send_sum;
    }
}

static void collective_bytes(const moe_call_t *call, moe_trace_record_t *r)
{
    const moe_tensor_t *in = call->in[0];
    /* alone in its group a rank sends nothing */
    int64_t rows = call->n_ranks > 1 ? payload_rows(call) : 0;

    r->call = call->call;
    r->transfer.n = call->n_ranks;
    r->transfer.me = call->me;
    r->transfer.ranks = call->ranks;
    r->transfer.send_rows = call->send_rows;
    r->transfer.recv_rows = call->recv_rows;
    r->transfer.row_bytes =
        call->record > 0 ? call->record : moe_tensor_row_bytes(in, 1);
    r->transfer.element_bytes = moe_dtype_bytes(in->dtype, 1);
    r->transfer.root = call->root;
    r->transfer.summed = true;
    r->transfer.send_sum = call->send_sum;
    r->transfer.recv_sum = call->recv_sum;
    r->payload = rows * r->transfer.row_bytes;
    r->carried =
        in->carried_exact ? rows * in->dim[1] * MOE_CARRIED_BYTES : r->payload;
}

/* An index over the rank's own experts. */
static bool counts_experts(const moe_tensor_t *t)
{
    return t->rows_per_expert != NULL &&
           (t->index == MOE_INDEX_experts || t->index == MOE_INDEX_chunks);
}

static void fill_record(moe_ctx_t *c, const moe_call_t *call,
                        const moe_tensor_t *main, moe_trace_record_t *r)
{
    r->id = ++c->n_records;
    r->rank = c->run->rank;
    r->stage = call->stage;
    r->op = call->op;
    r->bracket = c->bracket;
    r->bracket_fused = c->bracket_fused;
    r->bracket_name = c->bracket_name;
    r->group = call->group;
    add_tensors(call, r);
    r->role = main->role;
    r->format = main->storage.format;
    r->dtype = main->dtype;
    r->rows = main->valid_rows;
    r->cols = main->dim[1];
    if (moe_op_plane(call->op) == MOE_PLANE_COLLECTIVE) {
        collective_bytes(call, r);
    } else {
        local_bytes(c, call, r);
    }
    if (call->n_in > 1 && counts_experts(call->in[1])) {
        r->n_experts = call->in[1]->n_experts;
        r->rows_per_expert = call->in[1]->rows_per_expert;
    }
    r->operand = call->n_in > 0 ? call->in[0]->storage.format : r->format;
    if (call->op == MOE_OP_grouped_matmul) {
        r->operand = wider(r->operand, c->run->use->chain.weights);
    }
}

static void note_workspace(moe_ctx_t *c, const moe_call_t *call)
{
    const moe_trace_sink_t *sink = c->run->sink;
    moe_backend_t *be = c->run->backend;

    if (sink != NULL && sink->memory != NULL) {
        sink->memory(sink->self, c->run->rank,
                     c->bytes + be->workspace_bytes(c->run->layer, call));
    }
}

void moe_ctx_do(moe_ctx_t *c, moe_call_t *call, const moe_tensor_t *main)
{
    const moe_trace_sink_t *sink = c->run->sink;
    moe_backend_t *be = c->run->backend;
    moe_trace_record_t record;

    if (c->status != MOE_OK || c->skip) {
        return;
    }
    memset(&record, 0, sizeof(record));
    call->stage = c->stage;
    call->bracket = c->bracket;
    if (moe_op_plane(call->op) == MOE_PLANE_COLLECTIVE) {
        call->call = ++c->n_calls;
    }
    fill_record(c, call, main, &record);
    note_workspace(c, call);
    moe_ctx_fail(c, be->run(be, call, &record));
    if (c->status == MOE_OK && sink != NULL && sink->record != NULL) {
        moe_ctx_fail(c, sink->record(sink->self, &record));
    }
}
