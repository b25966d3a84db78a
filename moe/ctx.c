/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/ctx.h"

#include <stdlib.h>

struct moe_array {
    moe_array_t *next;
    int64_t value[];
};

void moe_ctx_fail(moe_ctx_t *c, moe_status_t status)
{
    if (c->status == MOE_OK) {
        c->status = status;
    }
}

void moe_ctx_refuse(moe_ctx_t *c, const char *why)
{
    moe_ctx_fail(c, moe_fail(MOE_ERR_UNSUPPORTED, "method %s: %s",
                             c->run->use->label, why));
}

const moe_layer_t *moe_ctx_layer(const moe_ctx_t *c)
{
    return c->run->layer;
}

const moe_model_t *moe_ctx_model(const moe_ctx_t *c)
{
    return c->run->layer->model;
}

int moe_ctx_rank(const moe_ctx_t *c)
{
    return c->run->rank;
}

void *moe_ctx_plan(moe_ctx_t *c)
{
    return c->plan;
}

int64_t moe_ctx_option(const moe_ctx_t *c, int i)
{
    return c->run->use->options[i];
}

const moe_storage_t *moe_ctx_storage(const moe_ctx_t *c, moe_role_t role)
{
    return &c->run->use->chain.at[role];
}

moe_storage_t moe_ctx_sum_storage(const moe_ctx_t *c)
{
    const moe_storage_t *combine = moe_ctx_storage(c, MOE_ROLE_combine);

    return moe_format_is_coded(combine->format)
               ? (moe_storage_t){.format = MOE_FORMAT_bf16}
               : *combine;
}

bool moe_ctx_carries_sums(const moe_ctx_t *c)
{
    return c->run->use->chain.numerics == MOE_NUMERICS_exact ||
           moe_ctx_storage(c, MOE_ROLE_combine)->format == MOE_FORMAT_exact;
}

bool moe_ctx_weighs_activation(const moe_ctx_t *c)
{
    return c->run->use->chain.contract.weigh == MOE_WEIGH_activation;
}

bool moe_ctx_weighs_sums(const moe_ctx_t *c)
{
    return c->run->use->chain.contract.weigh != MOE_WEIGH_input &&
           !moe_ctx_weighs_activation(c);
}

moe_group_list_t moe_ctx_group_list(const moe_ctx_t *c)
{
    const moe_method_use_t *use = c->run->use;
    int place;

    return moe_option_find(use->method, "group_list_type", &place)
               ? (moe_group_list_t)(MOE_GROUP_LIST_cumsum + use->options[place])
               : MOE_GROUP_LIST_none;
}

int64_t moe_ctx_expert_block(const moe_ctx_t *c)
{
    return moe_method_expert_block(c->run->use);
}

int moe_ctx_group_size(const moe_ctx_t *c, moe_group_t group)
{
    return moe_layout_group_size(&c->run->layer->layout, group, c->run->rank);
}

int moe_ctx_group_index(const moe_ctx_t *c, moe_group_t group)
{
    return moe_layout_group_index(&c->run->layer->layout, group, c->run->rank);
}

void moe_ctx_call_alone(moe_ctx_t *c)
{
    c->calls_alone = true;
}

bool moe_ctx_is_alone(const moe_ctx_t *c, moe_group_t group)
{
    return !c->calls_alone &&
           moe_layout_group_size(&c->run->layer->layout, group, 0) == 1;
}

moe_range_t moe_ctx_experts(const moe_ctx_t *c)
{
    return moe_layout_experts(&c->run->layer->layout,
                              c->run->layer->model->experts,
                              moe_ctx_group_index(c, MOE_GROUP_ep));
}

/* Place in a rank's group of the rank that holds an expert, or -1. */
static int64_t member_of(const moe_layout_t *layout, moe_group_t group,
                         int rank, int holder)
{
    int at = moe_layout_group_index(layout, group, holder);

    if (group == MOE_GROUP_rail) {
        return at; /* the member of the holder's node */
    }
    return at < moe_layout_group_size(layout, group, rank) &&
                   moe_layout_group_member(layout, group, rank, at) == holder
               ? at
               : -1;
}

const int64_t *moe_ctx_members_of_experts(moe_ctx_t *c, moe_group_t group)
{
    const moe_layout_t *layout = &c->run->layer->layout;
    int64_t experts = c->run->layer->model->experts;
    int64_t *member = moe_ctx_array(c, experts);

    for (int p = 0; member != NULL && p < layout->ep; p++) {
        moe_range_t own = moe_layout_experts(layout, experts, p);
        int holder =
            moe_layout_group_member(layout, MOE_GROUP_ep, c->run->rank, p);

        for (int64_t e = own.begin; e < own.end; e++) {
            member[e] = member_of(layout, group, c->run->rank, holder);
        }
    }
    return member;
}

