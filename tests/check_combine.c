/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/combine.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TERMS = 24,
    TRIES = 4000
};

static const moe_format_t floats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                      MOE_FORMAT_fp32};

/* Terms with a spread of exponents; half of the time most of them cancel. */
static int draw_terms(uint64_t *state, int spread, double *x)
{
    int n = 1 + (int)(judge_random(state) >> 33) % TERMS;

    for (int i = 0; i < n; i++) {
        x[i] = judge_number(state, 48, -spread / 2, spread / 2);
        if (i > 0 && (judge_random(state) >> 40) % 2 == 0) {
            x[i] = -x[i - 1];
        }
    }
    return n;
}

static moe_sum_t sum_of(const double *x, int n)
{
    moe_sum_t sum = {0.0, 0.0, 0.0};

    for (int i = 0; i < n; i++) {
        moe_sum_add_value(&sum, x[i]);
    }
    return sum;
}

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

/* The judged value; zero has no sign here. */
static double judged(const double *x, int n, moe_format_t format)
{
    return judge_sum(x, NULL, n, format) + 0.0;
}

START_TEST(a_decided_sum_is_the_exact_one_rounded_once)
{
    static const int spreads[] = {4, 40, 100, 250};
    uint64_t state = 7667;
    int decided = 0;

    for (int t = 0; t < TRIES; t++) {
        moe_format_t format = floats[t % 3];
        double x[TERMS];
        int n = draw_terms(&state, spreads[t / 3 % 4], x);
        moe_sum_t sum = sum_of(x, n);
        uint32_t bits;

        if (moe_sum_round(&sum, format, &bits)) {
            ck_assert(
                same(moe_float_value(format, bits), judged(x, n, format)));
            decided++;
        }
        bits = moe_ref_round_terms(x, n, format);
        ck_assert(same(moe_float_value(format, bits), judged(x, n, format)));
    }
    ck_assert_int_gt(decided, TRIES * 9 / 10);
}
END_TEST

START_TEST(the_bound_of_a_sum_holds)
{
    uint64_t state = 99;
    mpfr_t exact;

    mpfr_init2(exact, JUDGE_BITS);
    for (int t = 0; t < TRIES; t++) {
        double x[TERMS];
        int n = draw_terms(&state, 60 + t % 190, x);
        moe_sum_t sum = sum_of(x, n);

        mpfr_set_d(exact, -sum.hi, MPFR_RNDN);
        mpfr_sub_d(exact, exact, sum.lo, MPFR_RNDN);
        for (int i = 0; i < n; i++) {
            mpfr_add_d(exact, exact, x[i], MPFR_RNDN);
        }
        mpfr_abs(exact, exact, MPFR_RNDN);
        ck_assert_int_le(mpfr_cmp_d(exact, sum.err), 0);
    }
    mpfr_clear(exact);
}
END_TEST

/* Terms dealt to ranks in any way, each summed in any order. */
START_TEST(order_and_ranks_do_not_change_a_decided_sum)
{
    uint64_t state = 5;

    for (int t = 0; t < TRIES / 10; t++) {
        double x[TERMS];
        int n = draw_terms(&state, 30 + t % 70, x);
        double want = judged(x, n, MOE_FORMAT_bf16);

        for (int ranks = 1; ranks <= 8; ranks++) {
            moe_sum_t part[8] = {{0.0, 0.0, 0.0}};
            moe_sum_t sum = {0.0, 0.0, 0.0};
            uint32_t bits;

            for (int i = 0; i < n; i++) {
                /* 29 is prime to every n */
                int at = (int)(judge_random(&state) >> 40) % ranks;

                moe_sum_add_value(&part[at], x[(i * 29 + t) % n]);
            }
            for (int r = 0; r < ranks; r++) {
                moe_sum_add(&sum, &part[(r + t) % ranks]);
            }
            if (moe_sum_round(&sum, MOE_FORMAT_bf16, &bits)) {
                ck_assert(same(moe_float_value(MOE_FORMAT_bf16, bits), want));
            }
        }
    }
}
END_TEST

