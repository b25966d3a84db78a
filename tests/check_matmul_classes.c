/* SPDX-License-Identifier: Apache-2.0 */
/* Every class of operands against MPFR: the exact sum, rounded once. Built a
 * second time with a BLAS that sums backwards (tests/reversed_blas.c). */
#include "config.h"

#include "moe/fill_rows.h"
#include "ref/matmul.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPERTS = 2,
    ROWS = 9,
    HIDDEN = 384, /* K: three blocks of 128 */
    INTERMEDIATE = 32,
    N = 2 * INTERMEDIATE
};

static const moe_model_t model = {.hidden = HIDDEN,
                                  .intermediate = INTERMEDIATE,
                                  .experts = EXPERTS,
                                  .topk = 1};
static const int64_t offset[EXPERTS + 1] = {0, 4, ROWS};

static uint32_t x_codes[ROWS * HIDDEN];
static float x_scales[ROWS * HIDDEN];
static uint32_t w_codes[N * HIDDEN];
static float w_scales[N * HIDDEN];
static uint32_t out_codes[ROWS * N];
static float bias[EXPERTS * N];

/* Rows in a format: drawn like weights; plain floats have all digits. */
static moe_rows_t draw_rows(moe_format_t format, uint64_t seed)
{
    moe_rows_t rows = {.storage = {.format = format},
                       .rows = ROWS,
                       .cols = HIDDEN,
                       .codes = x_codes,
                       .scales = x_scales};
    uint64_t state = seed;

    if (moe_format_info(format)->has_global) {
        rows.storage.global_scale = 3.7f;
    }
    if (moe_fill_rows_has(format) && !moe_format_is_float(format)) {
        moe_fill_rows(seed, &model, MOE_W13, format, 7, 0, ROWS, 0, HIDDEN,
                      x_codes, x_scales);
        return rows;
    }
    for (int64_t i = 0; i < ROWS * HIDDEN; i++) {
        double v = judge_number(&state, 24, i % 7 == 0 ? -14 : -3, 2);

        moe_float_store(format, x_codes, i, moe_round_f64(format, v));
    }
    return rows;
}

static double judged(const moe_rows_t *x, int64_t row, const moe_rows_t *w,
                     int64_t col, float add, moe_format_t format)
{
    double value;
    mpfr_t sum, term;

    mpfr_inits2(JUDGE_BITS, sum, term, (mpfr_ptr)0);
    mpfr_set_d(sum, (double)add, MPFR_RNDN);
    for (int64_t k = 0; k < HIDDEN; k++) {
        mpfr_set_d(term, moe_rows_value(x, row, k), MPFR_RNDN);
        mpfr_mul_d(term, term, moe_rows_value(w, col, k), MPFR_RNDN);
        mpfr_add(sum, sum, term, MPFR_RNDN);
    }
    value = judge_round(sum, format);
    mpfr_clears(sum, term, (mpfr_ptr)0);
    return value;
}

/* What the weights of an expert are. */
static moe_rows_t weights_of(moe_format_t format, int64_t expert)
{
    moe_rows_t w = {.storage = {.format = format},
                    .rows = N,
                    .cols = HIDDEN,
                    .codes = w_codes,
                    .scales = w_scales};

    if (moe_format_info(format)->has_global) { /* ref/weights.c's default */
        w.storage.global_scale = 128.0f;
    }
    moe_fill_rows(5, &model, MOE_W13, format, expert, 0, N, 0, HIDDEN, w_codes,
                  w_scales);
    return w;
}

/* cblas_dgemm, in the second program that which sums backwards, gives the bits
 * of whatever kernel made out. */
static void assert_same_by_blas(const moe_ref_weights_t *weights,
                                const moe_rows_t *x, const moe_rows_t *out)
{
    static uint32_t codes[ROWS * N];
    moe_ref_stats_t stats = {0, 0, 0};
    moe_rows_t other = *out;

    other.codes = codes;
    ck_assert_int_eq(setenv("MOESIM_KERNEL", "blas", 1), 0);
    ck_assert_int_eq(
        moe_ref_grouped_matmul(weights, x, offset, EXPERTS, &other, &stats),
        MOE_OK);
    ck_assert_int_eq(unsetenv("MOESIM_KERNEL"), 0);
    ck_assert_mem_eq(codes, out->codes,
                     (size_t)(out->rows * moe_rows_code_bytes(out)));
}

