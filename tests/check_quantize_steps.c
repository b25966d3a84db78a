/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/formats.h"
#include "ref/quantize.h"
#include "ref/quantize_profile.h"
#include "tests/rows_store.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <string.h>

/* The named steps of each profile, one by one, by MPFR. */

static store_t source;
static store_t middle;
static store_t result;

/* RN32(a * b) by MPFR. */
static float product(double a, double b)
{
    mpfr_t x;
    float result_f;

    mpfr_init2(x, 200);
    mpfr_set_d(x, a, MPFR_RNDN);
    mpfr_mul_d(x, x, b, MPFR_RNDN);
    result_f = mpfr_get_flt(x, MPFR_RNDN);
    mpfr_clear(x);
    return result_f;
}

/* RN32(a / b) by MPFR: the exact quotient cut at 300 digits is on the same
 * side of every midpoint, which has 25. */
static float quotient(double a, double b)
{
    mpfr_t x;
    float result_f;

    mpfr_init2(x, 300);
    mpfr_set_d(x, a, MPFR_RNDN);
    mpfr_div_d(x, x, b, MPFR_RNDN);
    result_f = mpfr_get_flt(x, MPFR_RNDN);
    mpfr_clear(x);
    return result_f;
}

static double largest(const moe_rows_t *src, int64_t row, int64_t col, int n)
{
    double v = 0;

    for (int i = 0; i < n; i++) {
        v = fmax(v, fabs(moe_rows_value(src, row, col + i)));
    }
    return v;
}

static int nvfp4_code(const moe_rows_t *rows, int64_t row, int64_t col)
{
    const uint8_t *codes = rows->codes;

    return codes[(row * rows->cols + col) / 2] >> (4 * (col % 2)) & 15;
}

/* The named steps of te-exact, each by MPFR. */
static void expect_te_exact(const moe_rows_t *src, const moe_rows_t *dst)
{
    double gs = (double)dst->storage.global_scale;
    double factor = (double)product(gs, (double)quotient(1, 6));

    for (int64_t r = 0; r < src->rows; r++) {
        for (int64_t c = 0; c < src->cols; c++) {
            uint8_t scale =
                ((const uint8_t *)dst->scales)[(r * src->cols + c) / BLOCK];
            double decoded = (double)moe_e4m3_to_f32(scale);
            double base = (double)product(decoded, (double)quotient(1, gs));
            double os = fmin((double)quotient(1, base), (double)FLT_MAX);
            double x = moe_rows_value(src, r, c);

            if (c % BLOCK == 0) {
                ck_assert_uint_eq(
                    scale, moe_e4m3_from_f32(
                               product(largest(src, r, c, BLOCK), factor)));
            }
            if (nvfp4_code(dst, r, c) != moe_e2m1_from_f32(product(x, os))) {
                ck_abort_msg("row %d column %d", (int)r, (int)c);
            }
        }
    }
}

/* The named steps of deepep, each by MPFR. */
static void expect_deepep(const moe_rows_t *src, const moe_rows_t *dst)
{
    for (int64_t r = 0; r < src->rows; r++) {
        for (int64_t c = 0; c < src->cols; c += GROUP) {
            float scale =
                ((const float *)dst->scales)[(r * src->cols + c) / GROUP];
            double v = fmax(largest(src, r, c, GROUP), (double)1e-4f);
            double m = (double)quotient(448, v);

            ck_assert_uint_eq(
                moe_f32_bits(scale),
                moe_f32_bits(product(v, (double)quotient(1, 448))));
            for (int64_t i = c; i < c + GROUP; i++) {
                uint8_t want =
                    moe_e4m3_from_f32(product(moe_rows_value(src, r, i), m));

                if (((const uint8_t *)dst->codes)[r * src->cols + i] != want) {
                    ck_abort_msg("row %d column %d", (int)r, (int)i);
                }
            }
        }
    }
}

static void expect_profile(const moe_rows_t *src, const moe_rows_t *dst)
{
    if (dst->storage.profile == MOE_PROFILE_te_exact) {
        expect_te_exact(src, dst);
    } else {
        ck_assert_int_eq(dst->storage.profile, MOE_PROFILE_deepep);
        expect_deepep(src, dst);
    }
}

static const moe_format_t floats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                      MOE_FORMAT_fp32};
static const float globals[] = {672.0f, 42.0f, 0.37f, 1e-3f, 98765.4f};

enum {
    FLOATS = 3,
    GLOBALS = 5
};

static float global_of(moe_format_t format, int i)
{
    return moe_format_info(format)->has_global ? globals[i % GLOBALS] : 0;
}

