/* SPDX-License-Identifier: Apache-2.0 */
/* Weights: RN32 of the float64 quotient is that of the exact one unless it lies
 * on the middle of two fp32 numbers, or is not a normal number of fp32. */
#include "ref/route_fast.h"

#include "base/hot.h"
#include "base/status.h"
#include "ref/formats.h"
#include "ref/route_row.h"
#include "ref/score.h"

#include <math.h>
#include <stdlib.h>

enum {
    LANES = MOE_ROUTE_LANES,
    DEPTH = MOE_NEAR_DEPTH,
    WORD = MOE_NEAR_WORD,
    CANDIDATES = 16 /* of a token, at most */
};

typedef moe_lanes_t lanes_t;

/* The experts of 16 tokens that may be chosen; slots beyond a token's have
 * the choice -infinity. */
typedef struct {
    int32_t id[CANDIDATES][LANES];
    lanes_t logit[CANDIDATES];
    lanes_t score[CANDIDATES];
    lanes_t choice[CANDIDATES];
    int32_t rank[CANDIDATES][LANES];
    int n[LANES];
    int most;
} candidates_t;

/* What was chosen, in slot order. */
typedef struct {
    int32_t id[CANDIDATES][LANES];
    lanes_t score[CANDIDATES];
    lanes_t weight[DEPTH];
    uint32_t open[DEPTH][LANES]; /* weights that are not decided */
} chosen_t;

struct moe_route_fast {
    moe_model_t model;
    moe_near_t near;
    candidates_t found;
    chosen_t chosen;
};

bool moe_route_fast_suits(const moe_model_t *m)
{
    return m->score == MOE_SCORE_sigmoid && m->topk <= DEPTH &&
           (m->group_limit == MOE_GROUP_LIMIT_top2_sum ||
            (m->group_limit == MOE_GROUP_LIMIT_max &&
             m->topk_group == m->n_group));
}

moe_route_fast_t *moe_route_fast_new(const moe_model_t *model,
                                     const float *bias)
{
    moe_route_fast_t *fast = calloc(1, sizeof(*fast));

    if (fast == NULL) {
        (void)moe_fail(MOE_ERR_NOMEM, "no memory to route");
        return NULL;
    }
    fast->model = *model;
    if (moe_near_init(&fast->near, model, bias) != MOE_OK) {
        free(fast);
        return NULL;
    }
    return fast;
}

void moe_route_fast_free(moe_route_fast_t *fast)
{
    if (fast != NULL) {
        moe_near_fini(&fast->near);
        free(fast);
    }
}

/* The experts that a token's marks name; false if they are too many. */
static bool gather(moe_route_fast_t *f, const moe_route_block_t *b, int j)
{
    const float *logit = b->logits + j * b->stride;
    candidates_t *to = &f->found;
    int n = 0;

    for (int64_t w = 0; w * WORD < f->model.experts; w++) {
        for (uint32_t bits = f->near.mark[w][j]; bits != 0; bits &= bits - 1) {
            const int64_t e = w * WORD + __builtin_ctz(bits);

            if (n == CANDIDATES) {
                return false;
            }
            to->id[n][j] = (int32_t)e;
            to->logit[n][j] = logit[e];
            n++;
        }
    }
    to->n[j] = n;
    to->most = n > to->most ? n : to->most;
    return true;
}

/* Candidates of all tokens, their exact scores and choices. Returns the
 * tokens that have too many. */
static uint32_t find_candidates(moe_route_fast_t *f, const moe_route_block_t *b,
                                moe_ref_stats_t *stats)
{
    candidates_t *c = &f->found;
    uint32_t left = 0;

    c->most = 0;
    for (int j = 0; j < LANES; j++) {
        c->n[j] = 0;
        if (j < b->n && !gather(f, b, j)) {
            left |= UINT32_C(1) << j;
        }
        for (int i = c->n[j]; i < CANDIDATES; i++) {
            c->id[i][j] = 0;
            c->logit[i][j] = 0.0f;
        }
    }
    moe_score_row(MOE_SCORE_sigmoid, c->logit[0], c->most * LANES, c->score[0],
                  stats);
    for (int j = 0; j < LANES; j++) {
        for (int i = 0; i < c->n[j]; i++) {
            c->choice[i][j] =
                c->score[i][j] + (b->bias != NULL ? b->bias[c->id[i][j]] : 0);
        }
        for (int i = c->n[j]; i < c->most; i++) {
            c->choice[i][j] = -INFINITY;
        }
    }
    return left;
}

