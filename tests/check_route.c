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

static void plain_topk(const moe_model_t *m, const float *choice, int32_t *out)
{
    int size = (int)m->experts / m->n_group;
    pair_t group[EXPERTS_MAX];
    pair_t all[EXPERTS_MAX];
    int n = 0;

    for (int g = 0; g < m->n_group; g++) {
        for (int i = 0; i < size; i++) {
            all[i] = (pair_t){choice[g * size + i], i};
        }
        qsort(all, (size_t)size, sizeof(all[0]), by_key);
        group[g].key = size == 1 ? all[0].key : all[0].key + all[1].key;
        group[g].id = g;
    }
    qsort(group, (size_t)m->n_group, sizeof(group[0]), by_key);
    for (int g = 0; g < m->topk_group; g++) {
        for (int i = 0; i < size; i++) {
            int e = group[g].id * size + i;

            all[n++] = (pair_t){choice[e], e};
        }
    }
    qsort(all, (size_t)n, sizeof(all[0]), by_key);
    for (int i = 0; i < m->topk; i++) {
        out[i] = all[i].id;
    }
}

/* Exact quotient, rounded once. */
static float judged_weight(const moe_model_t *m, const float *score,
                           const int32_t *chosen, int slot)
{
    float sum = m->score == MOE_SCORE_sigmoid ? 1e-20f : 0.0f;
    double value;
    mpfr_t q;

    for (int i = 0; i < m->topk; i++) {
        sum += score[chosen[i]];
    }
    mpfr_init2(q, 300);
    mpfr_set_d(q, (double)m->routed_scaling, MPFR_RNDN);
    mpfr_mul_d(q, q, (double)score[chosen[slot]], MPFR_RNDN);
    if (m->renormalize) {
        mpfr_div_d(q, q, (double)sum, MPFR_RNDN);
    }
    value = judge_round(q, MOE_FORMAT_fp32);
    mpfr_clear(q);
    return (float)value;
}

static void check_rows(const moe_model_t *m, const float *b)
{
    const int e = (int)m->experts;
    int64_t bad[2];

    ck_assert_int_eq(route(m, b, ROWS, bad), MOE_OK);
    for (int r = 0; r < ROWS; r++) {
        moe_ref_stats_t stats = {0, 0, 0};
        float score[EXPERTS_MAX];
        float choice[EXPERTS_MAX];
        int32_t want[MOE_TOPK_MAX];

        moe_score_row(m->score, logits + r * e, e, score, &stats);
        for (int i = 0; i < e; i++) {
            choice[i] = score[i] + (b == NULL ? 0.0f : b[i]);
        }
        plain_topk(m, choice, want);
        for (int i = 0; i < m->topk; i++) {
            float w = judged_weight(m, score, want, i);

            ck_assert_int_eq(ids[r * m->topk + i], want[i]);
            ck_assert_uint_eq(moe_f32_bits(weights[r * m->topk + i]),
                              moe_f32_bits(w));
        }
    }
}

/* Coarse logits make ties among experts and among groups. */
START_TEST(choices_are_those_of_a_full_sort_ties_by_lower_id)
{
    static const struct {
        int experts;
        int n_group;
        int topk_group;
        int topk;
        moe_score_t score;
        bool renormalize;
    } shapes[] = {
        {256, 8, 4, 8, MOE_SCORE_sigmoid, true},
        {16, 4, 2, 4, MOE_SCORE_sigmoid, false},
        {8, 8, 3, 3, MOE_SCORE_sigmoid, true}, /* groups of one */
        {64, 1, 1, 6, MOE_SCORE_sigmoid, true},
        {64, 1, 1, 64, MOE_SCORE_softmax, true},
        {8, 1, 1, 2, MOE_SCORE_softmax, false},
        {1, 1, 1, 1, MOE_SCORE_softmax, true},
    };
    uint64_t state = 77;

    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        moe_model_t m = deepseek;

        m.experts = shapes[s].experts;
        m.n_group = shapes[s].n_group;
        m.topk_group = shapes[s].topk_group;
        m.topk = shapes[s].topk;
        m.score = shapes[s].score;
        m.renormalize = shapes[s].renormalize;
        for (int64_t i = 0; i < ROWS * m.experts; i++) {
            double x = judge_number(&state, 24, -3, 1);

            logits[i] = i % 3 == 0 ? (float)x : (float)(rint(x * 4) / 4);
        }
        for (int64_t i = 0; i < m.experts; i++) {
            bias[i] = (float)(rint(judge_number(&state, 24, -3, 0)) / 8);
        }
        check_rows(&m, NULL);
        check_rows(&m, bias);
    }
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
    m.score = MOE_SCORE_softmax;
    ck_assert_int_eq(route(&m, NULL, 1, bad), MOE_ERR_UNSUPPORTED);
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
    tcase_add_test(choices, a_nan_logit_is_named_and_infinite_ones_are_not);
    tcase_add_test(choices, zeros_of_either_sign_are_one_number);
    tcase_add_test(choices, routers_that_cannot_be_are_refused);
    suite_add_tcase(suite, choices);
    return moe_suite_main(suite);
}
