/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/logits.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_MAX = 70, /* more than a tile */
    EXPERTS_MAX = 66,
    COLS_MAX = 1025
};

static uint32_t codes[ROWS_MAX * COLS_MAX]; /* of the widest format */
static uint16_t router[EXPERTS_MAX * COLS_MAX];
static float logits[ROWS_MAX * EXPERTS_MAX];

static moe_rows_t rows_of(moe_format_t format, int64_t rows, int64_t cols)
{
    return (moe_rows_t){.storage = {.format = format},
                        .rows = rows,
                        .cols = cols,
                        .codes = codes};
}

static void put(moe_format_t format, int64_t at, double x)
{
    uint32_t bits = moe_round_f64(format, x);
    uint16_t half = (uint16_t)bits;

    if (format == MOE_FORMAT_fp32) {
        codes[at] = bits;
    } else {
        memcpy((uint16_t *)codes + at, &half, sizeof(half));
    }
}

static double get(moe_format_t format, int64_t at)
{
    return moe_float_value(format, format == MOE_FORMAT_fp32
                                       ? codes[at]
                                       : ((const uint16_t *)codes)[at]);
}

static void fill(moe_format_t format, int64_t n_x, int64_t n_w, int low,
                 int high)
{
    uint64_t state = 7667;

    for (int64_t i = 0; i < n_x; i++) {
        put(format, i, judge_number(&state, 24, low, high));
    }
    for (int64_t i = 0; i < n_w; i++) {
        router[i] = (uint16_t)moe_round_f64(MOE_FORMAT_bf16,
                                            judge_number(&state, 8, low, high));
    }
}

/* The judge's word on one logit. */
static double judged(moe_format_t format, int64_t row, int64_t expert,
                     int64_t cols)
{
    static double x[COLS_MAX];
    static double w[COLS_MAX];

    for (int64_t i = 0; i < cols; i++) {
        x[i] = get(format, row * cols + i);
        w[i] = (double)moe_bf16_to_f32(router[expert * cols + i]);
    }
    return judge_sum(x, w, cols, MOE_FORMAT_fp32) + 0.0;
}

static const struct {
    moe_format_t format;
    int rows;
    int experts;
    int cols;
    int low; /* exponents */
    int high;
} shapes[] = {
    {MOE_FORMAT_bf16, ROWS_MAX, EXPERTS_MAX, 64, -3, 1},
    {MOE_FORMAT_bf16, 3, 5, COLS_MAX, -8, 0},
    {MOE_FORMAT_bf16, 1, 1, 1, 0, 0},
    {MOE_FORMAT_bf16, 4, 7, 17, -60, 60},
    {MOE_FORMAT_bf16, 4, 7, 100, -133, -100},
    {MOE_FORMAT_bf16, 4, 7, 100, 50, 66}, /* some overflow */
    {MOE_FORMAT_fp16, 5, 9, 512, -14, 2},
    {MOE_FORMAT_fp32, 5, 9, 300, -4, 4},
    {MOE_FORMAT_fp32, 5, 9, 333, -40, 40},
};

START_TEST(a_logit_is_the_exact_sum_rounded_once)
{
    const int n = shapes[_i].rows;
    const int e = shapes[_i].experts;
    const int k = shapes[_i].cols;
    moe_rows_t x = rows_of(shapes[_i].format, n, k);
    moe_ref_stats_t stats = {0, 0, 0};

    fill(shapes[_i].format, (int64_t)n * k, (int64_t)e * k, shapes[_i].low,
         shapes[_i].high);
    ck_assert_int_eq(moe_ref_logits(&x, router, e, logits, &stats), MOE_OK);
    ck_assert_int_eq(stats.elements, n * e);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < e; j++) {
            double want = judged(shapes[_i].format, i, j, k);

            ck_assert_msg(
                moe_f32_bits(logits[i * e + j]) == moe_f32_bits((float)want),
                "%d, %d: %a, not %a", i, j, (double)logits[i * e + j], want);
        }
    }
}
END_TEST

/* Rows of three numbers whose exact sum lies on, above and below a tie. */
START_TEST(ties_are_settled_by_two_sums_on_the_grid)
{
    static const double x[][4] = {{1.0, 0x1p-12, 0.0, 0.0},
                                  {1.0, 0x1p-12, 0x1p-40, 0.0},
                                  {1.0, 0x1p-12, -0x1p-40, 0.0},
                                  {1.0, 0x3p-12, 0.0, 0.0},
                                  {-1.0, -0x3p-12, 0x1p-40, 0.0}};
    static const double w[4] = {1.0, 0x1p-12, 0x1p-40, 1.0};
    static const float want[] = {1.0f, 0x1.000002p0f, 1.0f, 0x1.000004p0f,
                                 -0x1.000002p0f};
    moe_rows_t rows = rows_of(MOE_FORMAT_bf16, 5, 4);
    moe_ref_stats_t stats = {0, 0, 0};

    for (int i = 0; i < 5 * 4; i++) {
        put(MOE_FORMAT_bf16, i, x[i / 4][i % 4]);
        router[i % 4] = (uint16_t)moe_round_f64(MOE_FORMAT_bf16, w[i % 4]);
    }
    ck_assert_int_eq(moe_ref_logits(&rows, router, 1, logits, &stats), MOE_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(moe_f32_bits(logits[i]), moe_f32_bits(want[i]));
    }
    ck_assert_int_eq(stats.redone_sum2, 5);
    ck_assert_int_eq(stats.redone_exact, 0);
}
END_TEST

