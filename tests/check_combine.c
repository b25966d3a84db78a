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

/* Weighted sums of rows: 3 tokens, 4 slots, experts 2..4 of 0..5 are here. */
enum {
    ROWS = 3,
    TOPK = 4,
    COLS = 300
};

static const int32_t ids[ROWS * TOPK] = {3, 0, 2, 4, 0, 1, 5, 0, 4, 2, 1, 5};

typedef struct {
    moe_ref_index_t index;
    float weights[ROWS * TOPK];
    uint32_t codes[ROWS * TOPK * COLS]; /* of the widest format */
    moe_ref_terms_t terms;
} sample_t;

static void put(void *codes, moe_format_t format, int64_t at, uint32_t code)
{
    if (format == MOE_FORMAT_fp32) {
        ((uint32_t *)codes)[at] = code;
    } else {
        ((uint16_t *)codes)[at] = (uint16_t)code;
    }
}

static uint32_t get(const void *codes, moe_format_t format, int64_t at)
{
    return format == MOE_FORMAT_fp32 ? ((const uint32_t *)codes)[at]
                                     : ((const uint16_t *)codes)[at];
}

static void sample_init(sample_t *sample, moe_format_t format)
{
    uint64_t state = 4711;

    ck_assert_int_eq(moe_ref_index_init(ids, ROWS, TOPK, 2, 3, &sample->index),
                     MOE_OK);
    for (int i = 0; i < ROWS * TOPK; i++) {
        sample->weights[i] = (float)judge_number(&state, 24, -8, 0);
    }
    for (int64_t i = 0; i < sample->index.n * COLS; i++) {
        put(sample->codes, format, i,
            moe_round_f64(format, judge_number(&state, 24, -10, 10)));
    }
    sample->terms = (moe_ref_terms_t){.rows = {.storage = {.format = format},
                                               .rows = sample->index.n,
                                               .cols = COLS,
                                               .codes = sample->codes},
                                      .index = &sample->index,
                                      .weights = sample->weights};
}

/* Terms of an element, straight from the arrays. */
static int plain_terms(const sample_t *sample, int row, int col, double *w,
                       double *x)
{
    int n = 0;

    for (int s = 0; s < TOPK; s++) {
        int64_t place = sample->index.place[row * TOPK + s];
        moe_format_t format = sample->terms.rows.storage.format;

        ck_assert_int_eq(place >= 0,
                         ids[row * TOPK + s] >= 2 && ids[row * TOPK + s] <= 4);
        if (place >= 0) {
            w[n] = (double)sample->weights[row * TOPK + s];
            x[n++] = moe_float_value(
                format, get(sample->codes, format, place * COLS + col));
        }
    }
    return n;
}

START_TEST(sums_of_rows_are_those_of_their_terms)
{
    moe_format_t format = floats[_i];
    sample_t sample;
    moe_sum_t *sums = calloc(ROWS * COLS, sizeof(*sums));

    ck_assert_ptr_nonnull(sums);
    sample_init(&sample, format);
    moe_ref_sum_rows(&sample.terms, 1, ROWS - 1, sums + COLS);
    moe_ref_sum_rows(&sample.terms, 0, 1, sums);
    for (int i = 0; i < ROWS * COLS; i++) {
        double w[TOPK];
        double x[TOPK];
        double term[TOPK];
        int n = plain_terms(&sample, i / COLS, i % COLS, w, x);
        double want = judge_sum(w, x, n, MOE_FORMAT_fp32) + 0.0;
        uint32_t bits;

        ck_assert_int_eq(
            moe_ref_sum_terms(&sample.terms, i / COLS, i % COLS, term), n);
        bits = moe_ref_round_terms(term, n, MOE_FORMAT_fp32);
        ck_assert(same((double)moe_f32_of_bits(bits), want));
        ck_assert(moe_sum_round(&sums[i], MOE_FORMAT_fp32, &bits));
        ck_assert(same((double)moe_f32_of_bits(bits), want));
    }
    moe_ref_index_fini(&sample.index);
    free(sums);
}
END_TEST

START_TEST(a_faithful_sum_rounds_each_product_and_addition_in_slot_order)
{
    moe_format_t format = floats[_i];
    static uint32_t codes[ROWS * COLS];
    moe_rows_t out = {.storage = {.format = format},
                      .rows = ROWS,
                      .cols = COLS,
                      .codes = codes};
    sample_t sample;

    sample_init(&sample, format);
    ck_assert_int_eq(moe_ref_weighted_sum(&sample.terms, &out), MOE_OK);
    for (int i = 0; i < ROWS * COLS; i++) {
        double w[TOPK];
        double x[TOPK];
        int n = plain_terms(&sample, i / COLS, i % COLS, w, x);
        double sum[2] = {0.0, 0.0};

        for (int j = 0; j < n; j++) {
            sum[1] = judge_sum(w + j, x + j, 1, MOE_FORMAT_fp32);
            sum[0] = judge_sum(sum, NULL, 2, MOE_FORMAT_fp32);
        }
        ck_assert(same(moe_float_value(format, get(codes, format, i)),
                       judge_sum(sum, NULL, 1, format)));
    }
    moe_ref_index_fini(&sample.index);
}
END_TEST

START_TEST(a_fold_rounds_every_addition_once)
{
    moe_format_t format = floats[_i];
    static uint32_t part[COLS];
    static uint32_t acc[COLS];
    static uint32_t sum[COLS];
    moe_rows_t a = {{format, MOE_PROFILE_none, 0.0f},
                    1,
                    COLS,
                    part,
                    NULL,
                    MOE_SCALES_linear};
    moe_rows_t b = a;
    uint64_t state = 31;

    for (int i = 0; i < COLS; i++) {
        uint32_t code =
            moe_round_f64(format, judge_number(&state, 24, -14, 14));

        put(part, format, i, code);
        code = moe_round_f64(format, judge_number(&state, 24, -14, 14));
        put(acc, format, i, code);
        put(sum, format, i, code);
    }
    b.codes = sum;
    moe_ref_fold(&a, &b);
    for (int i = 0; i < COLS; i++) {
        double x[2] = {moe_float_value(format, get(part, format, i)),
                       moe_float_value(format, get(acc, format, i))};

        ck_assert(same(moe_float_value(format, get(sum, format, i)),
                       judge_sum(x, NULL, 2, format)));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("combine");
    TCase *sums = tcase_create("unrounded sums");
    TCase *rows = tcase_create("rows");

    tcase_add_test(sums, a_decided_sum_is_the_exact_one_rounded_once);
    tcase_add_test(sums, the_bound_of_a_sum_holds);
    tcase_add_test(sums, order_and_ranks_do_not_change_a_decided_sum);
    tcase_add_test(sums, ties_are_decided_where_nothing_was_lost);
    tcase_add_test(sums, what_the_bound_cannot_decide_is_left_to_the_redo);
    tcase_add_test(sums, infinities_and_nan_do_not_depend_on_order);
    tcase_add_test(sums, a_zero_sum_has_no_sign);
    suite_add_tcase(suite, sums);
    tcase_add_loop_test(rows, sums_of_rows_are_those_of_their_terms, 0, 3);
    tcase_add_loop_test(
        rows, a_faithful_sum_rounds_each_product_and_addition_in_slot_order, 0,
        3);
    tcase_add_loop_test(rows, a_fold_rounds_every_addition_once, 0, 3);
    suite_add_tcase(suite, rows);
    return moe_suite_main(suite);
}
