/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/route.h"
#include "ref/score.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPERTS_MAX = 256,
    ROWS = 200
};

static float logits[ROWS * EXPERTS_MAX];
static float bias[EXPERTS_MAX];
static int32_t ids[ROWS * MOE_TOPK_MAX];
static float weights[ROWS * MOE_TOPK_MAX];

static const moe_model_t deepseek = {.experts = 256,
                                     .topk = 8,
                                     .n_group = 8,
                                     .topk_group = 4,
                                     .score = MOE_SCORE_sigmoid,
                                     .bias = true,
                                     .renormalize = true,
                                     .routed_scaling = 2.5f};

static moe_status_t route(const moe_model_t *model, const float *b, int n,
                          int64_t bad[2])
{
    moe_ref_stats_t stats = {0, 0, 0};

    return moe_ref_route(model, logits, b, n, ids, weights, &stats, bad);
}

/* sglang's biased_grouped_topk on eight experts; worked out by hand. */
START_TEST(noaux_tc_gives_the_golden_vector)
{
    static const float x[8] = {0, 1, 2, -1, .5f, .5f, -2, 3};
    static const float b[8] = {0, 0, 0, .5f, 0, .25f, 0, -.5f};
    moe_model_t model = deepseek;
    int64_t bad[2];

    model.experts = 8;
    model.n_group = 4;
    model.topk_group = 2;
    model.topk = 2;
    memcpy(logits, x, sizeof(x));
    ck_assert_int_eq(route(&model, b, 1, bad), MOE_OK);
    ck_assert_int_eq(ids[0], 2);
    ck_assert_int_eq(ids[1], 5);
    ck_assert_double_eq_tol((double)weights[0], 1.464815, 5e-7);
    ck_assert_double_eq_tol((double)weights[1], 1.035185, 5e-7);
}
END_TEST

/* The definition, by full sorting: (choice, id) pairs and nothing clever. */
typedef struct {
    float key;
    int id;
} pair_t;

static int by_key(const void *a, const void *b)
{
    const pair_t *x = a;
    const pair_t *y = b;

    return x->key > y->key ? -1 : x->key < y->key ? 1 : x->id - y->id;
}

/* n first of a sorted range of experts. */
static void take(const float *choice, int first, int size, int n, int32_t *out)
{
    pair_t all[EXPERTS_MAX];

    for (int i = 0; i < size; i++) {
        all[i] = (pair_t){choice[first + i], first + i};
    }
    qsort(all, (size_t)size, sizeof(all[0]), by_key);
    for (int i = 0; i < n; i++) {
        out[i] = all[i].id;
    }
}

/* Choices of the groups that are not kept become `rest`. */
static void mask(const moe_model_t *m, float *choice, float rest)
{
    int size = (int)m->experts / m->n_group;
    pair_t group[EXPERTS_MAX];
    int32_t best[2];

    for (int g = 0; g < m->n_group; g++) {
        take(choice, g * size, size, size == 1 ? 1 : 2, best);
        group[g].key = choice[best[0]];
        if (m->group_limit == MOE_GROUP_LIMIT_top2_sum && size > 1) {
            group[g].key += choice[best[1]];
        }
        group[g].id = g;
    }
    qsort(group, (size_t)m->n_group, sizeof(group[0]), by_key);
    for (int g = m->topk_group; g < m->n_group; g++) {
        for (int i = 0; i < size; i++) {
            choice[group[g].id * size + i] = rest;
        }
    }
}

/* Choices to experts; score as the weights see it. */
static void plain_topk(const moe_model_t *m, float *score, float *choice,
                       int32_t *out)
{
    int size = (int)m->experts / m->n_group;
    int each = m->topk / m->n_group;

    if (m->group_limit == MOE_GROUP_LIMIT_each) {
        for (int g = 0; g < m->n_group; g++) {
            take(choice, g * size, size, each, out + g * each);
        }
        return;
    }
    if (m->group_limit == MOE_GROUP_LIMIT_max) {
        mask(m, choice, 0.0f);
        for (int e = 0; e < m->experts; e++) {
            score[e] = choice[e] > 0.0f ? score[e] : 0.0f;
        }
    } else {
        mask(m, choice, -INFINITY);
    }
    take(choice, 0, (int)m->experts, m->topk, out);
}