int64_t *moe_ctx_array(moe_ctx_t *c, int64_t n)
{
    moe_array_t *array;

    if (c->status != MOE_OK) {
        return NULL;
    }
    array =
        calloc(1, sizeof(*array) + ((size_t)n + 1) * sizeof(array->value[0]));
    if (array == NULL) {
        moe_ctx_fail(c, moe_fail(MOE_ERR_NOMEM, "no memory for a plan"));
        return NULL;
    }
    array->next = c->arrays;
    c->arrays = array;
    return array->value;
}

moe_span_t *moe_ctx_spans(moe_ctx_t *c, int64_t n)
{
    int64_t words = (int64_t)(sizeof(moe_span_t) / sizeof(int64_t));

    return (moe_span_t *)(void *)moe_ctx_array(c, n * words);
}

static const moe_span_t *one_span(moe_ctx_t *c, moe_range_t tokens)
{
    moe_span_t *span = moe_ctx_spans(c, 1);

    if (span != NULL) {
        *span = (moe_span_t){0, tokens.begin, tokens.end - tokens.begin};
    }
    return span;
}

const moe_span_t *moe_ctx_own_span(moe_ctx_t *c)
{
    return one_span(c, moe_ctx_tokens(c, moe_ctx_rank(c)));
}

const moe_span_t *moe_ctx_all_span(moe_ctx_t *c)
{
    return one_span(c, (moe_range_t){0, moe_layer_total_tokens(c->run->layer)});
}

const moe_span_t *moe_ctx_spans_apart(moe_ctx_t *c, int64_t each)
{
    const moe_layer_t *layer = c->run->layer;
    moe_span_t *spans = moe_ctx_spans(c, layer->layout.dp);
    int64_t token = 0;

    for (int i = 0; spans != NULL && i < layer->layout.dp; i++) {
        spans[i] = (moe_span_t){i * each, token, layer->tokens[i]};
        token += layer->tokens[i];
    }
    return spans;
}

moe_range_t moe_ctx_tokens(const moe_ctx_t *c, int rank)
{
    const moe_layer_t *layer = c->run->layer;

    return moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, rank));
}

/* Of a context's rank; self is one of these. */
typedef struct {
    const moe_ctx_t *c;
    moe_group_t group;
} members_t;

static void fill_members(void *self, int *ranks, int n)
{
    const members_t *m = self;

    for (int i = 0; i < n; i++) {
        ranks[i] = moe_layout_group_member(&m->c->run->layer->layout, m->group,
                                           m->c->run->rank, i);
    }
}

static const int *own_members(moe_ctx_t *c, moe_group_t group, members_t *m)
{
    int n = moe_ctx_group_size(c, group);

    if (c->ranks[group] == NULL) {
        c->ranks[group] = calloc((size_t)n + 1, sizeof(*c->ranks[group]));
        if (c->ranks[group] != NULL) {
            fill_members(m, c->ranks[group], n);
        }
    }
    return c->ranks[group];
}

const int *moe_ctx_ranks(moe_ctx_t *c, moe_group_t group)
{
    members_t m = {c, group};
    const int *ranks;

    if (c->run->shared == NULL) {
        ranks = own_members(c, group, &m);
    } else {
        ranks =
            moe_shared_members(c->run->shared, group,
                               moe_layout_group_member(&c->run->layer->layout,
                                                       group, c->run->rank, 0),
                               moe_ctx_group_size(c, group), fill_members, &m);
    }
    if (ranks == NULL) {
        moe_ctx_fail(c, moe_fail(MOE_ERR_NOMEM, "no memory for a group"));
    }
    return ranks;
}

void moe_ctx_fini(moe_ctx_t *c)
{
    moe_tensors_drop(c);
    while (c->arrays != NULL) {
        moe_array_t *next = c->arrays->next;

        free(c->arrays);
        c->arrays = next;
    }
    for (int g = 0; g < MOE_GROUP_COUNT; g++) {
        free(c->ranks[g]);
    }
    free(c->plan);
}

void moe_group_begin(moe_ctx_t *c, bool fused, const char *name)
{
    moe_backend_t *be = c->run->backend;

    if (c->status != MOE_OK || c->skip) {
        return;
    }
    c->bracket = ++c->n_brackets;
    c->bracket_fused = fused;
    c->bracket_name = name;
    moe_ctx_fail(c, be->group_begin(be, fused, name));
}

/* Closed after an error too: a library's own group must not stay open. */
void moe_group_end(moe_ctx_t *c)
{
    moe_backend_t *be = c->run->backend;

    if (c->bracket != 0) {
        moe_ctx_fail(c, be->group_end(be));
    }
    c->bracket = 0;
    c->bracket_name = NULL;
}
