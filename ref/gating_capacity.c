/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/gating_capacity.h"

#include "moe/model.h"
#include "ref/score.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One call. */
typedef struct {
    const moe_gating_t *g;
    const float *logits;
    int64_t s;
    int64_t e;
    int k;
    moe_gated_t *out;
    float *score;     /* [S][E] */
    int64_t *fill;    /* [E] rows taken */
    int64_t *order;   /* [S] */
    const float *key; /* [S][E] what probs sorts by */
} work_t;

/* Place of the largest of row + noise but `but`; the first if equal. */
static int32_t largest(const float *row, const float *noise, int64_t n,
                       int32_t but)
{
    int32_t best = -1;
    float most = -INFINITY;

    for (int32_t i = 0; i < n; i++) {
        float x = row[i] + (noise == NULL ? 0.0f : noise[i]);

        if (i != but && (best < 0 || x > most)) {
            best = i;
            most = x;
        }
    }
    return best;
}

static const float *row_of(const float *x, int64_t n, int64_t row)
{
    return x == NULL ? NULL : x + row * n;
}

/* k largest scores, larger first, equal ones by id. */
static void top_scores(const work_t *w, const float *score, int32_t *ids)
{
    for (int j = 0; j < w->k; j++) {
        ids[j] = -1;
        for (int32_t e = 0; e < w->e; e++) {
            bool taken = false;

            for (int i = 0; i < j; i++) {
                taken = taken || ids[i] == e;
            }
            if (!taken && (ids[j] < 0 || score[e] > score[ids[j]])) {
                ids[j] = e;
            }
        }
    }
}

static void choose(const work_t *w)
{
    for (int64_t i = 0; i < w->s; i++) {
        const float *score = w->score + i * w->e;
        const float *noise = row_of(w->g->noise, w->e, i);
        const float *logits = w->logits + i * w->e;
        int32_t *ids = w->out->ids + i * w->k;

        if (w->g->kind == MOE_GATE_topk) {
            top_scores(w, score, ids);
        } else if (w->g->kind == MOE_GATE_top2) {
            ids[0] = largest(score, NULL, w->e, -1);
            ids[1] = largest(logits, noise, w->e, ids[0]);
        } else {
            ids[0] = noise == NULL ? largest(score, NULL, w->e, -1)
                                   : largest(logits, noise, w->e, -1);
            ids[0] = w->g->used != NULL && w->g->used[i] == 0 ? -1 : ids[0];
        }
    }
}

static void count(const work_t *w)
{
    memset(w->out->counts, 0, (size_t)w->e * sizeof(*w->out->counts));
    for (int64_t i = 0; i < w->s * w->k; i++) {
        if (w->out->ids[i] >= 0) {
            w->out->counts[w->out->ids[i]]++;
        }
    }
}

/* E / (k S^2) x sum of (sum of scores) x count; top2: of first choices. */
static float aux_loss(const work_t *w)
{
    const bool first = w->g->kind != MOE_GATE_topk;
    const double s = (double)w->s;
    double loss = 0.0;

    for (int64_t e = 0; e < w->e; e++) {
        double sum = 0.0;
        int64_t n = 0;

        for (int64_t i = 0; i < w->s; i++) {
            const int32_t *ids = w->out->ids + i * w->k;

            sum += (double)w->score[i * w->e + e];
            for (int j = 0; j < (first ? 1 : w->k); j++) {
                n += ids[j] == e;
            }
        }
        loss += sum * (double)n;
    }
    return (float)(loss * (double)w->e / (s * s) / (first ? 1 : w->k));
}

static int64_t capacity(const work_t *w)
{
    const int64_t tp = w->g->tensor_parallel > 1 ? w->g->tensor_parallel : 1;
    int64_t c = w->g->agreed;
    double rows;

    if (w->g->drop == MOE_DROP_none) {
        for (int64_t e = 0; w->g->agreed == 0 && e < w->e; e++) {
            c = w->out->counts[e] > c ? w->out->counts[e] : c;
        }
        c = (c + tp - 1) / tp * tp;
        return w->g->kind == MOE_GATE_top1 && c > w->s ? w->s : c;
    }
    rows = ceil((double)w->s / (double)w->e *
                (w->g->capacity_factor * (double)w->k));
    c = rows < 9e15 ? (int64_t)rows : INT64_MAX;
    return c > w->g->min_capacity ? c : w->g->min_capacity;
}

static void evict(const work_t *w, int64_t pair)
{
    w->out->ids[pair] = -1;
    w->out->location[pair] = -1;
}

/* Rows in the order of tokens, slot by slot in one token; top2: all first
 * choices before the second ones. Rows from C on are none. */
static void locate(const work_t *w)
{
    const bool choices = w->g->kind == MOE_GATE_top2;

    memset(w->fill, 0, (size_t)w->e * sizeof(*w->fill));
    for (int64_t i = 0; i < w->s * w->k; i++) {
        int64_t pair = choices ? i % w->s * w->k + i / w->s : i;
        int32_t e = w->out->ids[pair];

        if (e < 0) {
            w->out->location[pair] = -1;
            continue;
        }
        w->out->location[pair] = w->fill[e]++;
        if (w->out->location[pair] >= w->out->capacity) {
            evict(w, pair);
        }
    }
}

