/* SPDX-License-Identifier: Apache-2.0 */
/* Front-ends of rows that travel one by one: indices, and rows by them. */
#include "moe/ctx.h"

#include "base/checked.h"

#include <stddef.h>

static moe_tensor_t *make_index(moe_ctx_t *c, moe_call_t *call,
                                moe_tensor_spec_t *spec)
{
    const int64_t block = spec->block > 1 ? spec->block : 1;
    moe_tensor_t *t;

    spec->role = MOE_ROLE_index;
    spec->storage.format = MOE_FORMAT_i32;
    spec->cols = 1;
    for (int64_t i = 0; i < spec->n_experts; i++) {
        const int64_t rows =
            spec->capacity > 0 ? spec->capacity : spec->rows_per_expert[i];

        spec->rows +=
            spec->bin > 0 ? spec->bin : moe_div_up(rows, block) * block;
        spec->valid_rows += rows;
    }
    t = moe_tensor_make(c, spec);
    call->root = -1;
    call->out[0] = t;
    call->out[1] = t == NULL ? NULL : t->list;
    call->n_out = call->out[1] == NULL ? 1 : 2;
    moe_ctx_do(c, call, t);
    return t;
}

static moe_tensor_t *sort_ids(moe_ctx_t *c, moe_tensor_t *ids,
                              moe_tensor_t *location, moe_tensor_spec_t *spec,
                              const int64_t *member)
{
    moe_call_t call = {.op = MOE_OP_sort_rows};

    spec->source[0] = ids;
    call.in[0] = ids;
    call.in[1] = location;
    call.n_in = location == NULL ? 1 : 2;
    call.parts = member;
    call.n_parts = member == NULL ? 0 : moe_ctx_model(c)->experts;
    return make_index(c, &call, spec);
}

moe_tensor_t *moe_sort_pairs_in_slots(moe_ctx_t *c, moe_tensor_t *ids,
                                      const int64_t *rows_per_expert,
                                      int64_t capacity)
{
    moe_tensor_spec_t spec = {.index = MOE_INDEX_pairs,
                              .n_experts = moe_ctx_model(c)->experts,
                              .capacity = capacity,
                              .rows_per_expert = rows_per_expert};

    return c->status == MOE_OK ? sort_ids(c, ids, NULL, &spec, NULL) : NULL;
}

moe_tensor_t *moe_sort_pairs(moe_ctx_t *c, moe_tensor_t *ids,
                             const int64_t *rows_per_expert)
{
    return moe_sort_pairs_in_slots(c, ids, rows_per_expert, 0);
}

moe_tensor_t *moe_sort_located(moe_ctx_t *c, const moe_gate_t *gate,
                               int64_t capacity)
{
    const int64_t experts = moe_ctx_model(c)->experts;
    int64_t *rows = moe_ctx_array(c, experts);
    moe_tensor_spec_t spec = {.index = MOE_INDEX_pairs,
                              .n_experts = experts,
                              .capacity = capacity,
                              .rows_per_expert = rows};

    for (int64_t e = 0; rows != NULL && e < experts; e++) {
        rows[e] = capacity;
    }
    return c->status == MOE_OK
               ? sort_ids(c, gate->ids, gate->location, &spec, NULL)
               : NULL;
}

static moe_tensor_t *sort_members(moe_ctx_t *c, moe_tensor_t *ids,
                                  moe_group_t group, moe_index_kind_t kind,
                                  const int64_t *rows_per_member)
{
    const int64_t *member = moe_ctx_members_of_experts(c, group);
    moe_tensor_spec_t spec = {.index = kind,
                              .n_experts = moe_ctx_group_size(c, group),
                              .rows_per_expert = rows_per_member};

    return c->status == MOE_OK ? sort_ids(c, ids, NULL, &spec, member) : NULL;
}