/* What cancels is so large that its bound hides a tie and what breaks it. */
START_TEST(what_two_sums_leave_is_decided_exactly)
{
    const int k = 64;
    moe_rows_t rows = rows_of(MOE_FORMAT_bf16, 1, k);
    moe_ref_stats_t stats = {0, 0, 0};

    for (int i = 0; i < k; i++) {
        put(MOE_FORMAT_bf16, i, i % 16 != 0 ? 0.0 : 0x1p60);
        router[i] = (uint16_t)moe_round_f64(MOE_FORMAT_bf16,
                                            (i / 16) % 2 == 0 ? 1.0 : -1.0);
    }
    put(MOE_FORMAT_bf16, 5, 0x1p-40);
    put(MOE_FORMAT_bf16, 7, 0x1p-64);
    put(MOE_FORMAT_bf16, 9, 0x1p-120);
    ck_assert_int_eq(moe_ref_logits(&rows, router, 1, logits, &stats), MOE_OK);
    ck_assert(logits[0] > 0x1p-40f);
    ck_assert_uint_eq(moe_f32_bits(logits[0]),
                      moe_f32_bits((float)judged(MOE_FORMAT_bf16, 0, 0, k)));
    ck_assert_int_eq(stats.redone_exact, 1);
}
END_TEST

START_TEST(infinities_and_nan_reach_their_own_rows_alone)
{
    const int k = 40;
    moe_rows_t rows = rows_of(MOE_FORMAT_bf16, 4, k);
    moe_ref_stats_t stats = {0, 0, 0};

    fill(MOE_FORMAT_bf16, 4 * k, 3 * k, -2, 2);
    put(MOE_FORMAT_bf16, 1 * k + 3, -HUGE_VAL);
    put(MOE_FORMAT_bf16, 2 * k + 3, (double)NAN);
    router[1 * k + 3] = 0x8000;            /* -0: infinity x 0 is NaN */
    router[2 * k + 3] = 0xc000;            /* -2 */
    put(MOE_FORMAT_bf16, 3 * k, HUGE_VAL); /* of both signs */
    put(MOE_FORMAT_bf16, 3 * k + 1, HUGE_VAL);
    router[2 * k] = 0x3f80;
    router[2 * k + 1] = 0xbf80;
    ck_assert_int_eq(moe_ref_logits(&rows, router, 3, logits, &stats), MOE_OK);
    for (int e = 0; e < 3; e++) {
        ck_assert(isfinite(logits[e]));
        ck_assert(isnan(logits[2 * 3 + e]));
    }
    ck_assert(isnan(logits[3 + 1]));
    ck_assert_uint_eq(moe_f32_bits(logits[3 + 2]), 0x7f800000);
    ck_assert_uint_eq(moe_f32_bits(logits[3 * 3 + 2]), 0x7fc00000);
}
END_TEST

START_TEST(a_row_alone_has_the_logits_it_has_among_others)
{
    const int k = 96;
    moe_rows_t all = rows_of(MOE_FORMAT_bf16, ROWS_MAX, k);
    moe_ref_stats_t stats = {0, 0, 0};
    float one[EXPERTS_MAX];

    fill(MOE_FORMAT_bf16, ROWS_MAX * k, EXPERTS_MAX * k, -5, 1);
    ck_assert_int_eq(moe_ref_logits(&all, router, EXPERTS_MAX, logits, &stats),
                     MOE_OK);
    for (int i = 0; i < ROWS_MAX; i += 23) {
        moe_rows_t row = rows_of(MOE_FORMAT_bf16, 1, k);

        row.codes = (uint16_t *)codes + i * k;
        ck_assert_int_eq(moe_ref_logits(&row, router, EXPERTS_MAX, one, &stats),
                         MOE_OK);
        ck_assert_int_eq(memcmp(one, logits + i * EXPERTS_MAX, sizeof(one)), 0);
    }
}
END_TEST

START_TEST(no_rows_cost_nothing_and_wrong_formats_are_refused)
{
    moe_rows_t rows = rows_of(MOE_FORMAT_bf16, 0, 64);
    moe_ref_stats_t stats = {0, 0, 0};

    ck_assert_int_eq(moe_ref_logits(&rows, router, 8, logits, &stats), MOE_OK);
    ck_assert_int_eq(stats.elements, 0);
    ck_assert_int_eq(moe_ref_logits_workspace(0, 64, 8), 0);
    ck_assert_int_ge(moe_ref_logits_workspace(512, 7168, 256), 128 * 7168 * 8);
    rows = rows_of(MOE_FORMAT_nvfp4, 1, 64);
    ck_assert_int_eq(moe_ref_logits(&rows, router, 8, logits, &stats),
                     MOE_ERR_UNSUPPORTED);
    moe_error_clear();
}
END_TEST

int main(void)
{
    const int n = sizeof(shapes) / sizeof(shapes[0]);
    Suite *suite = suite_create("logits");
    TCase *tests = tcase_create("logits");

    tcase_add_loop_test(tests, a_logit_is_the_exact_sum_rounded_once, 0, n);
    tcase_add_test(tests, ties_are_settled_by_two_sums_on_the_grid);
    tcase_add_test(tests, what_two_sums_leave_is_decided_exactly);
    tcase_add_test(tests, infinities_and_nan_reach_their_own_rows_alone);
    tcase_add_test(tests, a_row_alone_has_the_logits_it_has_among_others);
    tcase_add_test(tests, no_rows_cost_nothing_and_wrong_formats_are_refused);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
