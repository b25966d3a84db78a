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

/* Groups by the sum of their first two; those not kept sink to -infinity. */
static void mask_groups(work_t *w)
{
    const int64_t size = w->m->experts / w->m->n_group;
    double *x = w->choice;

    for (int64_t e = 0; e < w->m->experts; e++) {
        int64_t g = e / size;
        bool top2 = place(x + g * size, size, e % size) < 2;

        w->group[g] = (double)(float)(w->group[g] + (top2 ? x[e] : 0.0));
    }
    for (int64_t e = 0; e < w->m->experts; e++) {
        if (place(w->group, w->m->n_group, e / size) >= w->m->topk_group) {
            x[e] = -HUGE_VAL;
        }
    }
}

/* False if a logit is NaN. */
static bool route(work_t *w, int32_t *ids, float *weights)
{
    const int64_t n = w->m->experts;
    const bool sigmoid = w->m->score == MOE_SCORE_sigmoid;
    float sum = sigmoid ? 1e-20f : 0.0f;

    for (int64_t e = 0; e < n; e++) {
        w->logit[e] = logit(w, w->oracle->router + e * w->m->hidden);
        if (isnan(w->logit[e])) {
            return false;
        }
    }
    for (int64_t e = 0; e < n; e++) {
        const double pair[2] = {w->logit[e], 0.0};
        const float bias = w->oracle->bias == NULL ? 0 : w->oracle->bias[e];

        w->score[e] =
            oracle_share(w->sum, 1.0, sigmoid ? pair : w->logit,
                         sigmoid ? 2 : n, sigmoid ? 0 : e, MOE_FORMAT_fp32);
        w->choice[e] = (double)((float)w->score[e] + bias);
    }
    mask_groups(w);
    for (int32_t e = 0; e < n; e++) {
        if (place(w->choice, n, e) < w->m->topk) {
            ids[place(w->choice, n, e)] = e;
        }
    }
    for (int i = 0; i < w->m->topk; i++) {
        sum += (float)w->score[ids[i]];
    }
    sum = w->m->renormalize && sum > 0.0f ? sum : 1.0f;
    for (int i = 0; i < w->m->topk; i++) {
        double s = w->score[ids[i]] * (double)w->m->routed_scaling;

        mpfr_set_d(w->sum, s, MPFR_RNDN);
        mpfr_div_d(w->sum, w->sum, (double)sum, MPFR_RNDN);
        weights[i] = (float)oracle_round_sum(w->sum, MOE_FORMAT_fp32);
    }
    return true;
}

moe_status_t moe_oracle_route(const moe_oracle_t *oracle,
                              const uint16_t *hidden, int32_t *ids,
                              float *weights)
{
    const moe_model_t *m = oracle->layer->model;
    work_t w = {.oracle = oracle, .m = m, .hidden = hidden};
    bool good;

    w.logit = calloc((size_t)m->experts * 4, sizeof(*w.logit));
    if (w.logit == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "oracle: no memory to route a token");
    }
    w.score = w.logit + m->experts;
    w.choice = w.score + m->experts;
    w.group = w.choice + m->experts;
    mpfr_init2(w.sum, ORACLE_BITS);
    good = route(&w, ids, weights);
    mpfr_clear(w.sum);
    free(w.logit);
    return good ? MOE_OK : moe_fail(MOE_ERR_RANGE, "oracle: a logit is NaN");
}
