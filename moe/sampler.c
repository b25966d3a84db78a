/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/routing.h"

#include "base/philox.h"
#include "moe/workload.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    STREAM_TOKENS = 100, /* last counter word; moe/fill.c uses others */
    STREAM_ORDER,
    STREAM_OFFSET,
    STREAM_STEP = 256, /* steps of a workload count in these */
    TRIES = 64
};

static const struct {
    const char *name;
    const char *text;
} samplers[MOE_SAMPLER_COUNT] = {
#define MOE_SAMPLER(id, text) [MOE_SAMPLER_##id] = {#id, text},
#include "moe/sampler.def"
#undef MOE_SAMPLER
};

const char *moe_sampler_name(moe_sampler_kind_t kind)
{
    return (unsigned)kind < MOE_SAMPLER_COUNT ? samplers[kind].name : "?";
}

const char *moe_sampler_text(moe_sampler_kind_t kind)
{
    return (unsigned)kind < MOE_SAMPLER_COUNT ? samplers[kind].text : "?";
}

__extension__ typedef unsigned __int128 u128_t;

/* Numbers of one token, one after the other. */
typedef struct {
    uint64_t seed;
    uint64_t token;
    uint32_t stream;
    uint32_t next;
    uint32_t word[4];
} stream_t;

static uint32_t next_word(stream_t *s)
{
    if (s->next % 4 == 0) {
        const uint32_t counter[4] = {(uint32_t)s->token, s->next / 4,
                                     (uint32_t)(s->token >> 32), s->stream};

        moe_philox((uint32_t)s->seed, (uint32_t)(s->seed >> 32), counter,
                   s->word);
    }
    return s->word[s->next++ % 4];
}

static int64_t next_below(stream_t *s, int64_t n)
{
    return (int64_t)((uint64_t)next_word(s) * (uint64_t)n >> 32);
}

/* The distribution over experts, ready to draw from. */
typedef struct {
    int64_t n;        /* experts that can be drawn, the first ones */
    int32_t *by_rank; /* [E] experts, likeliest first; NULL: uniform */
    uint64_t *above;  /* [n] cumulative weights */
} table_t;

static void table_fini(table_t *t)
{
    free(t->by_rank);
    free(t->above);
}

static moe_status_t table_init(table_t *t)
{
    t->by_rank = calloc((size_t)t->n, sizeof(*t->by_rank));
    t->above = calloc((size_t)t->n, sizeof(*t->above));
    return t->by_rank != NULL && t->above != NULL
               ? MOE_OK
               : moe_fail(MOE_ERR_NOMEM, "no memory for a router");
}

/* A random order of the experts. */
static void shuffle(table_t *t, uint64_t seed)
{
    stream_t order = {.seed = seed, .stream = STREAM_ORDER};

    for (int64_t i = 0; i < t->n; i++) {
        int64_t j = next_below(&order, i + 1);

        t->by_rank[i] = t->by_rank[j];
        t->by_rank[j] = (int32_t)i;
    }
}

/* The likelihoods of a workload, experts in their own order. */
static moe_status_t table_workload(table_t *t, const moe_sampler_t *sampler,
                                   uint64_t seed)
{
    moe_status_t status = table_init(t);
    uint64_t sum = 0;

    if (status != MOE_OK) {
        return status;
    }
    shuffle(t, seed);
    moe_workload_weights(sampler, t->n, t->by_rank, t->above);
    for (int64_t i = 0; i < t->n; i++) {
        sum += t->above[i];
        t->above[i] = sum;
        t->by_rank[i] = (int32_t)i;
    }
    return MOE_OK;
}

/* Weights are rounded to 24 bits: two libms whose pow() differs in its last
 * bits draw alike, unless a weight lies so near to a half that they round it
 * apart; of values with errors of 2^-29, about one in 2^28 does. */
