/* SPDX-License-Identifier: Apache-2.0 */
/* Order of everything here is total: larger first, then the lower id. GPU
 * libraries leave ties undefined (torch.topk). */
#include "ref/route_choose.h"

#include "base/hot.h"

#include <math.h>

enum {
    LANES = 16
};

/* The two largest of n numbers, n a multiple of LANES. */
MOE_HOT static void top2(const float *restrict x, int64_t n, float best[2])
{
    float first[LANES];
    float second[LANES];

    for (int j = 0; j < LANES; j++) {
        first[j] = x[j];
        second[j] = -INFINITY;
    }
    for (int64_t i = LANES; i < n; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            float a = first[j];
            float b = x[i + j];
            float lesser = b < a ? b : a;

            first[j] = b > a ? b : a;
            second[j] = lesser > second[j] ? lesser : second[j];
        }
    }
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int j = 0; j < half; j++) {
            float a = first[j];
            float b = first[j + half];
            float lesser = b < a ? b : a;
            float rest =
                second[j] > second[j + half] ? second[j] : second[j + half];

            first[j] = b > a ? b : a;
            second[j] = lesser > rest ? lesser : rest;
        }
    }
    best[0] = first[0];
    best[1] = second[0];
}

static void score_groups(const moe_model_t *model, const moe_route_row_t *row)
{
    const int64_t size = model->experts / model->n_group;
    const bool sum = model->group_limit == MOE_GROUP_LIMIT_top2_sum && size > 1;

    for (int g = 0; g < model->n_group; g++) {
        float best[2] = {-INFINITY, -INFINITY};
        float first;
        float second;
        int64_t e = g * size;

        if (size % LANES == 0) {
            top2(row->choice + e, size, best);
            e += size;
        }
        first = best[0];
        second = best[1];
        for (; e < (g + 1) * size; e++) {
            float x = row->choice[e];
            float lesser = x < first ? x : first;

            second = lesser > second ? lesser : second;
            first = x > first ? x : first;
        }
        row->group[g] = sum ? first + second : first;
        row->keep[g] = false;
    }
}

static void keep_groups(const moe_model_t *model, const moe_route_row_t *row)
{
    score_groups(model, row);
    for (int i = 0; i < model->topk_group; i++) {
        int best = -1;

        for (int g = 0; g < model->n_group; g++) {
            if (!row->keep[g] &&
                (best < 0 || row->group[g] > row->group[best])) {
                best = g;
            }
        }
        row->keep[best] = true;
    }
}

/* As DeepSeek-V2 masks: the others stay, with 0. */
static void set_others_to_zero(const moe_model_t *model,
                               const moe_route_row_t *row)
{
    const int64_t size = model->experts / model->n_group;

    for (int64_t e = 0; e < model->experts; e++) {
        if (!row->keep[e / size]) {
            row->choice[e] = 0.0f;
            row->score[e] = 0.0f;
        }
    }
    for (int g = 0; g < model->n_group; g++) {
        row->keep[g] = true;
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

/* ids[k], n of them there already: the largest of these and of experts
 * [begin, end). */
static int insert_range(const float *choice, int32_t begin, int32_t end, int k,
                        int n, int32_t *ids)
{
    float last = n > 0 ? choice[ids[n - 1]] : -INFINITY;

    for (int32_t e = begin; e < end; e++) {
        if (n < k || choice[e] > last) {
            n = insert(choice, ids, n, k, e);
            last = choice[ids[n - 1]];
        }
    }
    return n;
}

void moe_route_choose(const moe_model_t *model, const moe_route_row_t *row,
                      int32_t *ids)
{
    const int32_t size = (int32_t)(model->experts / model->n_group);
    const int each = model->topk / model->n_group;
    int n = 0;

    if (model->group_limit == MOE_GROUP_LIMIT_each) {
        for (int32_t g = 0; g < model->n_group; g++) {
            (void)insert_range(row->choice, g * size, (g + 1) * size, each, 0,
                               ids + g * each);
        }
        return;
    }
    keep_groups(model, row);
    if (model->group_limit == MOE_GROUP_LIMIT_max) {
        set_others_to_zero(model, row);
    }
    for (int32_t g = 0; g < model->n_group; g++) {
        if (row->keep[g]) {
            n = insert_range(row->choice, g * size, (g + 1) * size, model->topk,
                             n, ids);
        }
    }
}