/* Inverse of an odd number modulo 2^32, by Newton's iteration. */
static uint32_t inverse(uint32_t b)
{
    uint32_t x = b;

    for (int i = 0; i < 5; i++) {
        x *= 2 - b * x;
    }
    return x;
}

/* A product of 30 by 24 digits that misses a midpoint of floats by 1 of its
 * last place, which float64 may not hold. */
START_TEST(a_product_of_54_digits_is_rounded_once)
{
    uint64_t state = 7667;
    int lost = 0;

    for (int i = 0; i < 4000; i++) {
        uint32_t digits = 0xc00001 | draw(&state) % 0x400000;
        uint32_t offset = 0x20000000 + (i % 2 == 0 ? 1u : UINT32_MAX);
        double a = (double)(inverse(digits) * offset % 0x40000000);
        double b = (double)digits * (i % 4 < 2 ? 1.0 : -0x1p-100);
        uint32_t want = moe_f32_bits(product(a, b));

        lost += moe_f32_bits((float)(a * b)) != want;
        if (moe_f32_bits(moe_product_f32(a, b)) != want) {
            ck_abort_msg("%a x %a", a, b);
        }
    }
    ck_assert_int_gt(lost, 100); /* the cases are there */
}
END_TEST

/* The other profiles: check_quantize_profiles.c. */
static const moe_profile_t profiles[] = {MOE_PROFILE_te_exact,
                                         MOE_PROFILE_deepep};

START_TEST(te_exact_and_deepep_round_as_named_from_every_float_format)
{
    moe_profile_t profile = profiles[_i / FLOATS / GLOBALS];
    moe_format_t format = moe_profile_format(profile);
    const moe_rows_t *src =
        store(&source, floats[_i % FLOATS], 0, ROWS / 2, COLS);
    const moe_rows_t *dst =
        store(&result, format, global_of(format, _i / FLOATS), ROWS / 2, COLS);

    result.rows.storage.profile = profile;
    fill(src, (uint64_t)_i);
    ck_assert_int_eq(moe_ref_quantize(src, dst), MOE_OK);
    expect_profile(src, dst);
}
END_TEST

/* Blocks whose scale lies beside a midpoint of E4M3, where the order of the
 * steps shows. */
START_TEST(scales_beside_midpoints_follow_the_named_steps)
{
    uint64_t state = (uint64_t)_i + 1;
    float gs = (float)(1 + draw(&state) % 100000) / 37.0f;
    const moe_rows_t *src = store(&source, MOE_FORMAT_fp32, 0, ROWS, COLS);
    const moe_rows_t *dst = store(&result, MOE_FORMAT_nvfp4, gs, ROWS, COLS);

    memset(source.codes, 0, sizeof(source.codes));
    for (int64_t i = 0; i < ROWS * COLS; i += BLOCK) {
        uint8_t code = (uint8_t)(draw(&state) % 0x7e);
        float low = moe_e4m3_to_f32(code);
        float between = (low + moe_e4m3_to_f32((uint8_t)(code + 1))) / 2;
        uint32_t bits = moe_f32_bits(between * 6.0f / gs);

        source.codes[i] = bits - 2 + draw(&state) % 5;
    }
    ck_assert_int_eq(moe_ref_quantize(src, dst), MOE_OK);
    expect_te_exact(src, dst);
}
END_TEST

/* From one block format to another: values of 28 and 30 digits. */
START_TEST(te_exact_and_deepep_round_as_named_from_block_formats)
{
    static const moe_format_t blocks[] = {MOE_FORMAT_nvfp4,
                                          MOE_FORMAT_fp8_1x128};
    moe_format_t from = blocks[_i % 2];
    moe_format_t to = blocks[_i / 2];
    const moe_rows_t *src = store(&source, MOE_FORMAT_fp32, 0, ROWS, COLS);
    const moe_rows_t *mid =
        store(&middle, from, global_of(from, 4), ROWS, COLS);
    const moe_rows_t *dst = store(&result, to, global_of(to, 2), ROWS, COLS);

    fill(src, (uint64_t)_i);
    ck_assert_int_eq(moe_ref_quantize(src, mid), MOE_OK);
    ck_assert_int_eq(moe_ref_quantize(mid, dst), MOE_OK);
    expect_profile(mid, dst);
}
END_TEST

