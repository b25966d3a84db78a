/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/exact.h"
#include "ref/score.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <string.h>

static double judged_sigmoid(float x)
{
    mpfr_t s;
    double value;

    mpfr_init2(s, 400);
    judge_sigma(s, (double)x);
    value = judge_round(s, MOE_FORMAT_fp32);
    mpfr_clear(s);
    return value;
}

START_TEST(every_bf16_logit_has_the_right_sigmoid)
{
    moe_ref_stats_t stats = {0, 0, 0};
    float x[256];
    float score[256];

    for (int high = _i; high < 256; high += 4) {
        for (int i = 0; i < 256; i++) {
            uint16_t code = (uint16_t)(i << 8 | high);

            x[i] = moe_bf16_to_f32(code);
            x[i] = isnan(x[i]) ? 0.0f : x[i];
        }
        moe_score_row(MOE_SCORE_sigmoid, x, 256, score, &stats);
        for (int i = 0; i < 256; i++) {
            double want =
                isinf(x[i]) ? (x[i] > 0.0f ? 1.0 : 0.0) : judged_sigmoid(x[i]);

            ck_assert_uint_eq(moe_f32_bits(score[i]),
                              moe_f32_bits((float)want));
        }
    }
}
END_TEST

START_TEST(fp32_sigmoids_are_right_and_so_is_their_redo)
{
    moe_ref_stats_t stats = {0, 0, 0};
    uint64_t state = 7667;

    for (int i = 0; i < 20000; i++) {
        float x = (float)judge_number(&state, 24, -20, 6);
        float score;
        float want = (float)judged_sigmoid(x);

        moe_score_row(MOE_SCORE_sigmoid, &x, 1, &score, &stats);
        ck_assert_uint_eq(moe_f32_bits(score), moe_f32_bits(want));
        if (i % 8 == 0) {
            ck_assert_uint_eq(moe_f32_bits(moe_exact_sigmoid(x)),
                              moe_f32_bits(want));
        }
    }
}
END_TEST

static float judged_softmax(const float *x, int n, int at)
{
    mpfr_t sum;
    mpfr_t e;
    double value;

    mpfr_inits2(400, sum, e, (mpfr_ptr)0);
    mpfr_set_zero(sum, 1);
    for (int i = 0; i < n; i++) {
        mpfr_set_d(e, (double)x[i], MPFR_RNDN);
        mpfr_sub_d(e, e, (double)x[at], MPFR_RNDN);
        mpfr_exp(e, e, MPFR_RNDN);
        mpfr_add(sum, sum, e, MPFR_RNDN);
    }
    mpfr_ui_div(sum, 1, sum, MPFR_RNDN);
    value = judge_round(sum, MOE_FORMAT_fp32);
    mpfr_clears(sum, e, (mpfr_ptr)0);
    return (float)value;
}

START_TEST(softmax_is_right_and_so_is_its_redo)
{
    static const int spread[] = {-20, 0, 3, 6, 60};
    moe_ref_stats_t stats = {0, 0, 0};
    uint64_t state = 17;
    float x[40];
    float score[40];

    for (int t = 0; t < 60; t++) {
        int n = 1 + t % 40;

        for (int i = 0; i < n; i++) {
            x[i] = (float)judge_number(&state, 24, spread[t % 5] - 3,
                                       spread[t % 5]);
        }
        x[n - 1] = t % 7 == 0 ? -INFINITY : x[n - 1];
        x[0] = 0.0f;
        moe_score_row(MOE_SCORE_softmax, x, n, score, &stats);
        for (int i = 0; i < n; i++) {
            float want = isinf(x[i]) ? 0.0f : judged_softmax(x, n, i);

            ck_assert_uint_eq(moe_f32_bits(score[i]), moe_f32_bits(want));
            if (!isinf(x[i]) && fabsf(x[i]) < 100.0f) {
                ck_assert_uint_eq(moe_f32_bits(moe_exact_softmax(x, n, i)),
                                  moe_f32_bits(want));
            }
        }
    }
}
END_TEST

START_TEST(infinite_logits_of_a_softmax_share_as_equal_ones_do)
{
    static const float x[3][4] = {{INFINITY, 1.0f, INFINITY, -INFINITY},
                                  {-INFINITY, -INFINITY, -INFINITY, -INFINITY},
                                  {5.0f, -INFINITY, 5.0f, 5.0f}};
    static const float want[3][4] = {{0.5f, 0.0f, 0.5f, 0.0f},
                                     {0.25f, 0.25f, 0.25f, 0.25f},
                                     {1.0f / 3, 0.0f, 1.0f / 3, 1.0f / 3}};
    moe_ref_stats_t stats = {0, 0, 0};
    float score[4];

    for (int i = 0; i < 3; i++) {
        moe_score_row(MOE_SCORE_softmax, x[i], 4, score, &stats);
        ck_assert_int_eq(memcmp(score, want[i], sizeof(score)), 0);
    }
}
END_TEST

/* sqrt(log(1 + exp(x))) by MPFR with 300 bits, toward zero: no fp32 number or
 * middle of two is that near. */
static float judged_softplus(float x)
{
    float value;
    mpfr_t y;

    mpfr_init2(y, 300);
    mpfr_set_d(y, (double)x, MPFR_RNDZ);
    if (x < 1e4f) { /* beyond: x and a tail that 300 bits do not hold */
        mpfr_exp(y, y, MPFR_RNDZ);
        mpfr_log1p(y, y, MPFR_RNDZ);
    }
    mpfr_sqrt(y, y, MPFR_RNDZ);
    value = (float)judge_round(y, MOE_FORMAT_fp32);
    mpfr_clear(y);
    return value;
}

START_TEST(sqrt_softplus_is_correctly_rounded)
{
    static const float fixed[] = {0.0f,      -0.0f,   64.0f,   1e-45f, 39.99f,
                                  40.01f,    700.0f,  3e38f,   -87.0f, -206.0f,
                                  -207.943f, -699.0f, -701.0f, -3e38f};
    moe_ref_stats_t stats = {0, 0, 0};
    uint64_t state = 11;
    float x[512];
    float score[512];

    for (int i = 0; i < 512; i++) {
        x[i] = i < 14 ? fixed[i] : (float)judge_number(&state, 24, -30, 7);
    }
    moe_score_row(MOE_SCORE_sqrt_softplus, x, 512, score, &stats);
    for (int i = 0; i < 512; i++) {
        ck_assert_uint_eq(moe_f32_bits(score[i]),
                          moe_f32_bits(judged_softplus(x[i])));
        if (fabsf(x[i]) < 600.0f) {
            ck_assert_uint_eq(moe_f32_bits(score[i]),
                              moe_f32_bits(moe_exact_sqrt_softplus(x[i])));
        }
    }
    x[0] = INFINITY;
    x[1] = -INFINITY;
    moe_score_row(MOE_SCORE_sqrt_softplus, x, 2, score, &stats);
    ck_assert(isinf(score[0]) && score[0] > 0.0f);
    ck_assert_uint_eq(moe_f32_bits(score[1]), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("score");
    TCase *scores = tcase_create("scores");

    tcase_add_loop_test(scores, every_bf16_logit_has_the_right_sigmoid, 0, 4);
    tcase_add_test(scores, fp32_sigmoids_are_right_and_so_is_their_redo);
    tcase_add_test(scores, sqrt_softplus_is_correctly_rounded);
    tcase_add_test(scores, softmax_is_right_and_so_is_its_redo);
    tcase_add_test(scores, infinite_logits_of_a_softmax_share_as_equal_ones_do);
    suite_add_tcase(suite, scores);
    return moe_suite_main(suite);
}