moe_tensor_t *moe_sort_members(moe_ctx_t *c, moe_tensor_t *ids,
                               moe_group_t group,
                               const int64_t *rows_per_member)
{
    return sort_members(c, ids, group, MOE_INDEX_members, rows_per_member);
}

moe_tensor_t *moe_sort_first_slots(moe_ctx_t *c, moe_tensor_t *ids,
                                   moe_group_t group,
                                   const int64_t *rows_per_member)
{
    return sort_members(c, ids, group, MOE_INDEX_first_slots, rows_per_member);
}

/* Rows of the experts' bins, 0 without: those of the fullest where nothing is
 * left out, else at most so many rows of each. */
static int64_t fit_bins(moe_ctx_t *c, int64_t *rows, int64_t n)
{
    const int64_t most =
        moe_method_bin(c->run->layer, c->run->use, c->run->rank);
    int64_t bin = most > 0 ? most : 0;

    for (int64_t i = 0; i < n && most >= 0; i++) {
        rows[i] = most > 0 && rows[i] > most ? most : rows[i];
        bin = rows[i] > bin ? rows[i] : bin;
    }
    return bin;
}

moe_tensor_t *moe_sort_chunks(moe_ctx_t *c, const int64_t *rows, int n_sources,
                              int64_t stride)
{
    moe_range_t local = moe_ctx_experts(c);
    int64_t n = local.end - local.begin;
    int64_t *sums = moe_ctx_array(c, n);
    moe_tensor_spec_t spec = {.index = MOE_INDEX_chunks,
                              .first_expert = local.begin,
                              .n_experts = n,
                              .block = moe_ctx_expert_block(c),
                              .list = moe_ctx_group_list(c),
                              .rows_per_expert = sums};
    moe_call_t call = {.op = MOE_OP_sort_chunks, .parts = rows};

    if (c->status != MOE_OK) {
        return NULL;
    }
    call.n_parts = n_sources * n;
    call.stride = stride;
    for (int64_t i = 0; i < call.n_parts; i++) {
        sums[i % n] += rows[i];
    }
    for (int64_t i = 0; i < n; i++) {
        spec.sorted += sums[i];
    }
    spec.bin = fit_bins(c, sums, n);
    call.capacity = spec.bin;
    return make_index(c, &call, &spec);
}

moe_tensor_t *moe_origins(moe_ctx_t *c, moe_tensor_t *index)
{
    moe_tensor_spec_t spec = {.role = MOE_ROLE_origins,
                              .storage = {.format = MOE_FORMAT_i32},
                              .cols = 3,
                              .valid_rows = -1};

    if (c->status != MOE_OK) {
        return NULL;
    }
    spec.rows = index->dim[0];
    return moe_ctx_make_of(c, MOE_OP_origins, index, &spec);
}

moe_tensor_t *moe_pair_weights(moe_ctx_t *c, moe_tensor_t *weights,
                               moe_tensor_t *index)
{
    moe_call_t call = {.op = MOE_OP_pair_weights, .root = -1};
    moe_tensor_t *t;

    if (c->status != MOE_OK) {
        return NULL;
    }
    t = moe_ctx_numbers(c, weights->role, MOE_FORMAT_fp32, index->dim[0], 1,
                        index->valid_rows);
    call.in[0] = weights;
    call.in[1] = index;
    call.n_in = 2;
    call.out[0] = t;
    call.n_out = 1;
    moe_ctx_do(c, &call, t);
    return t;
}

moe_tensor_t *moe_sort_sources(moe_ctx_t *c, moe_tensor_t *origins,
                               moe_group_t group,
                               const int64_t *rows_per_member)
{
    moe_tensor_spec_t spec = {.index = MOE_INDEX_sources,
                              .n_experts = moe_ctx_group_size(c, group),
                              .rows_per_expert = rows_per_member};
    moe_call_t call = {.op = MOE_OP_sort_rows};

    if (c->status != MOE_OK) {
        return NULL;
    }
    call.in[0] = origins;
    call.n_in = 1;
    call.ranks = moe_ctx_ranks(c, group);
    call.n_ranks = moe_ctx_group_size(c, group);
    return make_index(c, &call, &spec);
}

