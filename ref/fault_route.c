/* SPDX-License-Identifier: Apache-2.0 */
/* Routers that forget a step, or take one too many. */
#include "ref/fault_inside.h"

#include "ref/elements.h"
#include "ref/route.h"
#include "ref/route_choose.h"
#include "ref/score.h"

#include <math.h>
#include <stdlib.h>

/* The router of another model is the mistake; false if it is none. */
static bool change_model(moe_fault_kind_t kind, moe_model_t *m)
{
    const float scaling = m->routed_scaling;

    switch (kind) {
    case MOE_FAULT_not_renormalised:
        m->renormalize = false;
        /* softmax over the chosen is renormalised by its definition */
        return m->score != MOE_SCORE_softmax_chosen;
    case MOE_FAULT_scaling_missing:
        m->routed_scaling = 1.0f;
        return true;
    case MOE_FAULT_scaling_twice:
        m->routed_scaling = scaling * scaling;
        return true;
    default:
        return true;
    }
}

/* Weights of a token's experts by scores that the bias went into. */
static void weigh_biased(const moe_ref_layer_t *layer, const float *score,
                         const int32_t *ids, float *weights)
{
    const moe_model_t *m = layer->about.model;
    float sum = 0.0f;

    for (int i = 0; i < m->topk; i++) {
        weights[i] = score[ids[i]] + layer->bias[ids[i]];
        sum += weights[i];
    }
    for (int i = 0; i < m->topk; i++) {
        double w = (double)m->routed_scaling * (double)weights[i];

        weights[i] = (float)(m->renormalize ? w / (double)sum : w);
    }
}

static moe_status_t bias_weights(moe_ref_layer_t *layer, const float *logits,
                                 int64_t n, const int32_t *ids, float *weights)
{
    const moe_model_t *m = layer->about.model;
    float *score = malloc((size_t)m->experts * sizeof(*score) + 1);

    if (score == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for scores");
    }
    for (int64_t i = 0; i < n; i++) {
        moe_score_row(m->score, logits + i * m->experts, m->experts, score,
                      &layer->stats);
        weigh_biased(layer, score, ids + i * m->topk, weights + i * m->topk);
    }
    free(score);
    return MOE_OK;
}

/* Groups that are kept, by the sum of their best two, or by the best. */
static void keep_groups(const moe_model_t *m, bool by_best,
                        const moe_route_row_t *row)
{
    const int64_t each = m->experts / m->n_group;

    for (int g = 0; g < m->n_group; g++) {
        float best[2] = {-INFINITY, -INFINITY};

        for (int64_t e = g * each; e < (g + 1) * each; e++) {
            float x = row->choice[e];

            best[1] = x > best[0] ? best[0] : x > best[1] ? x : best[1];
            best[0] = x > best[0] ? x : best[0];
        }
        row->group[g] = each > 1 && !by_best ? best[0] + best[1] : best[0];
    }
    for (int g = 0; g < m->n_group; g++) {
        int better = 0;

        for (int h = 0; h < m->n_group; h++) {
            better += row->group[h] > row->group[g] ||
                      (!(row->group[h] < row->group[g]) && h < g);
        }
        row->keep[g] = better < m->topk_group;
    }
}

/* A token's experts where masked choices are 0, or groups kept by their best
 * choice: of all groups as of one, once the choices are masked. */
static void choose_masked(const moe_ref_layer_t *layer, const float *logits,
                          const moe_route_row_t *row, int32_t *ids,
                          moe_ref_stats_t *stats)
{
    const moe_model_t *m = layer->about.model;
    const int64_t each = m->experts / m->n_group;
    const bool by_best = layer->fault.kind == MOE_FAULT_group_max;
    moe_model_t flat = *m;

    moe_score_row(m->score, logits, m->experts, row->score, stats);
    for (int64_t e = 0; e < m->experts; e++) {
        row->choice[e] =
            row->score[e] + (layer->bias != NULL ? layer->bias[e] : 0.0f);
    }
    keep_groups(m, by_best, row);
    for (int64_t e = 0; e < m->experts; e++) {
        row->choice[e] = row->keep[e / each] ? row->choice[e]
                         : by_best           ? -INFINITY
                                             : 0.0f;
    }
    flat.n_group = flat.topk_group = 1;
    moe_route_choose(&flat, row, ids);
}

static void weigh_chosen(const moe_model_t *m, const float *score,
                         const int32_t *ids, float *weights)
{
    float sum = 0.0f;

    for (int i = 0; i < m->topk; i++) {
        sum += score[ids[i]];
    }
    for (int i = 0; i < m->topk; i++) {
        double w = (double)m->routed_scaling * (double)score[ids[i]];

        weights[i] = (float)(m->renormalize ? w / (double)sum : w);
    }
}

static moe_status_t choose_otherwise(moe_ref_layer_t *layer,
                                     const float *logits, int64_t n,
                                     int32_t *ids, float *weights)
{
    const moe_model_t *m = layer->about.model;
    const size_t experts = (size_t)m->experts;
    moe_route_row_t row = {.score = malloc(experts * 4 + 1),
                           .choice = malloc(experts * 4 + 1),
                           .group = malloc((size_t)m->n_group * 4 + 1),
                           .keep =
                               malloc((size_t)m->n_group * sizeof(bool) + 1)};
    moe_status_t status = MOE_OK;

    if (row.score == NULL || row.choice == NULL || row.group == NULL ||
        row.keep == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a token's scores");
    }
    for (int64_t i = 0; status == MOE_OK && i < n; i++) {
        choose_masked(layer, logits + i * m->experts, &row, ids + i * m->topk,
                      &layer->stats);
        weigh_chosen(m, row.score, ids + i * m->topk, weights + i * m->topk);
    }
    free(row.score);
    free(row.choice);
    free(row.group);
    free(row.keep);
    return status;
}

static void round_weights(float *weights, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        weights[i] = moe_bf16_to_f32(moe_bf16_from_f32(weights[i]));
    }
}

moe_status_t moe_ref_fault_route(moe_ref_layer_t *layer, const float *logits,
                                 int64_t n, int32_t *ids, float *weights,
                                 int64_t bad[2])
{
    const moe_fault_kind_t kind = layer->fault.kind;
    moe_model_t m = *layer->about.model;
    moe_status_t status;

    if (!change_model(kind, &m) ||
        (m.shared > 0 &&
         /* layers without shared experts alone */
         (kind == MOE_FAULT_bias_in_weights || moe_fault_chooses(kind))) ||
        (kind == MOE_FAULT_bias_in_weights &&
         (layer->bias == NULL || m.score == MOE_SCORE_softmax_chosen)) ||
        (moe_fault_chooses(kind) &&
         (m.n_group == 1 || m.group_limit != MOE_GROUP_LIMIT_top2_sum))) {
        return moe_ref_fault_none(layer);
    }
    status = moe_ref_route(&m, logits, layer->bias, n, ids, weights,
                           &layer->stats, bad);
    if (status != MOE_OK) {
        return status;
    }
    if (kind == MOE_FAULT_bias_in_weights) {
        return bias_weights(layer, logits, n, ids, weights);
    }
    if (moe_fault_chooses(kind)) {
        return choose_otherwise(layer, logits, n, ids, weights);
    }
    if (kind == MOE_FAULT_weight_bf16) {
        round_weights(weights, n * m.topk);
    }
    return MOE_OK;
}
