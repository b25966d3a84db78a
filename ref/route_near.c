/* SPDX-License-Identifier: Apache-2.0 */
/*
 * u = 2^-24. The near sigmoid: x = n ln 2 + r, |r| < 0.3467, |n| <= 58, so n
 * times the high part of ln 2 (17 bits) is exact, and what the low part and the
 * subtractions round is below 0.4 u. exp(r) to degree 6 is off by 2^-23.0 /
 * 0.707 < 2^-22.5 relative, Horner's rounding by less than 2.2 u: together
 * below 2^-21.5. 1 / (1 + e) has s (1 - s) <= 1/4 of that, and its own two
 * roundings 2 u: below 2^-22. Clamping at 40 adds 2^-57. So s is off by less
 * than MOE_NEAR_ERROR = 2^-21, RN32(sigma) from sigma, 2^-25, included.
 *
 * A choice RN32(s + bias) then is off by 2^-21 + 2 u (1 + B), B = max |bias|:
 * below near = 2^-20 (1 + B). A group's score, of two, by 2.5 near.
 *   - Groups: those of the largest near scores are the right ones if they are
 *     more than 5 near apart from the others; asked for: 6.
 *   - Experts: k choices are at least v - near, v the k-th largest near one. So
 *     are the k right ones, whose near choices are at least v - 2 near.
 *     Subtracting rounds by u (2 + B), which near has to spare.
 */
#include "ref/route_near.h"

#include "base/hot.h"
#include "ref/formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_LIMIT 40.0f

enum {
    LANES = MOE_ROUTE_LANES,
    HALF = LANES * LANES / 2,
    DEPTH = MOE_NEAR_DEPTH,
    WORD = MOE_NEAR_WORD,
    ALIGN = 64 /* bytes of a vector, and of lanes */
};

typedef moe_lanes_t lanes_t;

MOE_HOT_INLINE float near_sigmoid(float logit)
{
    const float shift = 0x1.8p23f; /* adding it rounds to an integer */
    const float low = logit > NEAR_LIMIT ? NEAR_LIMIT : logit;
    const float x = low < -NEAR_LIMIT ? -NEAR_LIMIT : low;
    const float t = x * -0x1.715476p0f + shift;
    const float n = t - shift;
    const float r = (n * -0x1.62e4p-1f - x) - n * 0x1.7f7d1cp-20f;
    float p = 1.0f / 720.0f;

    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    /* the low bits of t are n; 2^n is normal */
    return 1.0f /
           (1.0f + p * moe_f32_of_bits((moe_f32_bits(t) << 23) + 0x3f800000u));
}

float moe_near_sigmoid(float logit)
{
    return near_sigmoid(logit);
}

/* to[2 i] and to[2 i + 1] from either half. The index rotates by a bit; four
 * times, and rows and columns of 16 x 16 have changed places. */
MOE_HOT_INLINE void interleave(const float *restrict from, float *restrict to)
{
    for (int i = 0; i < HALF; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = from[HALF + i];
    }
}

/* Near choices of LANES experts from here on. */
MOE_HOT static void near_tile(const float *const row[LANES], const float *bias,
                              lanes_t *restrict choice)
{
    float a[2 * HALF];
    float b[2 * HALF];

    for (int i = 0; i < LANES; i++) {
        memcpy(b + LANES * i, row[i], sizeof(lanes_t));
    }
    interleave(b, a);
    interleave(a, b);
    interleave(b, a);
    interleave(a, b);
    for (int i = 0; i < LANES; i++) {
        const float add = bias[i];

        for (int j = 0; j < LANES; j++) {
            choice[i][j] = near_sigmoid(b[i * LANES + j]) + add;
        }
    }
}

/* The last experts, fewer than LANES; those beyond, for which there is room in
 * choice, are something. */
static void near_rest(const float *const row[LANES], const float *bias,
                      size_t n, lanes_t *choice)
{
    lanes_t copy[LANES] = {{0.0f}};
    lanes_t add = {0.0f};
    const float *at[LANES];

    for (int j = 0; j < LANES; j++) {
        memcpy(copy[j], row[j], n * sizeof(float));
        at[j] = copy[j];
    }
    memcpy(add, bias, n * sizeof(float));
    near_tile(at, add, choice);
}

/* Tokens beyond n are the last one again. */
static void near_choices(const moe_route_block_t *b, int64_t experts,
                         lanes_t *choice)
{
    static const lanes_t none = {0.0f};
    const float *row[LANES];

    for (int64_t e = 0; e < experts; e += LANES) {
        const float *bias = b->bias != NULL ? b->bias + e : none;

        for (int j = 0; j < LANES; j++) {
            row[j] = b->logits + (j < b->n ? j : b->n - 1) * b->stride + e;
        }
        if (experts - e >= LANES) {
            near_tile(row, bias, choice + e);
        } else {
            near_rest(row, bias, (size_t)(experts - e), choice + e);
        }
    }
}

/* The sum of the two largest near choices of each group, or the only one. */
MOE_HOT static void near_groups(const lanes_t *restrict x, int64_t size,
                                int n_group, lanes_t *restrict group)
{
    for (int g = 0; g < n_group; g++, x += size) {
        float first[LANES];
        float second[LANES];

        for (int j = 0; j < LANES; j++) {
            first[j] = x[0][j];
            second[j] = size > 1 ? -INFINITY : 0.0f;
        }
        for (int64_t i = 1; i < size; i++) {
            for (int j = 0; j < LANES; j++) {
                float a = first[j];
                float b = x[i][j];
                float lesser = b < a ? b : a;

                first[j] = b > a ? b : a;
                second[j] = lesser > second[j] ? lesser : second[j];
            }
        }
        for (int j = 0; j < LANES; j++) {
            group[g][j] = first[j] + second[j];
        }
    }
}