/* Sums are in the order of slots: an index of members lists them by rank, one
 * of first slots as the order over ranks has them. */
static moe_order_t order_of(const moe_ctx_t *c, const moe_tensor_t *index)
{
    return index->index == MOE_INDEX_first_slots
               ? c->run->use->chain.contract.reduce
               : MOE_ORDER_fp32_slot;
}

static moe_tensor_t *by_index(moe_ctx_t *c, moe_op_t op, moe_tensor_t *rows,
                              moe_tensor_t *index, moe_tensor_spec_t *spec)
{
    moe_call_t call = {.op = op, .root = -1, .order = order_of(c, index)};
    moe_tensor_t *t;

    spec->cols = rows->dim[1];
    spec->valid_rows = -1;
    t = moe_tensor_make(c, spec);
    call.in[0] = rows;
    call.in[1] = index;
    call.n_in = 2;
    call.out[0] = t;
    call.n_out = 1;
    moe_ctx_do(c, &call, t);
    return t;
}

/* Rows, or pairs, that an index was made from. */
static int64_t sorted_rows(const moe_tensor_t *index)
{
    const moe_tensor_t *ids = index->source[0];

    return ids != NULL ? ids->dim[0] : index->sorted;
}

moe_tensor_t *moe_scatter_rows(moe_ctx_t *c, moe_tensor_t *rows,
                               moe_tensor_t *index)
{
    moe_tensor_spec_t spec = {0};

    if (c->status != MOE_OK) {
        return NULL;
    }
    spec.role = rows->role;
    spec.storage = rows->storage;
    spec.carried_exact = rows->carried_exact;
    spec.rows = sorted_rows(index);
    if (index->source[0] != NULL) {
        spec.rows *= index->source[0]->dim[1];
    }
    return by_index(c, MOE_OP_scatter_rows, rows, index, &spec);
}

moe_tensor_t *moe_sum_rows(moe_ctx_t *c, moe_tensor_t *rows,
                           moe_tensor_t *index)
{
    moe_tensor_spec_t spec = {.role = MOE_ROLE_combine};

    if (c->status != MOE_OK) {
        return NULL;
    }
    spec.storage = moe_ctx_sum_storage(c);
    spec.rows = sorted_rows(index);
    spec.carried_exact = spec.kept = moe_ctx_carries_sums(c);
    return by_index(c, MOE_OP_weighted_sum, rows, index, &spec);
}

/* Rounded once, then quantised. */
static moe_tensor_t *to_codes(moe_ctx_t *c, moe_tensor_t *rows)
{
    const moe_storage_t plain = moe_ctx_sum_storage(c);
    moe_tensor_t *rounded = moe_ctx_to(c, rows, MOE_ROLE_combine, &plain);
    moe_tensor_t *codes = moe_to(c, rounded, MOE_ROLE_combine);

    moe_release(c, rounded);
    return codes;
}

moe_tensor_t *moe_to_combine(moe_ctx_t *c, moe_tensor_t *rows)
{
    const moe_storage_t *combine = moe_ctx_storage(c, MOE_ROLE_combine);
    moe_tensor_spec_t spec = {
        .role = MOE_ROLE_combine, .carried_exact = true, .kept = true};

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (moe_format_is_coded(combine->format)) {
        return to_codes(c, rows);
    }
    if (!moe_ctx_carries_sums(c)) {
        return moe_to(c, rows, MOE_ROLE_combine);
    }
    if (moe_storage_equal(&rows->storage, combine)) {
        return moe_tensor_keep(rows);
    }
    spec.storage = *combine;
    spec.rows = rows->dim[0];
    spec.cols = rows->dim[1];
    spec.valid_rows = rows->valid_rows;
    return moe_ctx_make_of(c, MOE_OP_convert, rows, &spec);
}
