/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a method's plan may ask: host arithmetic on numbers that the ranks
 * agree on. Part of moe/method.h.
 */
#ifndef MOE_PLAN_H
#define MOE_PLAN_H

#include "moe/backend.h"
#include "moe/layer.h"

#include <stdint.h>

typedef struct moe_ctx moe_ctx_t; /* one method on one rank */

/** What a method's closed formula may use: agreed numbers only. */
typedef struct {
    const moe_layer_t *layer;
    const int64_t *options;
    int rank;
    const moe_routing_t *routing; /* of all tokens: what n[src][dst] counts */
} moe_formula_t;

const moe_layer_t *moe_ctx_layer(const moe_ctx_t *c);
const moe_model_t *moe_ctx_model(const moe_ctx_t *c);
int moe_ctx_rank(const moe_ctx_t *c);
void *moe_ctx_plan(moe_ctx_t *c);

/** Value of option number i of the method's list. */
int64_t moe_ctx_option(const moe_ctx_t *c, int i);

/** Size of the rank's group of a kind, and its place in it. */
int moe_ctx_group_size(const moe_ctx_t *c, moe_group_t group);
int moe_ctx_group_index(const moe_ctx_t *c, moe_group_t group);

/** From here on collectives are called in groups of one rank too, as a library
 * without a fast path for them does. For plans. */
void moe_ctx_call_alone(moe_ctx_t *c);

/** True if the contract weighs what the activation gives: weights go with the
 * rows. */
bool moe_ctx_weighs_activation(const moe_ctx_t *c);

/** The plan found that the method cannot run: ends it, one sentence. */
void moe_ctx_refuse(moe_ctx_t *c, const char *why);

/** Zeroed array of n numbers, of n spans, that lives as the context does. */
int64_t *moe_ctx_array(moe_ctx_t *c, int64_t n);
moe_span_t *moe_ctx_spans(moe_ctx_t *c, int64_t n);

/** Where tokens lie among rows: a rank's own by themselves; all, one after the
 * other; those of each dp rank, [dp], each of them so many rows behind the one
 * before. They live as the context does; NULL after an error. */
const moe_span_t *moe_ctx_own_span(moe_ctx_t *c);
const moe_span_t *moe_ctx_all_span(moe_ctx_t *c);
const moe_span_t *moe_ctx_spans_apart(moe_ctx_t *c, int64_t each);

/** Global range of a rank's tokens. */
moe_range_t moe_ctx_tokens(const moe_ctx_t *c, int rank);

/**
 * What each member of a group contributes, [R][n], in group order. Owned by
 * the context. NULL after an error.
 *
 * @param[in] dtype       Of a number on the modelled wire: i32, i64.
 * @param[in] contribute  Pure function of a rank's own routing.
 */
const int64_t *moe_agree(moe_ctx_t *c, moe_group_t group, moe_agree_kind_t kind,
                         moe_dtype_t dtype, int n,
                         moe_contribute_func_t *contribute);

/** Sums over the members, [n]; kind host or device. */
const int64_t *moe_agree_sum(moe_ctx_t *c, moe_group_t group,
                             moe_agree_kind_t kind, int n,
                             moe_contribute_func_t *contribute);

/** Maxima over the members, [n], by an all-reduce. */
const int64_t *moe_agree_max(moe_ctx_t *c, moe_group_t group, moe_dtype_t dtype,
                             int n, moe_contribute_func_t *contribute);

/** What each member tells this rank, [R][each], by an all-to-all: a rank
 * contributes [R][each], for each member. */
const int64_t *moe_agree_told(moe_ctx_t *c, moe_group_t group,
                              moe_dtype_t dtype, int each,
                              moe_contribute_func_t *contribute);

/** The same by flags that devices write: no host waits. */
const int64_t *moe_agree_flags(moe_ctx_t *c, moe_group_t group,
                               moe_dtype_t dtype, int each,
                               moe_contribute_func_t *contribute);

/** What a rank contributes itself: its own counts need no agreement, [n]. */
const int64_t *moe_own_counts(moe_ctx_t *c, int64_t n,
                              moe_contribute_func_t *contribute);

/** Rows that each member's tokens send to each expert, [R][E], one a (token,
 * slot) pair; by an all-gather. */
const int64_t *moe_agree_expert_counts(moe_ctx_t *c, moe_group_t group,
                                       moe_dtype_t dtype);

/** Tokens of each member of a group, [R]; kind host: schedulers know. */
const int64_t *moe_agree_tokens(moe_ctx_t *c, moe_group_t group);

/**
 * Rows of each of the rank's local experts, if every token of the group and
 * n_pad rows of zeros reach them: [E_local]; kind device. May size nothing
 * but valid rows.
 *
 * @param[in] mapping  Experts that numbers mean.
 */
const int64_t *moe_agree_expert_rows(moe_ctx_t *c, moe_group_t group,
                                     moe_mapping_t mapping, int64_t n_pad);

/** Experts of this rank in its ep group. */
moe_range_t moe_ctx_experts(const moe_ctx_t *c);

/** Member of a group of this rank that holds each expert, [E]; -1: none of
 * them. Of the rail: the member whose node holds it. */
const int64_t *moe_ctx_members_of_experts(moe_ctx_t *c, moe_group_t group);

#endif
