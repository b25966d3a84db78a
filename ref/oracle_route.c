/* SPDX-License-Identifier: Apache-2.0 */
/* The router of the oracle: a token from hidden state to experts and weights,
 * from doc/numerics.md. Of ref/ it uses nothing but format conversions. */
#include "ref/oracle.h"

#include "ref/oracle_numbers.h"

#include <stdlib.h>

enum {
    BINS = 2048 /* exponents of float64 */
};

typedef struct {
    const moe_oracle_t *oracle;
    const moe_model_t *m;
    const uint16_t *hidden;
    double *logit, *score, *choice, *group; /* [E] each; fp32 numbers */
    double bin[BINS];
    mpfr_t sum;
} work_t;

/* Exact x . router row, rounded. Products of 16 bits, summed by exponent, fit
 * 53 bits; infinities and NaN have a bin of their own. */
static double logit(work_t *w, const uint16_t *router)
{
    memset(w->bin, 0, sizeof(w->bin));
    for (int64_t i = 0; i < w->m->hidden; i++) {
        double x = (double)moe_bf16_to_f32(w->hidden[i]);
        double p = x * (double)moe_bf16_to_f32(router[i]);

        w->bin[moe_f64_bits(p) >> 52 & (BINS - 1)] += p;
    }
    mpfr_set_zero(w->sum, 1);
    for (int e = 1; e < BINS; e++) {
        mpfr_add_d(w->sum, w->sum, w->bin[e], MPFR_RNDN);
    }
    return oracle_round_sum(w->sum, MOE_FORMAT_fp32);
}

/* Place of x[i] in x[n] sorted: larger first, equal ones as they stand. */
static int64_t place(const double *x, int64_t n, int64_t i)
{
    int64_t before = 0;

    for (int64_t j = 0; j < n; j++) {
        before += x[j] > x[i] || (j < i && !(x[j] < x[i]));
    }
    return before;
}

/* Groups by the sum of their first two, or by the first; those not kept sink
 * to -infinity, or have 0. */
static void mask_groups(work_t *w)
{
    const int64_t size = w->m->experts / w->m->n_group;
    const bool max = w->m->group_limit == MOE_GROUP_LIMIT_max;
    double *x = w->choice;

    for (int64_t e = 0; e < w->m->experts; e++) {
        int64_t g = e / size;
        bool best = place(x + g * size, size, e % size) < (max ? 1 : 2);

        w->group[g] = (double)(float)(w->group[g] + (best ? x[e] : 0.0));
    }
    for (int64_t e = 0; e < w->m->experts; e++) {
        if (place(w->group, w->m->n_group, e / size) >= w->m->topk_group) {
            x[e] = max ? 0.0 : -HUGE_VAL;
            w->score[e] = max ? 0.0 : w->score[e];
        }
    }
}

/* Slot of an expert: its place among all, or in its group. */
static int64_t slot(const work_t *w, int64_t e)
{
    const int64_t size = w->m->experts / w->m->n_group;
    const int64_t each = w->m->topk / w->m->n_group;
    int64_t at;

    if (w->m->group_limit != MOE_GROUP_LIMIT_each) {
        return place(w->choice, w->m->experts, e);
    }
    at = place(w->choice + e / size * size, size, e % size);
    return at < each ? e / size * each + at : w->m->topk;
}

static double score(work_t *w, int64_t e)
{
    const double pair[2] = {w->logit[e], 0.0};

    switch (w->m->score) {
    case MOE_SCORE_sigmoid:
        return oracle_share(w->sum, 1.0, pair, 2, 0, MOE_FORMAT_fp32);
    case MOE_SCORE_sqrt_softplus:
        return oracle_sqrt_softplus(w->logit[e]);
    case MOE_SCORE_softmax:
        return oracle_share(w->sum, 1.0, w->logit, w->m->experts, e,
                            MOE_FORMAT_fp32);
    default: /* softmax_chosen and dyadic choose by logits */
        return w->logit[e];
    }
}