/* How many candidates come before each: larger ones, and equal ones with a
 * lower id, which stand before. */
MOE_HOT static void rank_candidates(candidates_t *c)
{
    for (int i = 0; i < c->most; i++) {
        const float *restrict x = c->choice[i];
        int32_t *restrict rank = c->rank[i];
        int32_t before[LANES] = {0};

        for (int h = 0; h < c->most; h++) {
            for (int j = 0; j < LANES; j++) {
                before[j] += (c->choice[h][j] > x[j]) |
                             ((c->choice[h][j] >= x[j]) & (h < i));
            }
        }
        for (int j = 0; j < LANES; j++) {
            rank[j] = before[j];
        }
    }
}

/* Weights of the chosen, and which of them are not decided. */
MOE_HOT static void weigh_chosen_lanes(const moe_model_t *m,
                                       chosen_t *restrict c)
{
    const double scaling = (double)m->routed_scaling;
    const uint64_t half = UINT64_C(1) << 28; /* of what fp32 cuts off */
    float sum[LANES];

    for (int j = 0; j < LANES; j++) {
        sum[j] = MOE_ROUTE_EPSILON;
    }
    for (int i = 0; i < m->topk; i++) {
        for (int j = 0; j < LANES; j++) {
            sum[j] += c->score[i][j];
        }
    }
    for (int i = 0; i < m->topk; i++) {
        for (int j = 0; j < LANES; j++) {
            const double p = scaling * (double)c->score[i][j];
            const double q = m->renormalize ? p / (double)sum[j] : p;
            const uint64_t rest = moe_f64_bits(q) & (2 * half - 1);

            c->weight[i][j] = (float)q;
            c->open[i][j] = (uint32_t)((rest == half) | !(fabs(q) > 0x1p-125) |
                                       !(fabs(q) < 0x1p127));
        }
    }
}

static float weight_of(const moe_model_t *m, const chosen_t *c, int i, int j)
{
    const double p = (double)m->routed_scaling * (double)c->score[i][j];
    float sum = MOE_ROUTE_EPSILON;

    if (!m->renormalize || c->open[i][j] == 0) {
        return c->weight[i][j];
    }
    for (int h = 0; h < m->topk; h++) {
        sum += c->score[h][j];
    }
    return moe_route_divide(p, (double)sum);
}

static void store(moe_route_fast_t *f, const moe_route_block_t *b)
{
    const candidates_t *from = &f->found;
    chosen_t *to = &f->chosen;

    for (int j = 0; j < LANES; j++) {
        for (int i = 0; i < from->most; i++) {
            to->id[from->rank[i][j]][j] = from->id[i][j];
            to->score[from->rank[i][j]][j] = from->score[i][j];
        }
    }
    weigh_chosen_lanes(&f->model, to);
    for (int j = 0; j < b->n; j++) {
        for (int i = 0; i < f->model.topk; i++) {
            b->ids[j * b->slots + i] = to->id[i][j];
            b->weights[j * b->slots + i] = weight_of(&f->model, to, i, j);
        }
    }
}

uint32_t moe_route_fast(moe_route_fast_t *f, const moe_route_block_t *b,
                        moe_ref_stats_t *stats)
{
    moe_ref_stats_t scored = {0, 0, 0};
    uint32_t left = moe_near_mark(&f->near, b);

    left |= find_candidates(f, b, &scored);
    rank_candidates(&f->found);
    store(f, b);
    /* tokens that are left are counted by who takes them */
    stats->elements += (b->n - __builtin_popcount(left)) * f->model.experts;
    stats->redone_exact += scored.redone_exact;
    return left;
}