/* Exact quotient, rounded once; score [k]. */
static float judged_weight(const moe_model_t *m, const float *score, int slot)
{
    float sum =
        m->score == MOE_SCORE_sigmoid || m->score == MOE_SCORE_sqrt_softplus
            ? 1e-20f
            : 0.0f;
    double value;
    mpfr_t q;

    for (int i = 0; i < m->topk; i++) {
        sum += score[i];
    }
    mpfr_init2(q, 300);
    mpfr_set_d(q, (double)m->routed_scaling, MPFR_RNDN);
    mpfr_mul_d(q, q, (double)score[slot], MPFR_RNDN);
    if (m->renormalize) {
        mpfr_div_d(q, q, (double)sum, MPFR_RNDN);
    }
    value = judge_round(q, MOE_FORMAT_fp32);
    mpfr_clear(q);
    return (float)value;
}

/* Halve the largest share until there are k; shares stay in order. */
static void share_dyadic(int k, float *slot)
{
    slot[0] = 1.0f;
    for (int n = 1; n < k; n++) {
        int split = 0;

        while (split + 1 < n && !(slot[split + 1] < slot[split])) {
            split++;
        }
        slot[split] /= 2.0f;
        slot[n] = slot[split];
    }
}

static void check_row(const moe_model_t *m, const float *x, const float *b,
                      const int32_t *id, const float *weight)
{
    const bool dyadic = m->score == MOE_SCORE_dyadic;
    const bool chosen = dyadic || m->score == MOE_SCORE_softmax_chosen;
    moe_ref_stats_t stats = {0, 0, 0};
    float score[EXPERTS_MAX];
    float choice[EXPERTS_MAX];
    float slot[MOE_TOPK_MAX];
    int32_t want[MOE_TOPK_MAX];

    moe_score_row(m->score, x, m->experts, score, &stats);
    for (int i = 0; i < m->experts; i++) {
        choice[i] = (chosen ? x[i] : score[i]) + (b == NULL ? 0.0f : b[i]);
    }
    plain_topk(m, score, choice, want);
    for (int i = 0; i < m->topk; i++) {
        slot[i] = chosen ? choice[want[i]] : score[want[i]];
    }
    if (dyadic) {
        share_dyadic(m->topk, slot);
    } else if (chosen) { /* a router of k experts without a choice */
        moe_score_row(MOE_SCORE_softmax, slot, m->topk, slot, &stats);
    }
    for (int i = 0; i < m->topk; i++) {
        float w = judged_weight(m, slot, i);

        ck_assert_int_eq(id[i], want[i]);
        ck_assert_uint_eq(moe_f32_bits(weight[i]), moe_f32_bits(w));
    }
}

static void check_rows(const moe_model_t *m, const float *b)
{
    int64_t bad[2];

    ck_assert_int_eq(route(m, b, ROWS, bad), MOE_OK);
    for (int r = 0; r < ROWS; r++) {
        check_row(m, logits + r * m->experts, b, ids + r * m->topk,
                  weights + r * m->topk);
    }
}

