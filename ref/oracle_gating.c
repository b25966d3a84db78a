/* SPDX-License-Identifier: Apache-2.0 */
/* Written from doc/numerics.md, "Gates with capacity", pair by pair: a pair
 * has a row if fewer than C of its expert's are ahead of it. */
#include "ref/oracle_gating.h"

#include "ref/oracle_numbers.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const moe_oracle_gating_t *in;
    moe_oracle_gated_t *out;
    int k;
    double *column; /* [S] what an expert's pairs are compared by, else 0 */
    int64_t *pair;  /* [S] pairs of an expert, one a token at most */
    double *share;  /* [E] of one token */
    double *mass;   /* [E] sums of the scores of all tokens */
    double *logit;  /* [E] of one token */
    mpfr_t sum;
} work_t;

static int64_t capacity(const moe_oracle_gating_t *in)
{
    const moe_gate_rule_t *r = in->rule;
    const double s = (double)in->tokens;
    const double e = (double)in->experts;
    double rows = ceil(s / e * (r->factor * r->topk));

    if (r->drop == MOE_DROP_none) {
        return in->fullest;
    }
    if (r->capacity == MOE_CAPACITY_megatron) {
        rows = ceil(s * r->topk / e * r->factor);
    } else if (r->capacity == MOE_CAPACITY_tutel) {
        rows = r->topk * floor(ceil(s / e) * fabs(r->factor));
    }
    rows = fmax(rows, (double)r->min_capacity);
    if (r->factor < 0.0) {
        rows = fmin(rows, (double)in->fullest);
    }
    return (int64_t)rows;
}

/* Score of a token for one expert, as fp32. */
static double score(work_t *w, int64_t token, int32_t e)
{
    const moe_oracle_gating_t *in = w->in;

    if (in->logits != NULL) {
        for (int64_t i = 0; i < in->experts; i++) {
            w->logit[i] = (double)in->logits[token * in->experts + i];
        }
        return oracle_share(w->sum, 1.0, w->logit, in->experts, e,
                            MOE_FORMAT_fp32);
    }
    for (int j = 0; j < w->k; j++) {
        if (in->ids[token * w->k + j] == e) {
            return (double)in->weights[token * w->k + j];
        }
    }
    return 0.0;
}

/* Adds a token's scores, not rounded, to those of all. */
static void add_mass(work_t *w, int64_t token)
{
    const moe_oracle_gating_t *in = w->in;
    const float *x = in->logits + token * in->experts;
    double sum = 0.0;
    float top = x[0];

    for (int64_t e = 1; e < in->experts; e++) {
        top = x[e] > top ? x[e] : top;
    }
    for (int64_t e = 0; e < in->experts; e++) {
        w->share[e] = x[e] < top ? exp((double)x[e] - (double)top) : 1.0;
        sum += w->share[e];
    }
    for (int64_t e = 0; e < in->experts; e++) {
        w->mass[e] += w->share[e] / sum;
    }
}

/* E / (k S^2) x sum of mass x count, the count of first choices or of all. */
static void loss(work_t *w)
{
    const moe_oracle_gating_t *in = w->in;
    const int n = in->rule->first_loss ? 1 : w->k;
    const double s = (double)in->tokens;
    double sum = 0.0;

    for (int64_t i = 0; i < in->tokens; i++) {
        for (int j = 0; in->logits == NULL && j < w->k; j++) {
            w->mass[in->ids[i * w->k + j]] += (double)in->weights[i * w->k + j];
        }
        if (in->logits != NULL) {
            add_mass(w, i);
        }
    }
    for (int64_t i = 0; i < in->tokens; i++) {
        for (int j = 0; j < n; j++) {
            sum += w->mass[in->ids[i * w->k + j]];
        }
    }
    w->out->loss =
        in->tokens > 0 ? sum * (double)in->experts / (s * s * n) : 0.0;
}

static double key(work_t *w, int64_t token, int32_t e)
{
    return w->in->rule->drop == MOE_DROP_random
               ? (double)moe_gating_random(w->in->seed, w->in->first + token, e)
               : score(w, token, e);
}

