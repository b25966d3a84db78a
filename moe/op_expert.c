/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/ctx.h"

#include <stddef.h>

static moe_call_t call_with_index(moe_op_t op, const moe_tensor_t *in,
                                  const moe_tensor_t *index, moe_tensor_t *out)
{
    moe_call_t call = {.op = op, .root = -1};

    call.in[0] = in;
    call.in[1] = index;
    call.n_in = 2;
    call.out[0] = out;
    call.n_out = 1;
    return call;
}

moe_tensor_t *moe_group_rows(moe_ctx_t *c, moe_tensor_t *ids,
                             moe_mapping_t mapping,
                             const int64_t *rows_per_expert)
{
    moe_range_t experts = moe_ctx_experts(c);
    int64_t n = experts.end - experts.begin;
    moe_tensor_spec_t spec = {.role = MOE_ROLE_index,
                              .storage = {.format = MOE_FORMAT_i32},
                              .cols = 1,
                              .first_expert = experts.begin,
                              .n_experts = n,
                              .list = moe_ctx_group_list(c),
                              .mapping = mapping,
                              .rows_per_expert = rows_per_expert};

    if (c->status != MOE_OK) {
        return NULL;
    }
    spec.rows =
        ids->dim[0] *
        (ids->dim[1] < n || mapping == MOE_MAPPING_last ? ids->dim[1] : n);
    for (int64_t e = 0; e < n; e++) {
        spec.valid_rows += rows_per_expert[e];
    }
    spec.source[0] = ids;
    return moe_ctx_make_of(c, MOE_OP_group_rows, ids, &spec);
}

/* Rows that lie as an index says, in a storage of the chain; unrounded where
 * the contract does not round what is new. */
static moe_tensor_t *grouped(moe_ctx_t *c, moe_role_t role,
                             const moe_storage_t *storage, bool unrounded,
                             const moe_tensor_t *index, int64_t cols)
{
    moe_tensor_spec_t spec = {.role = role,
                              .storage = *storage,
                              .rows = index->dim[0],
                              .cols = cols,
                              .valid_rows = index->valid_rows,
                              .carried_exact = unrounded};

    return moe_tensor_make(c, &spec);
}

moe_tensor_t *moe_gather_rows(moe_ctx_t *c, moe_tensor_t *rows,
                              moe_tensor_t *index)
{
    moe_tensor_t *t;
    moe_call_t call;

    if (c->status != MOE_OK) {
        return NULL;
    }
    t = grouped(c, rows->role, &rows->storage, rows->carried_exact, index,
                rows->dim[1]);
    call = call_with_index(MOE_OP_gather_rows, rows, index, t);
    moe_ctx_do(c, &call, t);
    return t;
}

/* Part of I that this rank has, whether I is cut up, in one part too, and
 * whether w1 and w3 are matmuls of their own. */
typedef struct {
    int part;
    int parts;
    bool cut_up;
    bool separate;
} part_t;

static moe_tensor_t *grouped_matmul(moe_ctx_t *c, moe_tensor_t *rows,
                                    moe_tensor_t *index, moe_weight_t weight,
                                    moe_halves_t halves, const part_t *part)
{
    const bool up = weight == MOE_W13;
    const int64_t rows_of_all = moe_weight_rows(moe_ctx_model(c), weight) /
                                (halves == MOE_HALVES_both ? 1 : 2);
    const moe_rounding_t point = up             ? MOE_ROUNDING_gemm1_out
                                 : part->cut_up ? MOE_ROUNDING_gemm2_part
                                                : MOE_ROUNDING_gemm2_out;
    const moe_role_t role = moe_rounding_role(point);
    moe_tensor_t *t;
    moe_call_t call;

    if (c->status != MOE_OK) {
        return NULL;
    }
    t = grouped(c, role, moe_ctx_storage(c, role),
                !moe_chain_rounds(&c->run->use->chain, point), index,
                up ? rows_of_all / part->parts : rows_of_all);
    call = call_with_index(MOE_OP_grouped_matmul, rows, index, t);
    call.in[2] = index->list;
    call.n_in = index->list == NULL ? 2 : 3;
    call.weight = weight;
    call.halves = halves;
    call.share = part->part;
    call.shares = part->parts;
    moe_ctx_do(c, &call, t);
    return t;
}

/* Of gate and up side by side, or (up not NULL) of two tensors. */
static moe_tensor_t *activation(moe_ctx_t *c, moe_tensor_t *gate,
                                moe_tensor_t *up, moe_tensor_t *index)
{
    moe_tensor_t *t;
    moe_call_t call;

    if (c->status != MOE_OK) {
        return NULL;
    }
    t = grouped(c, MOE_ROLE_act_out, moe_ctx_storage(c, MOE_ROLE_act_out),
                false, index, gate->dim[1] / (up == NULL ? 2 : 1));
    call = call_with_index(MOE_OP_activation, gate, index, t);
    call.in[2] = up;
    call.n_in = up == NULL ? 2 : 3;
    moe_ctx_do(c, &call, t);
    return t;
}

