/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in every format that is drawn row by row: moe/fill_rows.h. */
#include "tests/support.h"

#include "moe/fill_rows.h"
#include "ref/formats.h"
#include "ref/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    H = 1024,
    ROWS = 130, /* more than share a scale of fp8_1x128 */
    CUT_ROW = 3,
    CUT_BLOCK = 384, /* a multiple of any block */
    CUT_COL = 416    /* of 32 */
};

static const moe_model_t model = {.hidden = H, .intermediate = 128};

static uint32_t codes[ROWS * H];
static float scales[ROWS * H];
static uint32_t part_codes[ROWS * H];
static float part_scales[ROWS * H];

static moe_rows_t rows_of(moe_format_t format, int64_t rows, int64_t cols,
                          void *code, void *scale)
{
    return (moe_rows_t){
        .storage = {.format = format,
                    .global_scale = moe_format_info(format)->has_global
                                        ? 1.0f / moe_fill_rows_global(H)
                                        : 0.0f},
        .rows = rows,
        .cols = cols,
        .codes = code,
        .scales = scale};
}

/* All rows of expert 5's W13. */
static moe_rows_t draw(moe_format_t format)
{
    memset(codes, 0xff, sizeof(codes));
    moe_fill_rows(3, &model, MOE_W13, format, 5, 0, ROWS, 0, H, codes, scales);
    return rows_of(format, ROWS, H, codes, scales);
}

START_TEST(rows_are_the_same_in_any_cut)
{
    const moe_format_t format = (moe_format_t)_i;
    const int block = moe_format_info(format)->block;
    const int64_t cut =
        block > 32 && block != MOE_BLOCK_ROW ? CUT_BLOCK : CUT_COL;
    moe_rows_t all, part;

    if (!moe_fill_rows_has(format)) {
        return;
    }
    all = draw(format);
    moe_fill_rows(3, &model, MOE_W13, format, 5, CUT_ROW, ROWS - CUT_ROW, cut,
                  H - cut, part_codes, part_scales);
    part = rows_of(format, ROWS - CUT_ROW, H - cut, part_codes, part_scales);
    for (int64_t r = CUT_ROW; r < ROWS; r++) {
        for (int64_t c = cut; c < H; c++) {
            double whole = moe_rows_value(&all, r, c);
            double own = moe_rows_value(&part, r - CUT_ROW, c - cut);

            ck_assert(whole >= own && whole <= own);
        }
    }
}
END_TEST

START_TEST(values_spread_by_the_number_of_columns_and_none_is_minus_zero)
{
    const moe_format_t format = (moe_format_t)_i;
    double squares = 0.0;
    double sum = 0.0;
    moe_rows_t all;

    if (!moe_fill_rows_has(format)) {
        return;
    }
    all = draw(format);
    for (int64_t i = 0; i < ROWS * H; i++) {
        const double x = moe_rows_value(&all, i / H, i % H);

        ck_assert(isfinite(x) && !(x == 0.0 && signbit(x) != 0));
        squares += x * x;
        sum += x;
    }
    squares /= ROWS; /* sum of a row: 1 / sqrt(K) each */
    ck_assert_msg(squares > 0.25 && squares < 4.0, "%s: %g",
                  moe_format_name(format), squares);
    ck_assert(fabs(sum) < 6.0 * sqrt(ROWS * squares));
}
END_TEST

/* The same number with eight digits, the rest cut off. */
static double eight_digits(double x)
{
    const uint32_t bits = moe_f32_bits((float)x);

    return (double)moe_f32_of_bits(bits & 0x7fff0000);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* fp16 and fp32 have the bf16 ones' magnitudes with digits behind them. */
START_TEST(long_floats_extend_the_short_ones)
{
    static const moe_format_t formats[] = {MOE_FORMAT_fp16, MOE_FORMAT_fp32};
    static double known[ROWS * H];
    int64_t more = 0;
    moe_rows_t all = draw(MOE_FORMAT_bf16);

    for (int64_t i = 0; i < ROWS * H; i++) {
        known[i] = fabs(moe_rows_value(&all, i / H, i % H));
    }
    qsort(known, ROWS * H, sizeof(*known), compare);
    all = draw(formats[_i]);
    for (int64_t i = 0; i < ROWS * H; i++) {
        const double x = fabs(moe_rows_value(&all, i / H, i % H));
        const double head = eight_digits(x);

        more += x > head;
        ck_assert(x < 0x1p-14 || /* subnormal in fp16 */
                  bsearch(&head, known, ROWS * H, sizeof(head), compare) !=
                      NULL);
    }
    /* all of the three digits are 0 in one of eight */
    ck_assert(fabs((double)more / (ROWS * H) - (_i == 0 ? 7.0 / 8 : 1.0)) <
              0.01);
}
END_TEST

/* One head of eight digits has every tail of three, about as often each. */
START_TEST(digits_behind_a_quantile_are_random)
{
    static const moe_format_t formats[] = {MOE_FORMAT_fp16, MOE_FORMAT_fp32};
    const moe_rows_t all = draw(formats[_i]);
    const uint32_t head = moe_f32_bits(0x1.4p-5f); /* a usual one */
    int count[8] = {0};
    int n = 0;

    for (int64_t i = 0; i < ROWS * H; i++) {
        const uint32_t bits =
            moe_f32_bits((float)moe_rows_value(&all, i / H, i % H));

        if ((bits & 0x7fff0000) == head) {
            count[bits >> 13 & 7]++;
            n++;
        }
    }
    ck_assert_int_gt(n, 200);
    for (int t = 0; t < 8; t++) {
        ck_assert_msg(count[t] > n / 20 && count[t] < n / 4,
                      "tail %d: %d of %d", t, count[t], n);
    }
}
END_TEST

/* Of a model so wide that most are below fp16's smallest exponent: cut off,
 * so the sum of squares is a little less than bf16's. */
START_TEST(small_numbers_in_fp16_lose_digits_not_their_size)
{
    const moe_model_t wide = {.hidden = INT64_C(1) << 30, .intermediate = 128};
    uint16_t *half = (uint16_t *)(void *)codes;
    double squares = 0.0;

    moe_fill_rows(3, &wide, MOE_W13, MOE_FORMAT_fp16, 5, 0, ROWS, 0, H, codes,
                  NULL);
    for (int64_t i = 0; i < ROWS * H; i++) {
        const double x = (double)moe_fp16_to_f32(half[i]);

        ck_assert_uint_ne(half[i], 0x8000);
        squares += x * x * 0x1p30;
    }
    squares /= ROWS * H;
    ck_assert_msg(squares > 0.9 && squares < 1.1, "%g", squares);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fill_rows");
    TCase *tests = tcase_create("formats");

    tcase_add_loop_test(tests, rows_are_the_same_in_any_cut, 0,
                        MOE_FORMAT_COUNT);
    tcase_add_loop_test(
        tests, values_spread_by_the_number_of_columns_and_none_is_minus_zero, 0,
        MOE_FORMAT_COUNT);
    tcase_add_loop_test(tests, long_floats_extend_the_short_ones, 0, 2);
    tcase_add_loop_test(tests, digits_behind_a_quantile_are_random, 0, 2);
    tcase_add_test(tests, small_numbers_in_fp16_lose_digits_not_their_size);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
