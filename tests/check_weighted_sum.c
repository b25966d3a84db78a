/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/combine.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

static const moe_format_t floats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                      MOE_FORMAT_fp32};

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

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
    Suite *suite = suite_create("weighted_sum");
    TCase *rows = tcase_create("rows");

    tcase_add_loop_test(rows, sums_of_rows_are_those_of_their_terms, 0, 3);
    tcase_add_loop_test(
        rows, a_faithful_sum_rounds_each_product_and_addition_in_slot_order, 0,
        3);
    tcase_add_loop_test(rows, a_fold_rounds_every_addition_once, 0, 3);
    suite_add_tcase(suite, rows);
    return moe_suite_main(suite);
}