/* Masks of topk groups, and for each token the least score kept less the
 * largest other. */
MOE_HOT static void near_masks(const lanes_t *restrict group, int n_group,
                               int topk, lanes_t *restrict mask,
                               float *restrict apart)
{
    float low[LANES];
    float high[LANES];

    for (int j = 0; j < LANES; j++) {
        low[j] = INFINITY;
        high[j] = -INFINITY;
    }
    for (int g = 0; g < n_group; g++) {
        int better[LANES] = {0};

        for (int h = 0; h < n_group; h++) {
            for (int j = 0; j < LANES; j++) {
                better[j] += (group[h][j] > group[g][j]) |
                             ((group[h][j] >= group[g][j]) & (h < g));
            }
        }
        for (int j = 0; j < LANES; j++) {
            const int kept = better[j] < topk;
            const float x = group[g][j];
            const float lower = x < low[j] ? x : low[j];
            const float higher = x > high[j] ? x : high[j];

            mask[g][j] = kept ? 0.0f : -INFINITY;
            low[j] = kept ? lower : low[j];
            high[j] = kept ? high[j] : higher;
        }
    }
    for (int j = 0; j < LANES; j++) {
        apart[j] = low[j] - high[j];
    }
}

/* The k-th largest choice of each token. Those of groups that are not kept
 * become -infinity. */
MOE_HOT static void near_largest(lanes_t *restrict choice, int64_t size,
                                 const lanes_t *restrict mask, int n_group,
                                 lanes_t *restrict best)
{
    for (int i = 0; i < DEPTH; i++) {
        for (int j = 0; j < LANES; j++) {
            best[i][j] = -INFINITY;
        }
    }
    for (int g = 0; g < n_group; g++) {
        for (int64_t e = g * size; e < (g + 1) * size; e++) {
            for (int j = 0; j < LANES; j++) {
                float x = choice[e][j] + mask[g][j];

                choice[e][j] = x;
                for (int i = 0; i < DEPTH; i++) {
                    const float a = best[i][j];
                    const float lesser = x < a ? x : a;

                    best[i][j] = a < x ? x : a;
                    x = lesser;
                }
            }
        }
    }
}

/* A bit for each choice of at least a token's threshold. */
MOE_HOT static void near_marks(const lanes_t *restrict choice, int64_t experts,
                               const float *restrict least,
                               uint32_t (*restrict mark)[LANES])
{
    for (int64_t e = 0; e < experts; e += WORD) {
        const int64_t n = experts - e < WORD ? experts - e : WORD;
        uint32_t bits[LANES] = {0};

        for (int64_t i = 0; i < n; i++) {
            const uint32_t bit = UINT32_C(1) << i;

            for (int j = 0; j < LANES; j++) {
                bits[j] |= choice[e + i][j] >= least[j] ? bit : 0;
            }
        }
        for (int j = 0; j < LANES; j++) {
            mark[e / WORD][j] = bits[j];
        }
    }
}

uint32_t moe_near_mark(const moe_near_t *n, const moe_route_block_t *b)
{
    const int64_t size = n->experts / n->n_group;
    const lanes_t *mask = (const lanes_t *)n->mask;
    uint32_t left = 0;
    lanes_t best[DEPTH];

    near_choices(b, n->experts, n->choice);
    memset(n->mask, 0, (size_t)n->n_group * sizeof(n->mask[0]));
    if (n->topk_group < n->n_group) {
        lanes_t apart;

        near_groups((const lanes_t *)n->choice, size, n->n_group, n->group);
        near_masks((const lanes_t *)n->group, n->n_group, n->topk_group,
                   n->mask, apart);
        for (int j = 0; j < b->n; j++) {
            left |= (apart[j] > 6.0f * n->near ? 0 : UINT32_C(1)) << j;
        }
    }
    near_largest(n->choice, size, mask, n->n_group, best);
    for (int j = 0; j < LANES; j++) {
        best[n->topk - 1][j] -= 2.0f * n->near;
    }
    near_marks((const lanes_t *)n->choice, n->experts, best[n->topk - 1],
               n->mark);
    return left;
}

moe_status_t moe_near_init(moe_near_t *n, const moe_model_t *model,
                           const float *bias)
{
    const size_t room = (size_t)model->experts + LANES - 1;
    const size_t groups = (size_t)model->n_group;
    float most = 0.0f;
    void *all = NULL;

    if (posix_memalign(&all, ALIGN,
                       (room + 2 * groups + room / WORD + 1) * ALIGN) != 0) {
        return moe_fail(MOE_ERR_NOMEM, "no memory to route %lld experts",
                        (long long)model->experts);
    }
    for (int64_t e = 0; bias != NULL && e < model->experts; e++) {
        most = fabsf(bias[e]) > most ? fabsf(bias[e]) : most;
    }
    *n = (moe_near_t){.experts = model->experts,
                      .n_group = model->n_group,
                      .topk_group = model->topk_group,
                      .topk = model->topk,
                      .near = 0x1p-20f * (1.0f + most),
                      .choice = all};
    n->group = n->choice + room;
    n->mask = n->group + groups;
    n->mark = (uint32_t(*)[LANES])(void *)(n->mask + groups);
    return MOE_OK;
}

void moe_near_fini(moe_near_t *n)
{
    free(n->choice);
    n->choice = NULL;
}
