/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/ctx.h"

#include <string.h>

/* An agreement and the front-end's record of it. */
typedef struct {
    moe_agree_t agree;
    moe_trace_record_t record;
} asked_t;

/* Rows are numbers: those of each member of a gather, those to each of an
 * exchange, all of an all-reduce. A rank alone in its group sends nothing. */
static void set_traffic(moe_ctx_t *c, asked_t *a, moe_dtype_t dtype)
{
    const moe_agree_t *agree = &a->agree;
    moe_trace_record_t *r = &a->record;
    int64_t to_each =
        agree->want == MOE_WANT_told ? agree->n / agree->n_ranks : agree->n;
    int64_t *rows = moe_ctx_array(c, agree->n_ranks);

    for (int i = 0; rows != NULL && i < agree->n_ranks; i++) {
        rows[i] = to_each;
    }
    r->call = ++c->n_calls;
    r->transfer.send_rows = rows;
    r->transfer.recv_rows = rows;
    r->transfer.row_bytes = moe_dtype_bytes(dtype, 1);
    r->transfer.element_bytes = r->transfer.row_bytes;
    r->payload = agree->n_ranks > 1 ? agree->n * r->transfer.row_bytes : 0;
    r->carried = r->payload;
}

static void set_record(moe_ctx_t *c, asked_t *a, moe_dtype_t dtype)
{
    const moe_agree_t *agree = &a->agree;
    moe_trace_record_t *r = &a->record;

    r->id = ++c->n_records;
    r->rank = c->run->rank;
    r->stage = MOE_STAGE_prepare;
    r->op = MOE_OP_agree;
    r->group = agree->group;
    r->dtype = dtype;
    r->rows = 1;
    r->cols = agree->n;
    r->agree_kind = agree->kind;
    r->transfer.n = agree->n_ranks;
    r->transfer.me = agree->me;
    r->transfer.ranks = agree->ranks;
    r->transfer.root = -1;
    if (moe_agree_op(agree->kind) != MOE_OP_agree &&
        !moe_ctx_is_alone(c, agree->group)) {
        set_traffic(c, a, dtype);
    }
}

/* The backend's own numbers, or a copy. */
static const int64_t *ask(moe_ctx_t *c, asked_t *a)
{
    const moe_agree_t *agree = &a->agree;
    moe_backend_t *be = c->run->backend;
    const int64_t *numbers = NULL;
    int64_t *copy;

    if (be->agreed == NULL || c->run->shared == NULL ||
        agree->want == MOE_WANT_told) {
        copy = moe_ctx_array(c, moe_agree_size(agree));
        if (copy != NULL) {
            moe_ctx_fail(c, be->agree(be, agree, copy, &a->record));
        }
        return copy;
    }
    moe_ctx_fail(c, be->agreed(be, agree, &numbers));
    if (numbers != NULL && moe_agree_size(agree) == agree->n_ranks) {
        moe_shared_learn(c->run->shared, numbers, agree->n_ranks);
    }
    return numbers;
}

static const int64_t *agree_on(moe_ctx_t *c, const moe_agree_t *what,
                               moe_dtype_t dtype)
{
    const moe_trace_sink_t *sink = c->run->sink;
    asked_t a = {.agree = *what};
    const int64_t *numbers = NULL;

    a.agree.n_ranks = moe_ctx_group_size(c, a.agree.group);
    a.agree.n *= a.agree.want == MOE_WANT_told ? a.agree.n_ranks : 1;
    a.agree.ranks = moe_ctx_ranks(c, a.agree.group);
    a.agree.me = moe_ctx_group_index(c, a.agree.group);
    a.agree.number = ++c->n_agreements;
    a.agree.layer = c->run->layer;
    a.agree.options = c->run->use->options;
    set_record(c, &a, dtype);
    if (c->status == MOE_OK) {
        numbers = ask(c, &a);
    }
    if (c->status == MOE_OK && sink != NULL && sink->record != NULL) {
        moe_ctx_fail(c, sink->record(sink->self, &a.record));
    }
    return c->status == MOE_OK ? numbers : NULL;
}

const int64_t *moe_agree(moe_ctx_t *c, moe_group_t group, moe_agree_kind_t kind,
                         moe_dtype_t dtype, int n,
                         moe_contribute_func_t *contribute)
{
    moe_agree_t agree = {
        .group = group, .kind = kind, .n = n, .contribute = contribute};

    return agree_on(c, &agree, dtype);
}

