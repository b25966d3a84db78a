/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/route_row.h"

#include "ref/odd.h"
#include "ref/score.h"

#include <math.h>
#include <stdlib.h>

/* The remainder of a rounded quotient is a float64 number (Markstein), whose
 * sign says how to round the quotient to odd. */
float moe_route_divide(double p, double q)
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
    float sum = scores_alone(model->score) ? MOE_ROUTE_EPSILON : 0.0f;

    for (int i = 0; i < model->topk; i++) {
        sum += score[i];
    }
    for (int i = 0; i < model->topk; i++) {
        double scaled = scaling * (double)score[i];

        weights[i] = model->renormalize ? moe_route_divide(scaled, (double)sum)
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

void moe_route_row(const moe_model_t *model, const float *logits,
                   const float *bias, const moe_route_row_t *row, int32_t *ids,
                   float *weights, moe_ref_stats_t *stats)
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

moe_status_t moe_route_row_init(moe_route_row_t *row, const moe_model_t *model)
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

void moe_route_row_fini(moe_route_row_t *row)
{
    free(row->score);
    free(row->choice);
    free(row->group);
    free(row->keep);
}
