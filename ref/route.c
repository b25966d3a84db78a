/* SPDX-License-Identifier: Apache-2.0 */
/* Order of everything here is total: larger first, then the lower id. GPU
 * libraries leave ties undefined (torch.topk). */
#include "ref/route.h"

#include "base/hot.h"
#include "ref/odd.h"
#include "ref/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Added to the sum of a sigmoid router, as SGLang and vLLM do. */
#define RENORMALIZE_EPSILON 1e-20f

enum {
    CHUNK = 256
};

/* What is computed for one token. */
typedef struct {
    float *score;  /* [E] */
    float *choice; /* [E] score + bias */
    float *group;  /* [n_group] */
    bool *keep;    /* [n_group] */
} scratch_t;

/* RN32(p / q), q >= 0, or 0 if q is; p is a product of two fp32 numbers. The
 * remainder of a rounded quotient is a float64 number (Markstein), whose sign
 * says how to round the quotient to odd. */
static float divide_once(double p, double q)
{
    double quotient = q > 0.0 ? p / q : 0.0;

    return (float)moe_odd_nudge(quotient, fma(-quotient, q, p));
}

static void score_groups(const moe_model_t *model, const scratch_t *scratch)
{
    const int64_t size = model->experts / model->n_group;

    for (int g = 0; g < model->n_group; g++) {
        float first = -INFINITY;
        float second = -INFINITY;

        for (int64_t e = g * size; e < (g + 1) * size; e++) {
            float x = scratch->choice[e];
            float lesser = x < first ? x : first;

            second = lesser > second ? lesser : second;
            first = x > first ? x : first;
        }
        scratch->group[g] = size == 1 ? first : first + second;
        scratch->keep[g] = false;
    }
}

static void keep_groups(const moe_model_t *model, const scratch_t *scratch)
{
    score_groups(model, scratch);
    for (int i = 0; i < model->topk_group; i++) {
        int best = -1;

        for (int g = 0; g < model->n_group; g++) {
            if (!scratch->keep[g] &&
                (best < 0 || scratch->group[g] > scratch->group[best])) {
                best = g;
            }
        }
        scratch->keep[best] = true;
    }
}

/* Put e, whose choice is x, in its place among n; those behind move, the
 * last one out if there are k. */
static int insert(const float *choice, int32_t *ids, int n, int k, int32_t e)
{
    const float x = choice[e];
    int at = n < k ? n : k - 1;

    for (; at > 0 && x > choice[ids[at - 1]]; at--) {
        ids[at] = ids[at - 1];
    }
    ids[at] = e;
    return n < k ? n + 1 : k;
}

/* The k largest choices of the kept groups. */
static void choose(const moe_model_t *model, const scratch_t *scratch,
                   int32_t *ids)
{
    const int32_t size = (int32_t)(model->experts / model->n_group);
    const float *choice = scratch->choice;
    const int k = model->topk;
    float last = -INFINITY; /* the choice that a new one must beat */
    int n = 0;

    for (int32_t g = 0; g < model->n_group; g++) {
        int32_t end = scratch->keep[g] ? (g + 1) * size : g * size;

        for (int32_t e = g * size; e < end; e++) {
            if (n < k || choice[e] > last) {
                n = insert(choice, ids, n, k, e);
                last = choice[ids[n - 1]];
            }
        }
    }
}

static void weigh(const moe_model_t *model, const float *score,
                  const int32_t *ids, float *weights)
{
    const double scaling = (double)model->routed_scaling;
    float sum = model->score == MOE_SCORE_sigmoid ? RENORMALIZE_EPSILON : 0.0f;

    for (int i = 0; i < model->topk; i++) {
        sum += score[ids[i]];
    }
    for (int i = 0; i < model->topk; i++) {
        double scaled = scaling * (double)score[ids[i]];

        weights[i] = model->renormalize ? divide_once(scaled, (double)sum)
                                        : (float)scaled;
    }
}

static void route_row(const moe_model_t *model, const float *logits,
                      const float *bias, const scratch_t *scratch, int32_t *ids,
                      float *weights, moe_ref_stats_t *stats)
{
    moe_score_row(model->score, logits, model->experts, scratch->score, stats);
    for (int64_t e = 0; e < model->experts; e++) {
        scratch->choice[e] =
            scratch->score[e] + (bias == NULL ? 0.0f : bias[e]);
    }
    keep_groups(model, scratch);
    choose(model, scratch, ids);
    weigh(model, scratch->score, ids, weights);
}

static moe_status_t check(const moe_model_t *m, const float *bias)
{
    if (m->n_group < 1 || m->experts < m->n_group ||
        m->experts % m->n_group != 0 || m->topk_group < 1 ||
        m->topk_group > m->n_group || m->topk < 1 || m->topk > MOE_TOPK_MAX ||
        m->topk > m->experts / m->n_group * m->topk_group) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "top-%d of %lld experts in %d groups, %d kept", m->topk,
                        (long long)m->experts, m->n_group, m->topk_group);
    }
    if (m->score != MOE_SCORE_sigmoid && m->n_group > 1) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "groups with score %s",
                        moe_score_name(m->score));
    }
    for (int64_t e = 0; bias != NULL && e < m->experts; e++) {
        if (!isfinite(bias[e])) {
            return moe_fail(MOE_ERR_RANGE, "bias of expert %lld is not finite",
                            (long long)e);
        }
    }
    return MOE_OK;
}

static moe_status_t scratch_init(scratch_t *scratch, const moe_model_t *model)
{
    const size_t experts = (size_t)model->experts;
    const size_t groups = (size_t)model->n_group;

    scratch->score = calloc(experts, sizeof(*scratch->score));
    scratch->choice = calloc(experts, sizeof(*scratch->choice));
    scratch->group = calloc(groups, sizeof(*scratch->group));
    scratch->keep = calloc(groups, sizeof(*scratch->keep));
    if (scratch->score == NULL || scratch->choice == NULL ||
        scratch->group == NULL || scratch->keep == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory to route %lld experts",
                        (long long)model->experts);
    }
    return MOE_OK;
}

static void scratch_fini(scratch_t *scratch)
{
    free(scratch->score);
    free(scratch->choice);
    free(scratch->group);
    free(scratch->keep);
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
    scratch_t scratch = {NULL, NULL, NULL, NULL};
    moe_status_t status = check(model, bias);

    bad[0] = -1;
    bad[1] = -1;
    if (status == MOE_OK && find_nan(logits, n, model->experts, bad)) {
        return MOE_ERR_RANGE;
    }
    if (status == MOE_OK) {
        status = scratch_init(&scratch, model);
    }
    for (int64_t i = 0; status == MOE_OK && i < n; i++) {
        route_row(model, logits + i * model->experts, bias, &scratch,
                  ids + i * model->topk, weights + i * model->topk, stats);
    }
    scratch_fini(&scratch);
    return status;
}