START_TEST(ties_are_decided_where_nothing_was_lost)
{
    static const struct {
        double x[3];
        uint32_t bits;
    } cases[] = {
        {{1.0, 0x1p-8, 0.0}, 0x3f80},       /* to even, downwards */
        {{1.0, 0x3p-8, 0.0}, 0x3f82},       /* to even, upwards */
        {{1.0, 0x1p-8, 0x1p-100}, 0x3f81},  /* above the tie */
        {{1.0, 0x1p-8, -0x1p-100}, 0x3f80}, /* below it */
        {{1.0, 0x3p-8, -0x1p-100}, 0x3f81},
        {{-1.0, -0x3p-8, 0x1p-100}, 0xbf81},
        {{0x1p-134, 0.0, 0.0}, 0},      /* half of the least number */
        {{0x1p-134, 0x1p-200, 0.0}, 1}, /* and above */
        {{0x1.ffp127, -0x1p10, 0.0}, 0x7f7f},
        {{0x1.ffp127, 0.0, 0.0}, 0x7f80},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        moe_sum_t sum = sum_of(cases[i].x, 3);
        uint32_t bits;

        ck_assert(!(sum.err > 0.0));
        ck_assert(moe_sum_round(&sum, MOE_FORMAT_bf16, &bits));
        ck_assert_uint_eq(bits, cases[i].bits);
    }
}
END_TEST

/* 2^-140 is lost below 2^-70, which then cancels: a tie, but for that. */
START_TEST(what_the_bound_cannot_decide_is_left_to_the_redo)
{
    static const double x[] = {1.0, 0x1p-8, 0x1p-70, 0x1p-140, -0x1p-70};
    moe_sum_t sum = sum_of(x, 5);
    uint32_t bits = 12345;

    ck_assert(!moe_sum_round(&sum, MOE_FORMAT_bf16, &bits));
    ck_assert_uint_eq(bits, 12345);
    ck_assert(moe_sum_round(&sum, MOE_FORMAT_fp32, &bits));
    ck_assert_uint_eq(moe_ref_round_terms(x, 5, MOE_FORMAT_bf16), 0x3f81);
}
END_TEST

START_TEST(infinities_and_nan_do_not_depend_on_order)
{
    static const struct {
        double x[4];
        uint32_t bits;
    } cases[] = {
        {{1.0, (double)INFINITY, -5.0, 0x1p-80}, 0x7f80},
        {{(double)INFINITY, 3.0, (double)INFINITY, -1.0}, 0x7f80},
        {{-(double)INFINITY, 3.0, 0.0, 0x1p200}, 0xff80},
        {{(double)INFINITY, 1.0, -(double)INFINITY, 2.0}, 0x7fc0},
        {{(double)NAN, 1.0, -(double)INFINITY, 2.0}, 0x7fc0},
        {{-(double)NAN, 1.0, 2.0, 3.0}, 0x7fc0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int p = 0; p < 24; p++) {
            moe_sum_t part[2] = {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}};
            double x[4];
            uint32_t bits;

            for (int j = 0; j < 4; j++) {
                x[j] = cases[i].x[(j * (p % 2 * 2 + 1) + p / 2) % 4];
                moe_sum_add_value(&part[p / 8 > j], x[j]);
            }
            moe_sum_add(&part[0], &part[1]);
            ck_assert(moe_sum_round(&part[0], MOE_FORMAT_bf16, &bits));
            ck_assert_uint_eq(bits, cases[i].bits);
            ck_assert_uint_eq(moe_ref_round_terms(x, 4, MOE_FORMAT_bf16), bits);
        }
    }
}
END_TEST

START_TEST(a_zero_sum_has_no_sign)
{
    static const double x[][2] = {
        {-0.0, -0.0}, {3.5, -3.5}, {-0x1p-140, -0x1p-150}, {0.0, -0.0}};

    for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++) {
        for (int f = 0; f < 2; f++) { /* 2^-140 is a number of fp32 */
            moe_sum_t sum = sum_of(x[i], 2);
            uint32_t bits = 1;

            ck_assert(moe_sum_round(&sum, floats[f], &bits));
            ck_assert_uint_eq(bits, 0);
            ck_assert_uint_eq(moe_ref_round_terms(x[i], 2, floats[f]), 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("combine");
    TCase *sums = tcase_create("unrounded sums");

    tcase_add_test(sums, a_decided_sum_is_the_exact_one_rounded_once);
    tcase_add_test(sums, the_bound_of_a_sum_holds);
    tcase_add_test(sums, order_and_ranks_do_not_change_a_decided_sum);
    tcase_add_test(sums, ties_are_decided_where_nothing_was_lost);
    tcase_add_test(sums, what_the_bound_cannot_decide_is_left_to_the_redo);
    tcase_add_test(sums, infinities_and_nan_do_not_depend_on_order);
    tcase_add_test(sums, a_zero_sum_has_no_sign);
    suite_add_tcase(suite, sums);
    return moe_suite_main(suite);
}