/* Exact value of an element: code x scale x RN32(1/global). */
static void expect_decoded(const moe_rows_t *src, const moe_rows_t *dst)
{
    double global = 1;

    if (src->storage.format == MOE_FORMAT_nvfp4) {
        global = (double)quotient(1, (double)src->storage.global_scale);
    }
    for (int64_t i = 0; i < src->rows * src->cols; i++) {
        double code = (double)moe_e4m3_to_f32(((uint8_t *)src->codes)[i]);
        double scale = (double)((const float *)src->scales)[i / GROUP];
        uint32_t want;

        if (src->storage.format == MOE_FORMAT_nvfp4) {
            code = (double)moe_e2m1_to_f32(
                (uint8_t)nvfp4_code(src, i / COLS, i % COLS));
            scale = (double)moe_e4m3_to_f32(
                ((const uint8_t *)src->scales)[i / BLOCK]);
        }
        want = moe_round_f64(dst->storage.format, code * scale * global);
        if (moe_float_load(dst->storage.format, dst->codes, i) != want) {
            ck_abort_msg("element %d", (int)i);
        }
    }
}

START_TEST(decoding_gives_the_exact_value_rounded_once)
{
    moe_format_t from =
        _i / FLOATS == 0 ? MOE_FORMAT_nvfp4 : MOE_FORMAT_fp8_1x128;
    const moe_rows_t *src = store(&source, MOE_FORMAT_fp32, 0, ROWS, COLS);
    const moe_rows_t *mid =
        store(&middle, from, global_of(from, 0), ROWS, COLS);
    const moe_rows_t *dst = store(&result, floats[_i % FLOATS], 0, ROWS, COLS);

    fill(src, (uint64_t)_i);
    ck_assert_int_eq(moe_ref_quantize(src, mid), MOE_OK);
    ck_assert_int_eq(moe_ref_dequantize(mid, dst), MOE_OK);
    expect_decoded(mid, dst);
}
END_TEST

START_TEST(decoding_is_near_the_source)
{
    const moe_rows_t *src = store(&source, MOE_FORMAT_fp32, 0, ROWS, COLS);
    const moe_rows_t *mid = store(&middle, MOE_FORMAT_nvfp4, 5, ROWS, COLS);

    fill(src, (uint64_t)_i);
    ck_assert_int_eq(moe_ref_quantize(src, mid), MOE_OK);
    for (int64_t r = 0; r < ROWS; r++) {
        for (int64_t c = 0; c < COLS; c++) {
            double v = largest(src, r, c / BLOCK * BLOCK, BLOCK);
            double error =
                fabs(moe_rows_value(src, r, c) - moe_rows_value(mid, r, c));

            /* half a step of E2M1 (1 of 6) and an E4M3 scale's 1/16; scales
             * below E4M3's normal range lose more: 6 x 2^-9 / 5 */
            if (error > v * (1.0 / 6 + 1.0 / 16) + 6 * 0x1p-9 / 5) {
                ck_abort_msg("row %d column %d: %g", (int)r, (int)c, error);
            }
        }
    }
}
END_TEST

START_TEST(float_formats_convert_with_one_rounding)
{
    const moe_rows_t *src = store(&source, floats[_i / FLOATS], 0, ROWS, COLS);
    const moe_rows_t *dst = store(&result, floats[_i % FLOATS], 0, ROWS, COLS);

    fill(src, (uint64_t)_i);
    ck_assert_int_eq(moe_ref_convert(src, dst), MOE_OK);
    for (int64_t i = 0; i < ROWS * COLS; i++) {
        float x = (float)moe_rows_value(src, i / COLS, i % COLS);
        uint32_t want = moe_f32_bits(x);

        if (dst->storage.format == MOE_FORMAT_bf16) {
            want = moe_bf16_from_f32(x);
        } else if (dst->storage.format == MOE_FORMAT_fp16) {
            want = moe_fp16_from_f32(x);
        }
        if (moe_float_load(dst->storage.format, dst->codes, i) != want) {
            ck_abort_msg("element %d", (int)i);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantize_steps");
    TCase *tests = tcase_create("quantize_steps");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_product_of_54_digits_is_rounded_once);
    tcase_add_loop_test(
        tests, te_exact_and_deepep_round_as_named_from_every_float_format, 0,
        2 * FLOATS * GLOBALS);
    tcase_add_loop_test(tests, scales_beside_midpoints_follow_the_named_steps,
                        0, 20);
    tcase_add_loop_test(
        tests, te_exact_and_deepep_round_as_named_from_block_formats, 0, 4);
    tcase_add_loop_test(tests, decoding_gives_the_exact_value_rounded_once, 0,
                        2 * FLOATS);
    tcase_add_loop_test(tests, decoding_is_near_the_source, 0, 4);
    tcase_add_loop_test(tests, float_formats_convert_with_one_rounding, 0,
                        FLOATS * FLOATS);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