const int64_t *moe_agree_sum(moe_ctx_t *c, moe_group_t group,
                             moe_agree_kind_t kind, int n,
                             moe_contribute_func_t *contribute)
{
    moe_agree_t agree = {.group = group,
                         .kind = kind,
                         .want = MOE_WANT_sum,
                         .n = n,
                         .contribute = contribute};

    return agree_on(c, &agree, MOE_DTYPE_i64);
}

const int64_t *moe_agree_max(moe_ctx_t *c, moe_group_t group, moe_dtype_t dtype,
                             int n, moe_contribute_func_t *contribute)
{
    moe_agree_t agree = {.group = group,
                         .kind = MOE_AGREE_allreduce_max,
                         .want = MOE_WANT_max,
                         .n = n,
                         .contribute = contribute};

    return agree_on(c, &agree, dtype);
}

static const int64_t *told(moe_ctx_t *c, moe_group_t group,
                           moe_agree_kind_t kind, moe_dtype_t dtype, int each,
                           moe_contribute_func_t *contribute)
{
    moe_agree_t agree = {.group = group,
                         .kind = kind,
                         .want = MOE_WANT_told,
                         .n = each,
                         .contribute = contribute};

    return agree_on(c, &agree, dtype);
}

const int64_t *moe_agree_told(moe_ctx_t *c, moe_group_t group,
                              moe_dtype_t dtype, int each,
                              moe_contribute_func_t *contribute)
{
    return told(c, group, MOE_AGREE_alltoall, dtype, each, contribute);
}

const int64_t *moe_agree_flags(moe_ctx_t *c, moe_group_t group,
                               moe_dtype_t dtype, int each,
                               moe_contribute_func_t *contribute)
{
    return told(c, group, MOE_AGREE_flags, dtype, each, contribute);
}

static void own_tokens(const moe_layer_t *layer, const int64_t *options,
                       int rank, const moe_routing_t *routing, int64_t *out)
{
    (void)options;
    (void)routing;
    *out = layer->tokens[moe_layout_dp_rank(&layer->layout, rank)];
}

const int64_t *moe_agree_tokens(moe_ctx_t *c, moe_group_t group)
{
    return moe_agree(c, group, MOE_AGREE_host, MOE_DTYPE_i64, 1, own_tokens);
}

/* The tp ranks of a dp rank hold the same tokens: the first one counts. */
static void own_expert_rows(const moe_layer_t *layer, const int64_t *options,
                            int rank, const moe_routing_t *routing,
                            int64_t *out)
{
    int dp_rank = moe_layout_dp_rank(&layer->layout, rank);
    moe_range_t own = moe_layer_tokens(layer, dp_rank);

    (void)options;
    memset(out, 0, (size_t)layer->model->experts * sizeof(*out));
    if (moe_layout_group_index(&layer->layout, MOE_GROUP_tp, rank) == 0) {
        moe_routing_count(routing, own.begin, own.end, out);
    }
}

const int64_t *moe_own_counts(moe_ctx_t *c, int64_t n,
                              moe_contribute_func_t *contribute)
{
    int64_t *out = moe_ctx_array(c, n);

    if (out != NULL) {
        contribute(c->run->layer, c->run->use->options, c->run->rank,
                   c->run->routing, out);
    }
    return out;
}

const int64_t *moe_agree_expert_counts(moe_ctx_t *c, moe_group_t group,
                                       moe_dtype_t dtype)
{
    return moe_agree(c, group, MOE_AGREE_allgather, dtype,
                     (int)moe_ctx_model(c)->experts, own_expert_rows);
}

const int64_t *moe_agree_expert_rows(moe_ctx_t *c, moe_group_t group,
                                     moe_mapping_t mapping, int64_t n_pad)
{
    int64_t experts = moe_ctx_model(c)->experts;
    moe_range_t local = moe_ctx_experts(c);
    int64_t n = local.end - local.begin;
    int64_t *rows = moe_ctx_array(c, n);
    const int64_t *sums = moe_agree_sum(c, group, MOE_AGREE_device,
                                        (int)experts, own_expert_rows);
    const moe_routing_t *routing = c->run->routing;

    if (rows == NULL || sums == NULL) {
        return NULL;
    }
    moe_mapping_rows(mapping, local, experts, sums, rows);
    for (int i = 0; i < routing->topk && n_pad > 0; i++) {
        const int64_t at =
            moe_mapping_local(mapping, local, routing->pad_ids[i]);

        if (at >= 0) {
            rows[at] += n_pad;
        }
    }
    return rows;
}