static void assert_product(moe_format_t xf, moe_format_t wf, moe_format_t of,
                           bool biased)
{
    moe_ref_stats_t stats = {0, 0, 0};
    moe_ref_weights_t weights = {.model = &model,
                                 .seed = 5,
                                 .weight = MOE_W13,
                                 .format = wf,
                                 .first_expert = 3,
                                 .bias = biased ? bias : NULL};
    moe_rows_t x = draw_rows(xf, 99);
    moe_rows_t out = {
        .storage = {.format = of}, .rows = ROWS, .cols = N, .codes = out_codes};

    for (int e = 0; e < EXPERTS; e++) {
        moe_fill_expert_bias(5, MOE_W13, 3 + e, 0, N, bias + e * N);
    }
    ck_assert_int_eq(
        moe_ref_grouped_matmul(&weights, &x, offset, EXPERTS, &out, &stats),
        MOE_OK);
    ck_assert_int_eq(stats.elements, ROWS * N);
    assert_same_by_blas(&weights, &x, &out);
    for (int64_t e = 0; e < EXPERTS; e++) {
        moe_rows_t w = weights_of(wf, 3 + e);

        for (int64_t i = offset[e] * N; i < offset[e + 1] * N; i += 7) {
            double got = moe_float_value(of, moe_float_load(of, out_codes, i));
            double want = judged(&x, i / N, &w, i % N,
                                 biased ? bias[e * N + i % N] : 0.0f, of);

            ck_assert_msg(got == want || (isnan(got) && isnan(want)),
                          "%s x %s to %s, element %lld: %a, not %a",
                          moe_format_name(xf), moe_format_name(wf),
                          moe_format_name(of), (long long)i, got, want);
        }
    }
}

static const moe_format_t outs[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                    MOE_FORMAT_fp32};

/* All pairs that have a kernel but NVFP4's own; a test of each x format. */
START_TEST(every_pair_of_formats_is_multiplied_exactly)
{
    const moe_format_t x = (moe_format_t)_i;
    int pairs = 0;

    for (int w = 0; w < MOE_FORMAT_COUNT; w++) {
        const moe_format_t out = outs[(_i + w) % 3];

        if (moe_fill_rows_has((moe_format_t)w) && x != MOE_FORMAT_nvfp4 &&
            moe_ref_matmul_supports(x, (moe_format_t)w, out)) {
            assert_product(x, (moe_format_t)w, out, w % 2 == 1);
            pairs++;
        }
    }
    ck_assert(pairs > 0 || x == MOE_FORMAT_nvfp4 ||
              !moe_ref_matmul_supports(x, x, MOE_FORMAT_bf16));
}
END_TEST

START_TEST(infinities_and_nan_reach_only_their_row)
{
    moe_ref_stats_t stats = {0, 0, 0};
    moe_ref_weights_t weights = {.model = &model,
                                 .seed = 5,
                                 .weight = MOE_W13,
                                 .format = MOE_FORMAT_bf16};
    moe_rows_t x = draw_rows(MOE_FORMAT_bf16, 4);
    moe_rows_t out = {.storage = {.format = MOE_FORMAT_fp32},
                      .rows = ROWS,
                      .cols = N,
                      .codes = out_codes};
    uint16_t *codes = (uint16_t *)(void *)x_codes;

    codes[HIDDEN + 5] = 0x7f80;
    codes[3 * HIDDEN] = 0x7fc0;
    memset(codes + 4 * HIDDEN, 0, 2 * HIDDEN);
    ck_assert_int_eq(
        moe_ref_grouped_matmul(&weights, &x, offset, EXPERTS, &out, &stats),
        MOE_OK);
    for (int64_t i = 0; i < ROWS * N; i++) {
        float y = moe_f32_of_bits(out_codes[i]);

        ck_assert(i / N == 1 ? isinf(y) : i / N == 3 ? isnan(y) : isfinite(y));
        ck_assert(i / N != 4 || out_codes[i] == 0);
    }
}
END_TEST

/* Somebody's weights instead of drawn ones. */
START_TEST(given_weights_are_used)
{
    moe_ref_stats_t stats = {0, 0, 0};
    const moe_rows_t given = weights_of(MOE_FORMAT_fp8_1x128, 3);
    moe_ref_weights_t weights = {.model = &model,
                                 .seed = 5,
                                 .weight = MOE_W13,
                                 .format = MOE_FORMAT_fp8_1x128,
                                 .first_expert = 3};
    const int64_t one[2] = {0, ROWS};
    static uint32_t first[ROWS * N];
    moe_rows_t x = draw_rows(MOE_FORMAT_fp8_1x128, 8);
    moe_rows_t out = {.storage = {.format = MOE_FORMAT_fp32},
                      .rows = ROWS,
                      .cols = N,
                      .codes = first};

    ck_assert_int_eq(moe_ref_grouped_matmul(&weights, &x, one, 1, &out, &stats),
                     MOE_OK);
    weights.given = &given;
    weights.model = NULL;
    out.codes = out_codes;
    ck_assert_int_eq(moe_ref_grouped_matmul(&weights, &x, one, 1, &out, &stats),
                     MOE_OK);
    ck_assert_int_eq(memcmp(first, out_codes, sizeof(first)), 0);
    w_codes[0] ^= 0x10;
    ck_assert_int_eq(moe_ref_grouped_matmul(&weights, &x, one, 1, &out, &stats),
                     MOE_OK);
    ck_assert_int_ne(memcmp(first, out_codes, sizeof(first)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matmul_classes");
    TCase *tests = tcase_create("classes");

    tcase_add_loop_test(tests, every_pair_of_formats_is_multiplied_exactly, 0,
                        MOE_FORMAT_COUNT);
    tcase_add_test(tests, infinities_and_nan_reach_only_their_row);
    tcase_add_test(tests, given_weights_are_used);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
