/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Experts and weights that somebody's router chose. Other ids than ours are a
 * near tie if logits and choices moved within their widths, up for the chosen
 * and down for the rest, choose these; weights are compared expert by expert,
 * in any order of the columns.
 *
 * Where a score saturates, no small move of its logit is the rounding of the
 * score: so what fp32 rounds after the exp moves the choice itself. 1 + e, a
 * division of 2 ulp and the sum with the bias are below CHOICE_ERROR of the
 * magnitudes they round; so is half the sum of a group's two.
 */
#include "ref/judge_route.h"

#include "ref/formats.h"
#include "ref/layer_inside.h"
#include "ref/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHOICE_ERROR 0x1p-22 /* of a score and of a choice, relative */
#define WEIGHT_ERROR 0x1p-18 /* of scores, their sum and quotient */

static int slot_of(const int32_t *ids, int k, int32_t id)
{
    for (int i = 0; i < k; i++) {
        if (ids[i] == id) {
            return i;
        }
    }
    return -1;
}

/* Ids of ours that are not among got. */
static int64_t count_missing(const int32_t *ours, const int32_t *got, int k)
{
    int64_t n = 0;

    for (int i = 0; i < k; i++) {
        n += slot_of(got, k, ours[i]) < 0;
    }
    return n;
}

double moe_route_width(const moe_judge_t *judge, float x, int64_t at)
{
    const float *likely = judge->widths[MOE_ROLE_logits].at[MOE_WIDTH_likely];

    return !isfinite(x) ? 0.0
                        : MOE_ROUTE_SCORE_ERROR * (1.0 + fabs((double)x)) +
                              (likely != NULL ? (double)likely[at] : 0.0);
}

/* True if only logits can be moved: a router that zeroes the groups it does
 * not keep has no bias. */
static bool has_no_bias(const moe_model_t *m)
{
    return m->group_limit == MOE_GROUP_LIMIT_max && m->topk_group < m->n_group;
}

/* The bias by which choices lie at the ends of their widths. */
static void move_choices(moe_judge_t *judge, const float *x, const int32_t *got,
                         moe_route_token_t *token)
{
    const moe_model_t *m = judge->layer.about.model;
    const bool logits_choose =
        m->score == MOE_SCORE_softmax_chosen || m->score == MOE_SCORE_dyadic;

    if (logits_choose) {
        memcpy(token->bias, x, (size_t)m->experts * sizeof(*x));
    } else {
        moe_score_row(m->score, x, m->experts, token->bias,
                      &judge->layer.stats);
    }
    for (int64_t e = 0; e < m->experts; e++) {
        const double score = (double)token->bias[e];
        const double bias =
            judge->layer.bias != NULL ? (double)judge->layer.bias[e] : 0.0;
        const double width =
            isfinite(score) ? CHOICE_ERROR * (fabs(score) + fabs(score + bias))
                            : 0.0;

        token->moved =
            logits_choose && width > token->moved ? width : token->moved;
        token->bias[e] =
            (float)(slot_of(got, m->topk, (int32_t)e) >= 0 ? bias + width
                                                           : bias - width);
    }
}

/* Route by the token's logits and, where choices are moved, its bias. */
static moe_status_t route_moved(moe_judge_t *judge, bool move,
                                moe_route_token_t *token)
{
    float *bias = judge->layer.bias;
    moe_status_t status;
    int64_t bad[2];

    if (move && !has_no_bias(judge->layer.about.model)) {
        judge->layer.bias = token->bias;
    }
    status = moe_ref_layer_route(&judge->layer, token->logits, 1, token->ids,
                                 token->weights, bad);
    judge->layer.bias = bias;
    return status;
}

static moe_status_t route_token(moe_judge_t *judge, int64_t row,
                                const int32_t *got, bool move,
                                moe_route_token_t *token)
{
    const moe_model_t *m = judge->layer.about.model;
    const moe_rows_t *logits = &judge->layer.at[MOE_ROLE_logits];
    const float *x = (const float *)logits->codes + row * m->experts;

    token->moved = MOE_ROUTE_SCORE_ERROR;
    for (int64_t e = 0; e < m->experts; e++) {
        double width = moe_route_width(judge, x[e], row * m->experts + e);

        token->moved = width > token->moved ? width : token->moved;
        width = slot_of(got, m->topk, (int32_t)e) >= 0 ? width : -width;
        token->logits[e] = move ? (float)((double)x[e] + width) : x[e];
    }
    if (move) {
        move_choices(judge, x, got, token);
    }
    return route_moved(judge, move, token);
}

void moe_route_note(moe_judge_t *judge, moe_role_t role, int64_t row,
                    int64_t col, double got, double want, double ratio)
{
    moe_verdict_t *v = &judge->verdict[role];

    if (ratio > v->worst.ratio) {
        v->worst = (moe_judge_spot_t){
            .col = col, .got = got, .want = want, .ratio = ratio};
        moe_judge_name_row(judge, role, row, &v->worst);
    }
}

static void judge_ids(moe_judge_t *judge, int64_t row, const int32_t *got,
                      const int32_t *ours, const moe_route_token_t *token)
{
    const int k = judge->layer.about.model->topk;
    moe_verdict_t *v = &judge->verdict[MOE_ROLE_topk_ids];
    int64_t missing = count_missing(ours, got, k);
    int64_t left = count_missing(token->ids, got, k);

    v->differ += missing;
    v->near_ties += left == 0 ? missing : 0;
    if (left > 0) {
        moe_judge_site(judge, row, -1);
        v->beyond[MOE_WIDTH_likely] += missing;
        v->beyond[MOE_WIDTH_hard] += missing;
        for (int i = 0; i < k; i++) {
            if (slot_of(ours, k, got[i]) < 0) {
                moe_route_note(judge, MOE_ROLE_topk_ids, row, i, got[i],
                               ours[i], HUGE_VAL);
                break;
            }
        }
    }
}