static moe_status_t table_zipf(table_t *t, double s, uint64_t seed)
{
    uint64_t sum = 0;
    moe_status_t status = table_init(t);

    if (status != MOE_OK) {
        return status;
    }
    shuffle(t, seed);
    for (int64_t i = 0; i < t->n; i++) {
        sum += (uint64_t)(ldexp(pow((double)(i + 1), -s), 24) + 0.5) + 1;
        t->above[i] = sum;
    }
    return MOE_OK;
}

static int32_t draw_expert(const table_t *t, stream_t *s)
{
    uint64_t wide;
    uint64_t x;
    int64_t lo = 0;
    int64_t hi = t->n - 1;

    if (t->by_rank == NULL) {
        return (int32_t)next_below(s, t->n);
    }
    wide = (uint64_t)next_word(s) << 32;
    wide |= next_word(s);
    x = (uint64_t)((u128_t)wide * t->above[t->n - 1] >> 64);
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;

        if (x < t->above[mid]) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return t->by_rank[lo];
}

/* What a token may still choose. */
typedef struct {
    const moe_model_t *model;
    const table_t *table;
    bool *open;    /* [n_group] groups that the token may use */
    bool *taken;   /* [E] */
    int64_t shift; /* by which drawn experts are turned */
} choice_t;

static bool may_take(const choice_t *c, int64_t e)
{
    int64_t per_group = c->model->experts / c->model->n_group;

    return e < c->table->n && !c->taken[e] && c->open[e / per_group];
}

/* A drawn expert, turned. */
static int32_t draw_turned(const choice_t *c, stream_t *s)
{
    return (int32_t)((draw_expert(c->table, s) + c->shift) % c->model->experts);
}

/* Open the group of an expert; 1 if it was closed. */
static int open_group_of(choice_t *c, int32_t expert)
{
    bool *group = &c->open[expert / (c->model->experts / c->model->n_group)];
    int closed = !*group;

    *group = true;
    return closed;
}

static void open_groups(choice_t *c, const moe_sampler_t *sampler, stream_t *s)
{
    int n = c->model->n_group;
    int left = c->model->topk_group;

    memset(c->open, 0, (size_t)n * sizeof(*c->open));
    if (sampler->kind == MOE_SAMPLER_one_expert) {
        left -= open_group_of(c, 0);
    }
    if (moe_sampler_is_workload(sampler->kind) && left < n) {
        for (int i = 0; i < TRIES && left > 0; i++) {
            left -= open_group_of(c, draw_turned(c, s));
        }
    }
    while (left > 0) {
        int64_t g = next_below(s, n);

        if (!c->open[g]) {
            c->open[g] = true;
            left--;
        }
    }
}

/* A likelihood of 0 is no choice at all. */
static bool is_drawn(const table_t *t, int64_t i)
{
    return t->above == NULL || t->above[i] > (i > 0 ? t->above[i - 1] : 0);
}

/* Draw until one fits; after many misses the likeliest that fits. */
static int32_t take_one(choice_t *c, stream_t *s)
{
    const table_t *t = c->table;

    for (int i = 0; i < TRIES; i++) {
        int32_t e = draw_turned(c, s);

        if (may_take(c, e)) {
            return e;
        }
    }
    for (int64_t i = 0; i < t->n; i++) {
        int64_t at = t->by_rank == NULL ? i : t->by_rank[i];
        int32_t e = (int32_t)((at + c->shift) % c->model->experts);

        if (is_drawn(t, i) && may_take(c, e)) {
            return e;
        }
    }
    return -1;
}

/* With group_limit `each` a slot belongs to a group. */
static void open_own_group(choice_t *c, int slot)
{
    const moe_model_t *m = c->model;

    if (m->group_limit == MOE_GROUP_LIMIT_each) {
        memset(c->open, 0, (size_t)m->n_group * sizeof(*c->open));
        c->open[slot / (m->topk / m->n_group)] = true;
    }
}

