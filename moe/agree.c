/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/ctx.h"

#include <string.h>

/* Bytes that the modelled system sends to agree: one i64 a number. */
static int64_t modelled_bytes(moe_agree_kind_t kind, int n, int n_ranks)
{
    int64_t bytes = (int64_t)n * (int64_t)sizeof(int64_t);

    switch (kind) {
    case MOE_AGREE_allgather:
    case MOE_AGREE_allreduce_max:
        return bytes;
    case MOE_AGREE_alltoall:
        return bytes * n_ranks;
    case MOE_AGREE_host:
    case MOE_AGREE_device:
    case MOE_AGREE_COUNT:
    default:
        return 0;
    }
}

static void record_agree(moe_ctx_t *c, const moe_agree_t *agree)
{
    const moe_trace_sink_t *sink = c->run->sink;
    moe_trace_record_t record = {0};

    record.id = ++c->n_records;
    record.rank = c->run->rank;
    record.stage = MOE_STAGE_prepare;
    record.op = MOE_OP_agree;
    record.group = agree->group;
    record.dtype = MOE_DTYPE_i64;
    record.rows = 1;
    record.cols = agree->n;
    record.payload = modelled_bytes(agree->kind, agree->n, agree->n_ranks);
    record.agree_kind = agree->kind;
    record.transfer.n = agree->n_ranks;
    record.transfer.me = agree->me;
    record.transfer.ranks = agree->ranks;
    record.transfer.root = -1;
    if (sink != NULL && sink->record != NULL) {
        moe_ctx_fail(c, sink->record(sink->self, &record));
    }
}

static const int64_t *agree_on(moe_ctx_t *c, moe_agree_t *agree)
{
    moe_backend_t *be = c->run->backend;
    int64_t *out;

    agree->n_ranks = moe_ctx_group_size(c, agree->group);
    out = moe_ctx_array(c, moe_agree_size(agree));
    if (out == NULL) {
        return NULL;
    }
    agree->ranks = moe_ctx_ranks(c, agree->group);
    agree->me = moe_ctx_group_index(c, agree->group);
    agree->number = ++c->n_agreements;
    agree->layer = c->run->layer;
    agree->options = c->run->use->options;
    if (c->status == MOE_OK) {
        moe_ctx_fail(c, be->agree(be, agree, out));
    }
    if (c->status == MOE_OK) {
        record_agree(c, agree);
    }
    return c->status == MOE_OK ? out : NULL;
}

const int64_t *moe_agree(moe_ctx_t *c, moe_group_t group, moe_agree_kind_t kind,
                         int n, moe_contribute_func_t *contribute)
{
    moe_agree_t agree = {
        .group = group, .kind = kind, .n = n, .contribute = contribute};

    return agree_on(c, &agree);
}

const int64_t *moe_agree_sum(moe_ctx_t *c, moe_group_t group,
                             moe_agree_kind_t kind, int n,
                             moe_contribute_func_t *contribute)
{
    moe_agree_t agree = {.group = group,
                         .kind = kind,
                         .n = n,
                         .contribute = contribute,
                         .sum = true};

    return agree_on(c, &agree);
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
    return moe_agree(c, group, MOE_AGREE_host, 1, own_tokens);
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

const int64_t *moe_agree_expert_rows(moe_ctx_t *c, moe_group_t group,
                                     int64_t n_pad)
{
    int64_t experts = moe_ctx_model(c)->experts;
    moe_range_t local = moe_ctx_experts(c);
    int64_t *all = moe_ctx_array(c, experts);
    const int64_t *sums = moe_agree_sum(c, group, MOE_AGREE_device,
                                        (int)experts, own_expert_rows);

    if (all == NULL || sums == NULL) {
        return NULL;
    }
    memcpy(all, sums, (size_t)experts * sizeof(*all));
    moe_routing_count_pad(c->run->routing, n_pad, all);
    return all + local.begin;
}