/* Choices of all experts, and the k chosen. */
static void choose(work_t *w, int32_t *ids)
{
    for (int64_t e = 0; e < w->m->experts; e++) {
        const float bias = w->oracle->bias == NULL ? 0 : w->oracle->bias[e];

        w->score[e] = score(w, e);
        w->choice[e] = (double)((float)w->score[e] + bias);
    }
    if (w->m->group_limit != MOE_GROUP_LIMIT_each) {
        mask_groups(w);
    }
    for (int32_t e = 0; e < w->m->experts; e++) {
        if (slot(w, e) < w->m->topk) {
            ids[slot(w, e)] = e;
        }
    }
}

/* Slot i of k: the sum of all is 1, the last ones weigh 1 / n, n the power of
 * two at or above k, as many of the first as make up for it twice that. */
static double dyadic(int k, int i)
{
    const double n = exp2(ceil(log2((double)k)));

    return ((double)(i + k) < n ? 2.0 : 1.0) / n;
}

static void weigh(work_t *w, const int32_t *ids, float *weights)
{
    const bool chosen = w->m->score == MOE_SCORE_softmax_chosen;
    const bool alone = w->m->score == MOE_SCORE_sigmoid ||
                       w->m->score == MOE_SCORE_sqrt_softplus;
    double s[MOE_TOPK_MAX], x[MOE_TOPK_MAX];
    float sum = alone ? 1e-20f : 0.0f;

    for (int i = 0; i < w->m->topk; i++) {
        x[i] = w->choice[ids[i]];
        s[i] = w->score[ids[i]];
    }
    for (int i = 0; chosen && i < w->m->topk; i++) {
        s[i] = oracle_share(w->sum, 1.0, x, w->m->topk, i, MOE_FORMAT_fp32);
    }
    for (int i = 0; w->m->score == MOE_SCORE_dyadic && i < w->m->topk; i++) {
        s[i] = dyadic(w->m->topk, i);
    }
    for (int i = 0; i < w->m->topk; i++) {
        sum += (float)s[i];
    }
    sum = w->m->renormalize && sum > 0.0f ? sum : 1.0f;
    for (int i = 0; i < w->m->topk; i++) {
        mpfr_set_d(w->sum, s[i] * (double)w->m->routed_scaling, MPFR_RNDN);
        mpfr_div_d(w->sum, w->sum, (double)sum, MPFR_RNDN);
        weights[i] = (float)oracle_round_sum(w->sum, MOE_FORMAT_fp32);
    }
}

/* False if a logit is NaN. */
static bool route(work_t *w, int32_t *ids, float *weights)
{
    for (int64_t e = 0; e < w->m->experts; e++) {
        w->logit[e] = logit(w, w->oracle->router + e * w->m->hidden);
        if (isnan(w->logit[e])) {
            return false;
        }
    }
    choose(w, ids);
    weigh(w, ids, weights);
    return true;
}

moe_status_t moe_oracle_route(const moe_oracle_t *oracle,
                              const uint16_t *hidden, int32_t *ids,
                              float *weights)
{
    const moe_model_t *m = oracle->layer->model;
    moe_model_t alone = *m; /* without its shared experts */
    work_t w = {.oracle = oracle, .m = &alone, .hidden = hidden};
    bool good;

    alone.experts -= m->shared;
    alone.topk -= m->shared;

    w.logit = calloc((size_t)m->experts * 4, sizeof(*w.logit));
    if (w.logit == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "oracle: no memory to route a token");
    }
    w.score = w.logit + m->experts;
    w.choice = w.score + m->experts;
    w.group = w.choice + m->experts;
    mpfr_init2(w.sum, ORACLE_BITS);
    good = route(&w, ids, weights);
    for (int s = 0; s < m->shared; s++) {
        ids[alone.topk + s] = (int32_t)alone.experts + s;
        weights[alone.topk + s] = 1.0f;
    }
    mpfr_clear(w.sum);
    free(w.logit);
    return good ? MOE_OK : moe_fail(MOE_ERR_RANGE, "oracle: a logit is NaN");
}