static const struct {
    int experts;
    int n_group;
    int topk_group;
    int topk;
    moe_score_t score;
    bool renormalize;
    moe_group_limit_t limit;
} shapes[] = {
    {256, 8, 4, 8, MOE_SCORE_sigmoid, true, MOE_GROUP_LIMIT_top2_sum},
    {16, 4, 2, 4, MOE_SCORE_sigmoid, false, MOE_GROUP_LIMIT_top2_sum},
    {8, 8, 3, 3, MOE_SCORE_sigmoid, true,
     MOE_GROUP_LIMIT_top2_sum}, /* groups of one */
    {64, 1, 1, 6, MOE_SCORE_sigmoid, true, MOE_GROUP_LIMIT_top2_sum},
    {64, 1, 1, 64, MOE_SCORE_softmax, true, MOE_GROUP_LIMIT_top2_sum},
    {8, 1, 1, 2, MOE_SCORE_softmax, false, MOE_GROUP_LIMIT_top2_sum},
    {1, 1, 1, 1, MOE_SCORE_softmax, true, MOE_GROUP_LIMIT_top2_sum},
    {160, 8, 3, 6, MOE_SCORE_softmax, false, MOE_GROUP_LIMIT_max},
    {16, 8, 2, 4, MOE_SCORE_sigmoid, true, MOE_GROUP_LIMIT_max},
    {16, 4, 2, 3, MOE_SCORE_softmax, true, MOE_GROUP_LIMIT_top2_sum},
    {64, 8, 8, 8, MOE_SCORE_softmax, true, MOE_GROUP_LIMIT_each},
    {12, 3, 3, 6, MOE_SCORE_sqrt_softplus, true, MOE_GROUP_LIMIT_each},
    {256, 1, 1, 6, MOE_SCORE_sqrt_softplus, true, MOE_GROUP_LIMIT_top2_sum},
    {32, 1, 1, 4, MOE_SCORE_softmax_chosen, false, MOE_GROUP_LIMIT_top2_sum},
    {64, 1, 1, 6, MOE_SCORE_dyadic, false, MOE_GROUP_LIMIT_top2_sum},
    {64, 8, 4, 11, MOE_SCORE_dyadic, false, MOE_GROUP_LIMIT_top2_sum},
    {64, 1, 1, 64, MOE_SCORE_dyadic, true, MOE_GROUP_LIMIT_top2_sum},
    {32, 4, 4, 4, MOE_SCORE_softmax_chosen, true, MOE_GROUP_LIMIT_each},
};

/* Coarse logits make ties among experts and among groups. */
START_TEST(choices_are_those_of_a_full_sort_ties_by_lower_id)
{
    uint64_t state = 77;

    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        moe_model_t m = deepseek;

        m.experts = shapes[s].experts;
        m.n_group = shapes[s].n_group;
        m.topk_group = shapes[s].topk_group;
        m.topk = shapes[s].topk;
        m.score = shapes[s].score;
        m.renormalize = shapes[s].renormalize;
        m.group_limit = shapes[s].limit;
        for (int64_t i = 0; i < ROWS * m.experts; i++) {
            double x = judge_number(&state, 24, -3, 1);

            logits[i] = i % 3 == 0 ? (float)x : (float)(rint(x * 4) / 4);
        }
        for (int64_t i = 0; i < m.experts; i++) {
            bias[i] = (float)(rint(judge_number(&state, 24, -3, 0)) / 8);
        }
        check_rows(&m, NULL);
        if (m.group_limit != MOE_GROUP_LIMIT_max) {
            check_rows(&m, bias);
        }
    }
}
END_TEST

/* Scores of all kept experts underflow to 0: DeepSeek-V2's mask by 0 lets
 * experts of other groups in, by their ids; a mask by -infinity would not. */
START_TEST(groups_limited_by_max_are_masked_with_zero)
{
    moe_model_t m = {.experts = 8,
                     .topk = 3,
                     .n_group = 4,
                     .topk_group = 2,
                     .group_limit = MOE_GROUP_LIMIT_max,
                     .score = MOE_SCORE_softmax,
                     .routed_scaling = 16.0f};
    int64_t bad[2];

    for (int i = 0; i < 8; i++) {
        logits[i] = i == 5 ? 0.0f : -300.0f;
    }
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_OK);
    ck_assert_int_eq(ids[0], 5);
    ck_assert_int_eq(ids[1], 0);
    ck_assert_int_eq(ids[2], 1);
    ck_assert_uint_eq(moe_f32_bits(weights[0]), moe_f32_bits(16.0f));
    ck_assert_uint_eq(moe_f32_bits(weights[1]), 0);
    logits[0] = -1.0f; /* groups 2 and 0, and 1 in group 0 is 0 */
    logits[6] = -2.0f; /* not kept: would be the third */
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_OK);
    ck_assert_int_eq(ids[1], 0);
    ck_assert_int_eq(ids[2], 1);
}
END_TEST