/* Pairs of an expert, in the order in which they have rows. */
static int64_t find_pairs(work_t *w, int32_t e)
{
    const moe_oracle_gating_t *in = w->in;
    const bool columns = in->rule->choices_first;
    int64_t n = 0;

    for (int64_t i = 0; i < in->tokens * w->k; i++) {
        int64_t at = columns ? i % in->tokens * w->k + i / in->tokens : i;

        if (in->ids[at] == e) {
            w->pair[n++] = at;
        }
    }
    return n;
}

/* Tokens ahead of one in a column: a larger number, or an equal one before. */
static int64_t ahead(const work_t *w, int64_t token)
{
    int64_t n = 0;

    for (int64_t i = 0; i < w->in->tokens; i++) {
        n += w->column[i] > w->column[token] ||
             (i < token && !(w->column[i] < w->column[token]));
    }
    return n;
}

static void gate_expert(work_t *w, int32_t e)
{
    const moe_drop_t drop = w->in->rule->drop;
    const int64_t n = find_pairs(w, e);
    int64_t rows = 0;

    w->out->counts[e] = (int32_t)n;
    if (drop == MOE_DROP_probs || drop == MOE_DROP_random) {
        memset(w->column, 0, (size_t)w->in->tokens * sizeof(*w->column));
        for (int64_t i = 0; i < n; i++) {
            w->column[w->pair[i] / w->k] = key(w, w->pair[i] / w->k, e);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        bool stays = drop == MOE_DROP_none || drop == MOE_DROP_position ||
                     ahead(w, w->pair[i] / w->k) < w->out->capacity;

        stays = stays && rows < w->out->capacity;
        w->out->ids[w->pair[i]] = stays ? e : -1;
        w->out->location[w->pair[i]] = stays ? (int32_t)rows : -1;
        rows += stays;
    }
}

/* Weights: as they were, or where some are lost over the sum of the rest. */
static void weigh(work_t *w, int64_t token)
{
    const int32_t *left = w->out->ids + token * w->k;
    const int32_t *all = w->in->ids + token * w->k;
    const float *given = w->in->weights + token * w->k;
    double s[MOE_TOPK_MAX];
    float sum = 0.0f;
    int lost = 0;

    for (int j = 0; j < w->k; j++) {
        s[j] = left[j] < 0 ? 0.0 : (double)given[j];
        lost += left[j] < 0;
    }
    if (lost > 0 && w->in->rule->renormalize) {
        for (int j = 0; j < w->k; j++) {
            s[j] = left[j] < 0 ? 0.0 : score(w, token, all[j]);
            sum += (float)s[j];
        }
        sum = fmaxf(sum, 0x1p-23f);
        for (int j = 0; j < w->k; j++) {
            s[j] = (double)((float)(s[j] / (double)sum) * w->in->rule->scaling);
        }
    }
    for (int j = 0; j < w->k; j++) {
        w->out->weights[token * w->k + j] = (float)s[j];
    }
}

static void gate(work_t *w)
{
    w->out->capacity = capacity(w->in);
    loss(w);
    for (int32_t e = 0; e < w->in->experts; e++) {
        gate_expert(w, e);
    }
    for (int64_t i = 0; i < w->in->tokens; i++) {
        weigh(w, i);
    }
}

moe_status_t moe_oracle_gate(const moe_oracle_gating_t *in,
                             moe_oracle_gated_t *out)
{
    const size_t s = (size_t)in->tokens + 1;
    const size_t e = (size_t)in->experts + 1;
    double *room = calloc(2 * s + 3 * e, sizeof(*room));
    work_t w = {.in = in, .out = out, .k = in->rule->topk, .column = room};

    if (room == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "oracle: no memory for a gate");
    }
    w.pair = (int64_t *)(void *)(room + s);
    w.share = room + 2 * s;
    w.mass = w.share + e;
    w.logit = w.mass + e;
    mpfr_init2(w.sum, ORACLE_BITS);
    gate(&w);
    mpfr_clear(w.sum);
    free(room);
    return MOE_OK;
}

void moe_oracle_leave_out(int32_t *ids, int64_t pairs, int64_t *room)
{
    for (int64_t i = 0; i < pairs; i++) {
        if (room[ids[i]]-- <= 0) {
            ids[i] = -1;
        }
    }
}