static bool sample_token(choice_t *c, const moe_sampler_t *sampler, stream_t *s,
                         int32_t *ids)
{
    bool one = sampler->kind == MOE_SAMPLER_one_expert;

    if (moe_workload_is_balanced(sampler)) {
        moe_workload_balanced(c->model, c->shift, (int64_t)s->token, ids);
        return true;
    }
    c->shift = moe_workload_shift(sampler, c->model, (int64_t)s->token);
    open_groups(c, sampler, s);
    memset(c->taken, 0, (size_t)c->model->experts * sizeof(*c->taken));
    for (int i = 0; i < c->model->topk; i++) {
        open_own_group(c, i);
        ids[i] = one && i == 0 ? 0 : take_one(c, s);
        if (ids[i] < 0) {
            return false;
        }
        c->taken[ids[i]] = true;
    }
    return true;
}

static moe_status_t sample_all(choice_t *c, const moe_model_t *model,
                               const moe_sampler_t *sampler, uint64_t seed,
                               moe_routing_t *r)
{
    const int topk = c->model->topk;
    float weight = c->model->routed_scaling / (float)topk;
    uint32_t step = (uint32_t)(sampler->step % (UINT32_MAX / STREAM_STEP));

    for (int64_t t = 0; t < r->n; t++) {
        stream_t s = {.seed = seed,
                      .token = (uint64_t)(r->first + t),
                      .stream = STREAM_TOKENS + step * STREAM_STEP};

        if (!sample_token(c, sampler, &s, r->ids + t * r->topk)) {
            return moe_fail(MOE_ERR_RANGE,
                            "router %s cannot choose %d "
                            "different experts",
                            moe_sampler_name(sampler->kind), topk);
        }
    }
    for (int64_t i = 0; i < r->n * r->topk; i++) {
        r->weights[i] = weight;
    }
    for (int i = 0; i < topk; i++) {
        r->pad_ids[i] = i;
        r->pad_weights[i] = weight;
    }
    for (int64_t t = 0; t < r->n; t++) {
        moe_model_add_shared(model, r->ids + t * r->topk,
                             r->weights + t * r->topk);
    }
    moe_model_add_shared(model, r->pad_ids, r->pad_weights);
    return MOE_OK;
}

moe_status_t moe_routing_sample(const moe_model_t *model,
                                const moe_sampler_t *sampler, uint64_t seed,
                                int64_t first, int64_t n,
                                moe_routing_t *routing_p)
{
    const moe_model_t routed = moe_model_routed(model);
    table_t table = {.n = routed.experts -
                          (sampler->kind == MOE_SAMPLER_skip_expert)};
    choice_t choice = {.model = &routed, .table = &table};
    stream_t offset = {.seed = seed,
                       .token = (uint64_t)sampler->step,
                       .stream = STREAM_OFFSET};
    moe_routing_t r = {0};
    moe_status_t status = moe_routing_init(&r, first, n, model->topk);

    if (status != MOE_OK) {
        return status;
    }
    if (sampler->kind == MOE_SAMPLER_zipf) {
        status = table_zipf(&table, sampler->s, seed);
    }
    if (moe_workload_is_balanced(sampler)) {
        choice.shift = next_below(&offset, routed.experts);
    } else if (moe_sampler_is_workload(sampler->kind)) {
        status = table_workload(&table, sampler, seed);
    }
    choice.open = calloc((size_t)model->n_group, sizeof(*choice.open));
    choice.taken = calloc((size_t)model->experts, sizeof(*choice.taken));
    if (choice.open == NULL || choice.taken == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a router");
    }
    if (status == MOE_OK) {
        status = sample_all(&choice, model, sampler, seed, &r);
    }
    free(choice.open);
    free(choice.taken);
    table_fini(&table);
    if (status != MOE_OK) {
        moe_routing_fini(&r);
        return status;
    }
    *routing_p = r;
    return MOE_OK;
}
