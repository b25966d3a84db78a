/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/gating_drop.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* A pair of the expert at hand. */
typedef struct {
    float key;
    int64_t pair;
} keyed_t;

typedef struct {
    const moe_gate_case_t *about;
    moe_gated_t *out;
    int k;
    int64_t *fill;  /* [E] rows taken */
    int64_t *first; /* [E + 1] where an expert's pairs begin */
    keyed_t *keyed; /* [S k] pairs by expert, then token */
} work_t;

void moe_ref_gate_count(const moe_gate_case_t *about, moe_gated_t *gated)
{
    const int64_t pairs = about->tokens * about->rule->topk;

    memset(gated->counts, 0, (size_t)about->experts * sizeof(*gated->counts));
    for (int64_t i = 0; i < pairs; i++) {
        if (gated->ids[i] >= 0) {
            gated->counts[gated->ids[i]]++;
        }
    }
}

static float score_of(const moe_gate_case_t *about, int64_t token, int32_t e)
{
    return e < 0 ? 0.0f : about->score[token * about->experts + e];
}

static void weigh_token(const moe_gate_case_t *about, int64_t token,
                        moe_gated_t *gated)
{
    const int k = about->rule->topk;
    const int32_t *ids = gated->ids + token * k;
    float *weights = gated->weights + token * k;
    float sum = 0.0f;

    for (int j = 0; j < k; j++) {
        weights[j] = score_of(about, token, ids[j]);
        sum += weights[j];
    }
    sum = sum > FLT_EPSILON ? sum : FLT_EPSILON;
    for (int j = 0; about->rule->renormalize && j < k; j++) {
        weights[j] = weights[j] / sum * about->rule->scaling;
    }
}

void moe_ref_gate_weigh(const moe_gate_case_t *about, moe_gated_t *gated)
{
    for (int64_t i = 0; i < about->tokens; i++) {
        weigh_token(about, i, gated);
    }
}

/* Choices of an expert that the loss counts. */
static int64_t counted(const work_t *w, int32_t e)
{
    const int n = w->about->rule->first_loss ? 1 : w->k;
    int64_t sum = 0;

    if (n == w->k) {
        return w->out->counts[e];
    }
    for (int64_t i = 0; i < w->about->tokens; i++) {
        sum += w->out->ids[i * w->k] == e;
    }
    return sum;
}

static float aux_loss(const work_t *w)
{
    const double s = (double)w->about->tokens;
    const int n = w->about->rule->first_loss ? 1 : w->k;
    double loss = 0.0;

    for (int32_t e = 0; s > 0.0 && e < w->about->experts; e++) {
        double sum = 0.0;

        for (int64_t i = 0; i < w->about->tokens; i++) {
            sum += (double)score_of(w->about, i, e);
        }
        loss += sum * (double)counted(w, e);
    }
    return s > 0.0 ? (float)(loss * (double)w->about->experts / (s * s) / n)
                   : 0.0f;
}

static void evict(const work_t *w, int64_t pair)
{
    w->out->ids[pair] = -1;
    w->out->location[pair] = -1;
}

/* Rows in the order of tokens, slot by slot in one token, or slot after slot.
 * Rows from C on are none. */
static void locate(const work_t *w)
{
    const bool choices = w->about->rule->choices_first;
    const int64_t s = w->about->tokens;

    memset(w->fill, 0, (size_t)w->about->experts * sizeof(*w->fill));
    for (int64_t i = 0; i < s * w->k; i++) {
        int64_t pair = choices ? i % s * w->k + i / s : i;
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

/* Pairs by expert, in the order of tokens, with what they are sorted by. */
static void sort_pairs(const work_t *w)
{
    const float *key =
        w->about->random != NULL ? w->about->random : w->about->score;

    w->first[0] = 0;
    for (int64_t e = 0; e < w->about->experts; e++) {
        w->first[e + 1] = w->first[e] + w->out->counts[e];
        w->fill[e] = w->first[e];
    }
    for (int64_t i = 0; i < w->about->tokens * w->k; i++) {
        int32_t e = w->out->ids[i];

        if (e >= 0) {
            w->keyed[w->fill[e]++] =
                (keyed_t){key[i / w->k * w->about->experts + e], i};
        }
    }
}

static int by_key(const void *a, const void *b)
{
    const keyed_t *x = a;
    const keyed_t *y = b;
    const int larger = (x->key < y->key) - (x->key > y->key);

    return larger != 0 ? larger : (x->pair > y->pair) - (x->pair < y->pair);
}

/* Of an expert's column the C largest keys stay; a token that did not choose
 * it has 0 there, as torch.topk of the masked scores sees it, so that a key of
 * 0 is one of many. */
static void keep_largest(const work_t *w, int32_t e)
{
    keyed_t *pair = w->keyed + w->first[e];
    const int64_t n = w->first[e + 1] - w->first[e];
    int64_t above = 0; /* keys above 0 */

    qsort(pair, (size_t)n, sizeof(*pair), by_key);
    while (above < n && pair[above].key > 0.0f) {
        above++;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t place = i;

        if (i >= above) { /* tokens before it without one above 0, too */
            place = above + pair[i].pair / w->k;
            for (int64_t j = 0; j < above; j++) {
                place -= pair[j].pair / w->k < pair[i].pair / w->k;
            }
        }
        if (place >= w->out->capacity) {
            evict(w, pair[i].pair);
        }
    }
}

static void weigh_what_is_left(const work_t *w, int64_t token)
{
    const int32_t *ids = w->out->ids + token * w->k;
    float *weights = w->out->weights + token * w->k;
    bool lost = false;

    for (int j = 0; j < w->k; j++) {
        lost = lost || ids[j] < 0;
        weights[j] = ids[j] < 0 ? 0.0f : weights[j];
    }
    if (lost && w->about->rule->renormalize) {
        weigh_token(w->about, token, w->out);
    }
}

static void drop(const work_t *w)
{
    const moe_drop_t policy = w->about->rule->drop;

    w->out->aux_loss = aux_loss(w);
    if (policy == MOE_DROP_probs || policy == MOE_DROP_random) {
        sort_pairs(w);
        for (int32_t e = 0; e < w->about->experts; e++) {
            keep_largest(w, e);
        }
    }
    locate(w);
    for (int64_t i = 0; i < w->about->tokens; i++) {
        weigh_what_is_left(w, i);
    }
}

moe_status_t moe_ref_gate_drop(const moe_gate_case_t *about, moe_gated_t *gated)
{
    const size_t experts = (size_t)about->experts;
    const size_t pairs = (size_t)(about->tokens * about->rule->topk);
    work_t w = {.about = about, .out = gated, .k = about->rule->topk};
    moe_status_t status = MOE_OK;

    w.fill = calloc(2 * experts + 2, sizeof(*w.fill));
    w.keyed = calloc(pairs + 1, sizeof(*w.keyed));
    if (w.fill != NULL && w.keyed != NULL) {
        w.first = w.fill + experts;
        drop(&w);
    } else {
        status = moe_fail(MOE_ERR_NOMEM, "no memory to gate %lld tokens",
                          (long long)about->tokens);
    }
    free(w.fill);
    free(w.keyed);
    return status;
}