/* Slot of token i that has expert e, or -1. */
static int slot_of(const work_t *w, int64_t i, int32_t e)
{
    for (int j = 0; j < w->k; j++) {
        if (w->out->ids[i * w->k + j] == e) {
            return j;
        }
    }
    return -1;
}

static float key_of(const work_t *w, int64_t i, int32_t e)
{
    return slot_of(w, i, e) < 0 ? 0.0f : w->key[i * w->e + e];
}

/* Of an expert's column the C largest keys stay; a token that did not choose
 * it has 0 there, as torch.topk of the masked scores sees it. */
static void keep_largest(const work_t *w, int32_t e)
{
    const int64_t n = w->out->capacity < w->s ? w->out->capacity : w->s;

    for (int64_t i = 0; i < w->s; i++) {
        int64_t at = i;

        for (; at > 0 && key_of(w, i, e) > key_of(w, w->order[at - 1], e);
             at--) {
            w->order[at] = w->order[at - 1];
        }
        w->order[at] = i;
    }
    for (int64_t i = n; i < w->s; i++) {
        int slot = slot_of(w, w->order[i], e);

        if (slot >= 0) {
            evict(w, w->order[i] * w->k + slot);
        }
    }
}

static void weigh(const work_t *w)
{
    for (int64_t i = 0; i < w->s; i++) {
        const int32_t *ids = w->out->ids + i * w->k;
        float *weights = w->out->weights + i * w->k;
        float sum = 0.0f;

        for (int j = 0; j < w->k; j++) {
            weights[j] = ids[j] < 0 ? 0.0f : w->score[i * w->e + ids[j]];
            sum += weights[j];
        }
        sum = sum > FLT_EPSILON ? sum : FLT_EPSILON;
        for (int j = 0; w->g->kind != MOE_GATE_top1 && j < w->k; j++) {
            weights[j] = weights[j] / sum;
        }
    }
}

static moe_status_t check(const moe_gating_t *g, const float *logits,
                          int64_t tokens, int64_t experts)
{
    const bool k = g->kind == MOE_GATE_top1   ? g->topk == 1
                   : g->kind == MOE_GATE_top2 ? g->topk == 2
                                              : g->topk >= 1;

    if (!k || g->topk > MOE_TOPK_MAX || g->topk > experts || experts < 1 ||
        experts > INT32_MAX || tokens < 0 || !(g->capacity_factor > 0.0) ||
        g->min_capacity < 1 || g->agreed < 0 ||
        (g->drop == MOE_DROP_probs && g->kind == MOE_GATE_top2) ||
        (g->drop == MOE_DROP_probs && g->kind == MOE_GATE_top1 &&
         g->random == NULL)) {
        return moe_fail(MOE_ERR_RANGE,
                        "gating of %lld tokens to top-%d of "
                        "%lld experts",
                        (long long)tokens, g->topk, (long long)experts);
    }
    for (int64_t i = 0; i < tokens * experts; i++) {
        if (isnan(logits[i])) {
            return moe_fail(MOE_ERR_RANGE,
                            "the logit of token %lld for expert %lld is NaN",
                            (long long)(i / experts), (long long)(i % experts));
        }
    }
    return MOE_OK;
}

static void gate(work_t *w, moe_ref_stats_t *stats)
{
    for (int64_t i = 0; i < w->s; i++) {
        moe_score_row(MOE_SCORE_softmax, w->logits + i * w->e, w->e,
                      w->score + i * w->e, stats);
    }
    w->key = w->g->kind == MOE_GATE_top1 ? w->g->random : w->score;
    choose(w);
    count(w);
    w->out->aux_loss = w->s > 0 ? aux_loss(w) : 0.0f;
    w->out->capacity = capacity(w);
    for (int32_t e = 0; w->g->drop == MOE_DROP_probs && e < w->e; e++) {
        keep_largest(w, e);
    }
    locate(w);
    weigh(w);
}

moe_status_t moe_ref_gate(const moe_gating_t *gating, const float *logits,
                          int64_t tokens, int64_t experts, moe_gated_t *gated,
                          moe_ref_stats_t *stats)
{
    moe_status_t status = check(gating, logits, tokens, experts);
    work_t w = {.g = gating,
                .logits = logits,
                .s = tokens,
                .e = experts,
                .k = gating->topk,
                .out = gated};

    if (status != MOE_OK) {
        return status;
    }
    w.score = calloc((size_t)(tokens * experts) + 1, sizeof(*w.score));
    w.fill = calloc((size_t)experts, sizeof(*w.fill));
    w.order = calloc((size_t)tokens + 1, sizeof(*w.order));
    if (w.score != NULL && w.fill != NULL && w.order != NULL) {
        gate(&w, stats);
    } else {
        status = moe_fail(MOE_ERR_NOMEM, "no memory to gate %lld tokens",
                          (long long)tokens);
    }
    free(w.score);
    free(w.fill);
    free(w.order);
    return status;
}