/* Rows times their weights, in their storage. */
static moe_tensor_t *weighed(moe_ctx_t *c, moe_tensor_t *rows,
                             moe_tensor_t *index, moe_tensor_t *weights)
{
    moe_tensor_t *t;
    moe_call_t call;

    if (c->status != MOE_OK) {
        return NULL;
    }
    if (weights == NULL) {
        return moe_tensor_keep(rows);
    }
    t = grouped(c, rows->role, &rows->storage, false, index, rows->dim[1]);
    call = call_with_index(MOE_OP_weigh_rows, rows, weights, t);
    moe_ctx_do(c, &call, t);
    return t;
}

static moe_tensor_t *experts_of(moe_ctx_t *c, moe_tensor_t *rows,
                                moe_tensor_t *index, moe_tensor_t *weights,
                                const part_t *part)
{
    moe_tensor_t *gate = grouped_matmul(
        c, rows, index, MOE_W13,
        part->separate ? MOE_HALVES_gate : MOE_HALVES_both, part);
    moe_tensor_t *up = part->separate ? grouped_matmul(c, rows, index, MOE_W13,
                                                       MOE_HALVES_up, part)
                                      : NULL;
    moe_tensor_t *act = activation(c, gate, up, index);
    moe_tensor_t *terms = weighed(c, act, index, weights);
    moe_tensor_t *in = moe_to(c, terms, MOE_ROLE_gemm2_in);
    moe_tensor_t *down =
        grouped_matmul(c, in, index, MOE_W2, MOE_HALVES_both, part);

    moe_release(c, gate);
    moe_release(c, up);
    moe_release(c, act);
    moe_release(c, terms);
    moe_release(c, in);
    return down;
}

moe_tensor_t *moe_experts(moe_ctx_t *c, moe_tensor_t *rows, moe_tensor_t *index,
                          moe_tensor_t *weights)
{
    const part_t all = {0, 1, false, false};

    return experts_of(c, rows, index, weights, &all);
}

moe_tensor_t *moe_experts_part(moe_ctx_t *c, moe_group_t group, bool separate,
                               moe_tensor_t *rows, moe_tensor_t *index)
{
    const part_t part = {moe_ctx_group_index(c, group),
                         moe_ctx_group_size(c, group), true, separate};

    return experts_of(c, rows, index, NULL, &part);
}

/* Grouped rows that are terms of sums. */
static moe_tensor_t *grouped_sums(moe_ctx_t *c, const moe_tensor_t *index,
                                  int64_t cols)
{
    const bool carried = moe_ctx_carries_sums(c);
    const moe_tensor_spec_t spec = {.role = MOE_ROLE_combine,
                                    .storage = moe_ctx_sum_storage(c),
                                    .rows = index->dim[0],
                                    .cols = cols,
                                    .valid_rows = index->valid_rows,
                                    .carried_exact = carried,
                                    .kept = carried};

    return moe_tensor_make(c, &spec);
}

moe_tensor_t *moe_weigh_grouped(moe_ctx_t *c, moe_tensor_t *rows,
                                moe_tensor_t *index, moe_tensor_t *weights)
{
    const bool weigh = moe_ctx_weighs_sums(c);
    moe_tensor_t *t;
    moe_call_t call;

    if (c->status != MOE_OK) {
        return NULL;
    }
    t = grouped_sums(c, index, rows->dim[1]);
    call = call_with_index(MOE_OP_weigh_rows, rows, index, t);
    call.in[2] = weigh ? weights : NULL;
    call.n_in = weigh ? 3 : 2;
    moe_ctx_do(c, &call, t);
    return t;
}

moe_tensor_t *moe_weighted_sum(moe_ctx_t *c, moe_tensor_t *rows,
                               moe_tensor_t *index, moe_tensor_t *weights)
{
    const bool weigh = moe_ctx_weighs_sums(c);
    moe_tensor_spec_t spec = {.role = MOE_ROLE_combine,
                              .storage = moe_ctx_sum_storage(c)};
    moe_tensor_t *t;
    moe_call_t call;

    if (c->status != MOE_OK) {
        return NULL;
    }
    spec.rows = weights->dim[0];
    spec.cols = rows->dim[1];
    spec.valid_rows = weights->valid_rows;
    if (moe_ctx_carries_sums(c)) {
        spec.carried_exact = true;
        /* made late from its sources; of kept rows at once */
        spec.kept = rows->kept;
        spec.source[0] = rows->kept ? NULL : rows;
        spec.source[1] = rows->kept ? NULL : index;
        spec.source[2] = rows->kept || !weigh ? NULL : weights;
    }
    t = moe_tensor_make(c, &spec);
    call = call_with_index(MOE_OP_weighted_sum, rows, index, t);
    call.in[2] = weigh ? weights : NULL;
    call.n_in = weigh ? 3 : 2;
    call.order = c->run->use->chain.contract.sum;
    moe_ctx_do(c, &call, t);
    return t;
}
