/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/route.h"

#include "base/hot.h"
#include "ref/odd.h"
#include "ref/route_choose.h"
#include "ref/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Added to the sum of a router that scores each logit by itself, as SGLang,
 * vLLM and Megatron do. */
#define RENORMALIZE_EPSILON 1e-20f

enum {
    CHUNK = 256
};

/* RN32(p / q), q >= 0, or 0 if q is; p is a product of two fp32 numbers. The
 * remainder of a rounded quotient is a float64 number (Markstein), whose sign
 * says how to round the quotient to odd. */
static float divide_once(double p, double q)
{
    double quotient = q > 0.0 ? p / q : 0.0;

    return (float)moe_odd_nudge(quotient, fma(-quotient, q, p));
}

static bool scores_alone(moe_score_t score)
{
    return score == MOE_SCORE_sigmoid || score == MOE_SCORE_sqrt_softplus;
}

/* Scores of the k slots to weights. */
static void weigh(const moe_model_t *model, const float *score, float *weights)
{
    const double scaling = (double)model->routed_scaling;
    float sum = scores_alone(model->score) ? RENORMALIZE_EPSILON : 0.0f;

    for (int i = 0; i < model->topk; i++) {
        sum += score[i];
    }
    for (int i = 0; i < model->topk; i++) {
        double scaled = scaling * (double)score[i];

        weights[i] = model->renormalize ? divide_once(scaled, (double)sum)
                                        : (float)scaled;
    }
}

/* What the largest are taken of: scores or logits, and the bias. */
static void add_bias(const float *x, const float *bias, int64_t n,
                     float *choice)
{
    for (int64_t e = 0; e < n; e++) {
        choice[e] = x[e] + (bias == NULL ? 0.0f : bias[e]);
    }
}

/* Of k slots, with n the power of two not below k: the first n - k weigh 2 / n,
 * the others 1 / n. The sum is 1. */
static void score_dyadic(int k, float *score)
{
    int n = 1;

    while (n < k) {
        n *= 2;
    }
    for (int i = 0; i < k; i++) {
        score[i] = (i < n - k ? 2.0f : 1.0f) / (float)n;
    }
}

static bool logits_choose(moe_score_t score)
{
    return score == MOE_SCORE_softmax_chosen || score == MOE_SCORE_dyadic;
}

static void route_row(const moe_model_t *model, const float *logits,
                      const float *bias, const moe_route_row_t *row,
                      int32_t *ids, float *weights, moe_ref_stats_t *stats)
{
    const bool chosen = logits_choose(model->score);
    float of_slot[MOE_TOPK_MAX];
    float score[MOE_TOPK_MAX];

    if (!chosen) {
        moe_score_row(model->score, logits, model->experts, row->score, stats);
    }
    add_bias(chosen ? logits : row->score, bias, model->experts, row->choice);
    moe_route_choose(model, row, ids);
    for (int i = 0; i < model->topk; i++) {
        of_slot[i] = chosen ? row->choice[ids[i]] : row->score[ids[i]];
    }
    if (model->score == MOE_SCORE_dyadic) {
        score_dyadic(model->topk, score);
    } else if (chosen) {
        moe_score_row(MOE_SCORE_softmax, of_slot, model->topk, score, stats);
    }
    weigh(model, chosen ? score : of_slot, weights);
}

static moe_status_t check_groups(const moe_model_t *m)
{
    const bool each = m->group_limit == MOE_GROUP_LIMIT_each;

    if (m->n_group < 1 || m->experts < m->n_group ||
        m->experts % m->n_group != 0 || m->topk_group < 1 ||
        m->topk_group > m->n_group || m->topk < 1 || m->topk > MOE_TOPK_MAX ||
        m->topk > m->experts / m->n_group * m->topk_group ||
        (each && (m->topk % m->n_group != 0 || m->topk_group < m->n_group))) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "top-%d of %lld experts in %d groups, %d kept, limit "
                        "%s",
                        m->topk, (long long)m->experts, m->n_group,
                        m->topk_group, moe_group_limit_name(m->group_limit));
    }
    return MOE_OK;
}

static moe_status_t check(const moe_model_t *m, const float *bias)
{
    const bool limited = m->topk_group < m->n_group;
    moe_status_t status = check_groups(m);

    if (status != MOE_OK) {
        return status;
    }
    if (limited && (m->score == MOE_SCORE_softmax_chosen ||
                    (m->group_limit == MOE_GROUP_LIMIT_max && bias != NULL))) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "groups limited by %s with score %s%s",
                        moe_group_limit_name(m->group_limit),
                        moe_score_name(m->score), bias ? " and a bias" : "");
    }
    for (int64_t e = 0; bias != NULL && e < m->experts; e++) {
        if (!isfinite(bias[e])) {
            return moe_fail(MOE_ERR_RANGE, "bias of expert %lld is not finite",
                            (long long)e);
        }
    }
    return MOE_OK;
}

static moe_status_t row_init(moe_route_row_t *row, const moe_model_t *model)
{
    const size_t experts = (size_t)model->experts;
    const size_t groups = (size_t)model->n_group;

    row->score = calloc(experts, sizeof(*row->score));
    row->choice = calloc(experts, sizeof(*row->choice));
    row->group = calloc(groups, sizeof(*row->group));
    row->keep = calloc(groups, sizeof(*row->keep));
    if (row->score == NULL || row->choice == NULL || row->group == NULL ||
        row->keep == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory to route %lld experts",
                        (long long)model->experts);
    }
    return MOE_OK;
}

static void row_fini(moe_route_row_t *row)
{
    free(row->score);
    free(row->choice);
    free(row->group);
    free(row->keep);
}

/* Place of the first NaN, or n. */
MOE_HOT static int64_t first_nan(const float *x, int64_t n)
{
    int64_t at = 0;

    for (; at < n; at += CHUNK) {
        int64_t m = n - at < CHUNK ? n - at : CHUNK;
        int nans = 0;

        for (int64_t i = at; i < at + m; i++) {
            nans += x[i] != x[i];
        }
        if (nans != 0) {
            break;
        }
    }
    for (; at < n && !isnan(x[at]); at++) {
    }
    return at < n ? at : n;
}

static bool find_nan(const float *logits, int64_t n, int64_t experts,
                     int64_t bad[2])
{
    int64_t at = first_nan(logits, n * experts);

    if (at == n * experts) {
        return false;
    }
    bad[0] = at / experts;
    bad[1] = at % experts;
    return true;
}

moe_status_t moe_ref_route(const moe_model_t *model, const float *logits,
                           const float *bias, int64_t n, int32_t *ids,
                           float *weights, moe_ref_stats_t *stats,
                           int64_t bad[2])
{
    const moe_model_t routed = moe_model_routed(model);
    moe_route_row_t row = {NULL, NULL, NULL, NULL};
    moe_status_t status = check(&routed, bias);

    bad[0] = -1;
    bad[1] = -1;
    if (status == MOE_OK && find_nan(logits, n, model->experts, bad)) {
        return MOE_ERR_RANGE;
    }
    if (status == MOE_OK) {
        status = row_init(&row, &routed);
    }
    for (int64_t i = 0; status == MOE_OK && i < n; i++) {
        int32_t *to = ids + i * model->topk;
        float *w = weights + i * model->topk;

        route_row(&routed, logits + i * model->experts, bias, &row, to, w,
                  stats);
        moe_model_add_shared(model, to, w);
    }
    row_fini(&row);
    return status;
}