/* The weight of no expert: nobody reads it beside an id of -1; without ids it
 * is what says that a gate dropped the pair. */
static void judge_none(moe_judge_t *judge, int64_t row, int slot, float got)
{
    moe_verdict_t *v = &judge->verdict[MOE_ROLE_topk_weights];

    if (judge->got[MOE_ROLE_topk_ids].codes == NULL &&
        judge->gate_ids.codes != NULL && !(fabsf(got) <= 0.0f)) {
        moe_judge_site(judge, row, slot);
        v->beyond[MOE_WIDTH_likely]++;
        v->beyond[MOE_WIDTH_hard]++;
        moe_route_note(judge, MOE_ROLE_topk_weights, row, slot, (double)got,
                       0.0, HUGE_VAL);
    }
}

void moe_route_weights(moe_judge_t *judge, int64_t row, const int32_t *ids,
                       const moe_route_token_t *token)
{
    const int k = judge->layer.about.model->topk;
    const float *got =
        (const float *)judge->got[MOE_ROLE_topk_weights].codes + row * k;
    moe_verdict_t *v = &judge->verdict[MOE_ROLE_topk_weights];

    for (int i = 0; i < k; i++) {
        int slot = slot_of(token->ids, k, ids[i]);
        double want = slot >= 0 ? (double)token->weights[slot] : 0.0;
        double width = fabs(want) * (WEIGHT_ERROR + 4.0 * token->moved);
        double d = fabs((double)got[i] - want);
        double ratio = d <= width ? 0.0 : width > 0.0 ? d / width : HUGE_VAL;

        if (ids[i] < 0) {
            judge_none(judge, row, i, got[i]);
        }
        if (slot < 0 || ids[i] < 0) { /* the ids are at fault */
            continue;
        }
        v->elements++;
        v->nans += isnan(got[i]) && !isnan(want);
        v->infinities += isinf(got[i]) && isfinite(want);
        if (isfinite(got[i]) && isfinite(want)) {
            moe_judge_count_ulps(v, MOE_FORMAT_fp32, moe_f32_bits(got[i]),
                                 moe_f32_bits((float)want));
        }
        v->sum_diff2 += isfinite(d) ? d * d : 0.0;
        v->sum_ref2 += want * want;
        v->sum_got2 += isfinite(d) ? (double)got[i] * (double)got[i] : 0.0;
        v->sum_product += isfinite(d) ? (double)got[i] * want : 0.0;
        if (!(d <= width)) {
            moe_judge_site(judge, row, i);
            v->beyond[MOE_WIDTH_likely]++;
            v->beyond[MOE_WIDTH_hard]++;
            moe_route_note(judge, MOE_ROLE_topk_weights, row, i, (double)got[i],
                           want, isnan(ratio) ? HUGE_VAL : ratio);
        }
    }
}

static moe_status_t judge_token(moe_judge_t *judge, int64_t row,
                                moe_route_token_t *token)
{
    const int k = judge->layer.about.model->topk;
    const int32_t *got = judge->got[MOE_ROLE_topk_ids].codes;
    const int32_t *ids =
        got != NULL
            ? got + row * k
            : (const int32_t *)judge->layer.at[MOE_ROLE_topk_ids].codes +
                  row * k;
    int32_t ours[MOE_TOPK_MAX];
    moe_status_t status;

    if (judge->gate_ids.codes != NULL) {
        moe_judge_gated(judge, row, ids, token);
        return MOE_OK;
    }
    status = route_token(judge, row, ids, false, token);
    if (status != MOE_OK) {
        return status;
    }
    memcpy(ours, token->ids, sizeof(ours));
    if (count_missing(ours, ids, k) > 0) {
        status = route_token(judge, row, ids, true, token);
    }
    if (status == MOE_OK && got != NULL) {
        judge_ids(judge, row, ids, ours, token);
    }
    if (status == MOE_OK && judge->got[MOE_ROLE_topk_weights].codes != NULL) {
        moe_route_weights(judge, row, ids, token);
    }
    return status;
}

moe_status_t moe_judge_route(moe_judge_t *judge)
{
    const moe_model_t *m = judge->layer.about.model;
    const int64_t rows = judge->layer.at[MOE_ROLE_logits].rows;
    moe_route_token_t token = {.logits = malloc((size_t)m->experts * 8 + 1)};
    moe_status_t status = moe_ref_layer_router(&judge->layer);

    if (token.logits == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory to route a token");
    }
    token.bias = token.logits + m->experts;
    for (int64_t i = 0; status == MOE_OK && i < rows; i++) {
        status = judge_token(judge, i, &token);
    }
    free(token.logits);
    for (int r = MOE_ROLE_topk_ids; r <= MOE_ROLE_topk_weights; r++) {
        moe_verdict_t *v = &judge->verdict[r];

        v->judged = judge->got[r].codes != NULL;
        v->codes = r == MOE_ROLE_topk_ids;
        v->good = v->beyond[MOE_WIDTH_likely] == 0;
        if (r == MOE_ROLE_topk_ids && v->judged) {
            v->elements = rows * m->topk;
        }
    }
    return status;
}