START_TEST(a_nan_logit_is_named_and_infinite_ones_are_not)
{
    moe_model_t m = deepseek;
    int64_t bad[2];

    memset(logits, 0, sizeof(logits));
    logits[256 + 7] = INFINITY;
    logits[256 + 9] = -INFINITY;
    ck_assert_int_eq(route(&m, NULL, 3, bad), MOE_OK);
    ck_assert_int_eq(bad[0], -1);
    ck_assert_int_eq(ids[8], 7);
    ck_assert_int_eq(ids[0], 0); /* all alike: the lowest ids */
    ck_assert_int_eq(ids[7], 7);
    logits[2 * 256 + 30] = NAN;
    ck_assert_int_eq(route(&m, NULL, 3, bad), MOE_ERR_RANGE);
    ck_assert_int_eq(bad[0], 2);
    ck_assert_int_eq(bad[1], 30);
    ck_assert_str_eq(moe_error_text(), "");
    ck_assert_int_eq(route(&m, NULL, 2, bad), MOE_OK);
}
END_TEST

START_TEST(zeros_of_either_sign_are_one_number)
{
    static const float b[4] = {-0.0f, 0.0f, -0.5f, -0.5f};
    moe_model_t m = deepseek;
    int64_t bad[2];

    m.experts = 4;
    m.n_group = 1;
    m.topk_group = 1;
    m.topk = 4;
    for (int i = 0; i < 4; i++) {
        logits[i] = i < 2 ? -INFINITY : i == 2 ? -0.0f : 0.0f;
    }
    ck_assert_int_eq(route(&m, b, 1, bad), MOE_OK);
    for (int i = 0; i < 4; i++) { /* all choices are 0 */
        ck_assert_int_eq(ids[i], i);
    }
    ck_assert_uint_eq(moe_f32_bits(weights[0]), 0);
}
END_TEST

START_TEST(routers_that_cannot_be_are_refused)
{
    moe_model_t m = deepseek;
    int64_t bad[2];

    memset(logits, 0, sizeof(logits));
    m.topk_group = 9;
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_ERR_UNSUPPORTED);
    m = deepseek;
    m.n_group = 7;
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_ERR_UNSUPPORTED);
    m = deepseek;
    m.n_group = 64;
    m.topk_group = 1;
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_ERR_UNSUPPORTED);
    m = deepseek;
    m.score = MOE_SCORE_softmax_chosen;
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_ERR_UNSUPPORTED);
    m = deepseek;
    m.group_limit = MOE_GROUP_LIMIT_each; /* 4 groups kept of 8 */
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_ERR_UNSUPPORTED);
    m.topk_group = 8;
    m.topk = 12;
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_ERR_UNSUPPORTED);
    m = deepseek;
    m.group_limit = MOE_GROUP_LIMIT_max;
    ck_assert_int_eq(route(&m, bias, 1, bad), MOE_ERR_UNSUPPORTED);
    memset(bias, 0, sizeof(bias));
    bias[3] = INFINITY;
    ck_assert_int_eq(route(&deepseek, bias, 1, bad), MOE_ERR_RANGE);
    ck_assert_int_eq(bad[0], -1);
    moe_error_clear();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *choices = tcase_create("choices");

    tcase_add_test(choices, noaux_tc_gives_the_golden_vector);
    tcase_add_test(choices, choices_are_those_of_a_full_sort_ties_by_lower_id);
    tcase_add_test(choices, groups_limited_by_max_are_masked_with_zero);
    tcase_add_test(choices, a_nan_logit_is_named_and_infinite_ones_are_not);
    tcase_add_test(choices, zeros_of_either_sign_are_one_number);
    tcase_add_test(choices, routers_that_cannot_be_are_refused);
    suite_add_tcase(suite, choices);
    return moe_suite_main(suite);
}
