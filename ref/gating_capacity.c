/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/gating_capacity.h"

#include "moe/model.h"
#include "ref/score.h"

#include <math.h>
#include <stdlib.h>

/* One call. */
typedef struct {
    const moe_gating_t *g;
    const float *logits;
    int64_t s;
    int64_t e;
    int k;
    moe_gated_t *out;
    float *score; /* [S][E] */
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

/* Rows of an expert where the largest count sets them. */
static int64_t fullest(const work_t *w)
{
    const int64_t tp = w->g->tensor_parallel > 1 ? w->g->tensor_parallel : 1;
    int64_t c = w->g->agreed;

    for (int64_t e = 0; w->g->agreed == 0 && e < w->e; e++) {
        c = w->out->counts[e] > c ? w->out->counts[e] : c;
    }
    c = (c + tp - 1) / tp * tp;
    return w->g->kind == MOE_GATE_top1 && c > w->s ? w->s : c;
}

static moe_gate_rule_t rule_of(const moe_gating_t *g)
{
    const bool topk = g->kind == MOE_GATE_topk;
    const bool random = g->kind == MOE_GATE_top1 && g->drop == MOE_DROP_probs;

    return (moe_gate_rule_t){
        .capacity = MOE_CAPACITY_deepspeed,
        .drop = random ? MOE_DROP_random : g->drop,
        .by_k = !topk,
        .topk = g->topk,
        .factor = g->capacity_factor,
        .min_capacity = g->min_capacity,
        .choices_first = g->kind == MOE_GATE_top2,
        .first_loss = !topk,
        .renormalize = g->kind != MOE_GATE_top1,
        .scaling = 1.0f,
    };
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

static moe_status_t gate(work_t *w, moe_ref_stats_t *stats)
{
    const moe_gate_rule_t rule = rule_of(w->g);
    const moe_gate_case_t about = {
        .rule = &rule,
        .tokens = w->s,
        .experts = w->e,
        .score = w->score,
        .random = w->g->kind == MOE_GATE_top1 ? w->g->random : NULL,
    };

    for (int64_t i = 0; i < w->s; i++) {
        moe_score_row(MOE_SCORE_softmax, w->logits + i * w->e, w->e,
                      w->score + i * w->e, stats);
    }
    choose(w);
    moe_ref_gate_weigh(&about, w->out);
    moe_ref_gate_count(&about, w->out);
    w->out->capacity = w->g->drop == MOE_DROP_none
                           ? fullest(w)
                           : moe_gating_rows(&rule, w->e, w->s);
    return moe_ref_gate_drop(&about, w->out);
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
    status = w.score != NULL
                 ? gate(&w, stats)
                 : moe_fail(MOE_ERR_NOMEM, "no memory to gate %lld tokens",
                            (long long)tokens);
    free(w.score);
    return status;
}
