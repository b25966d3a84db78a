/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/quantize.h"
#include "tests/quantize_statements.h"
#include "tests/rows_store.h"
#include "tests/support.h"

#include <math.h>
#include <string.h>

/* Every profile of moe/profile.def but the fast ones (check_quantize_fast.c)
 * and LogFMT-10 (check_logfmt.c), stated once more: each step of its formula
 * by MPFR, a block from its list of numbers. */

static store_t source;
static store_t result;

enum {
    BLOCKS = ROWS
};

static double scale_of(const moe_rows_t *dst, int64_t at)
{
    const uint8_t *bytes = dst->scales;
    uint16_t half;

    switch ((int)moe_format_info(dst->storage.format)->scale) {
    case MOE_DTYPE_e4m3:
        return (double)moe_e4m3_to_f32(bytes[at]);
    case MOE_DTYPE_e8m0:
        return ldexp(1, bytes[at] - 127);
    case MOE_DTYPE_bf16:
        memcpy(&half, bytes + 2 * at, sizeof(half));
        return (double)moe_bf16_to_f32(half);
    default:
        return (double)((const float *)dst->scales)[at];
    }
}

static uint32_t code_at(const moe_rows_t *dst, int64_t i)
{
    const uint8_t *bytes = dst->codes;

    return moe_format_info(dst->storage.format)->code == MOE_DTYPE_e2m1
               ? (uint32_t)bytes[i / 2] >> (4 * (i % 2)) & 15
               : bytes[i];
}

static uint32_t code_of(moe_dtype_t dtype, double y)
{
    return dtype == MOE_DTYPE_e2m1   ? moe_e2m1_from_f32((float)y)
           : dtype == MOE_DTYPE_e4m3 ? moe_e4m3_from_f32((float)y)
           : dtype == MOE_DTYPE_e5m2 ? moe_e5m2_from_f32((float)y)
                                     : (uint8_t)(int8_t)y;
}

static void expect_block(const moe_rows_t *src, const moe_rows_t *dst,
                         int64_t row, int64_t col, int n)
{
    const moe_format_info_t *info = moe_format_info(dst->storage.format);
    static statement_block_t b;

    b = (statement_block_t){.n = n, .gs = (double)dst->storage.global_scale};
    for (int i = 0; i < n; i++) {
        b.x[i] = moe_rows_value(src, row, col + i);
        b.v = fmax(b.v, fabs(b.x[i]));
    }
    quantize_statement(dst->storage.profile)(&b);
    if (info->block != 0) {
        int64_t at =
            row * moe_format_scale_cols(dst->storage.format, dst->cols) +
            col / info->block;

        ck_assert_double_eq(scale_of(dst, at), b.scale);
    }
    for (int i = 0; i < n; i++) {
        uint32_t got = code_at(dst, row * dst->cols + col + i);

        ck_assert_msg(got == code_of(info->code, b.y[i]),
                      "%s: %a becomes %x, expected %x of %a",
                      moe_profile_name(dst->storage.profile), b.x[i], got,
                      code_of(info->code, b.y[i]), b.y[i]);
    }
}

static const float globals[] = {672.0f, 0.37f, 1e-3f};

/* Blocks of every size from 2^-140 to 2^127, one a row. */
static void fill_sizes(const moe_rows_t *rows, uint64_t seed)
{
    uint64_t state = 7 + seed;

    for (int64_t i = 0; i < rows->rows * rows->cols; i++) {
        int exponent = (int)(i / rows->cols * 267 / rows->rows) - 140;
        float x = moe_f32_of_bits(0x3f800000 | draw(&state) >> 9);

        x = ldexpf(x, exponent - (int)(draw(&state) % 6));
        moe_float_store(rows->storage.format, rows->codes, i,
                        moe_round_f64(rows->storage.format,
                                      (i & 1) != 0 ? -(double)x : (double)x));
    }
}

static void expect_rows(moe_profile_t profile, moe_format_t from, int i)
{
    const moe_format_t format = moe_profile_format(profile);
    const moe_format_info_t *info = moe_format_info(format);
    const moe_rows_t *src = store(&source, from, 0, BLOCKS, COLS);
    const moe_rows_t *dst = store(
        &result, format, info->has_global ? globals[i % 3] : 0, BLOCKS, COLS);
    const int n = info->block == 0 || info->block > COLS ? COLS : info->block;

    result.rows.storage.profile = profile;
    if (i < 3) {
        fill(src, (uint64_t)i);
    } else {
        fill_sizes(src, (uint64_t)i);
    }
    ck_assert_int_eq(moe_ref_quantize(src, dst), MOE_OK);
    for (int64_t r = 0; r < BLOCKS; r++) {
        for (int64_t c = 0; c < COLS; c += n) {
            expect_block(src, dst, r, c, n);
        }
    }
}

START_TEST(every_profile_rounds_as_its_formula_says)
{
    moe_profile_t profile = (moe_profile_t)_i;

    if (quantize_statement(profile) == NULL) {
        return;
    }
    for (int i = 0; i < 4; i++) {
        expect_rows(profile, MOE_FORMAT_bf16, i);
    }
    expect_rows(profile, MOE_FORMAT_fp32, 1);
}
END_TEST

/* Rows are decoded as code x scale x decode scale, rounded once. */
START_TEST(every_profile_decodes_to_code_times_scale)
{
    moe_profile_t profile = (moe_profile_t)_i;
    const moe_format_info_t *info =
        moe_format_info(moe_profile_format(profile));
    static store_t back;
    const moe_rows_t *out = store(&back, MOE_FORMAT_fp32, 0, BLOCKS, COLS);

    if (quantize_statement(profile) == NULL) {
        return;
    }
    expect_rows(profile, MOE_FORMAT_bf16, 0);
    ck_assert_int_eq(moe_ref_dequantize(&result.rows, out), MOE_OK);
    for (int64_t i = 0; i < BLOCKS * COLS; i++) {
        const moe_global_t global = moe_profile_info(profile)->global;
        double gs = (double)result.rows.storage.global_scale;
        double code = (double)(int8_t)code_at(&result.rows, i);
        int64_t n = info->block > COLS ? COLS : info->block;
        double want;

        if (info->code == MOE_DTYPE_e2m1) {
            code = (double)moe_e2m1_to_f32((uint8_t)code_at(&result.rows, i));
        } else if (info->code != MOE_DTYPE_i8) {
            uint8_t byte = (uint8_t)code_at(&result.rows, i);

            code =
                (double)(info->code == MOE_DTYPE_e4m3 ? moe_e4m3_to_f32(byte)
                                                      : moe_e5m2_to_f32(byte));
        }
        want = n == 0 ? code : code * scale_of(&result.rows, i / n);
        want *= global == MOE_GLOBAL_encode   ? quantize_quotient(1, gs)
                : global == MOE_GLOBAL_decode ? gs
                                              : 1;
        ck_assert_uint_eq(moe_f32_bits((float)want),
                          ((uint32_t *)back.codes)[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantize_profiles");
    TCase *tests = tcase_create("quantize_profiles");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, every_profile_rounds_as_its_formula_says,
                        MOE_PROFILE_none + 1, MOE_PROFILE_COUNT);
    tcase_add_loop_test(tests, every_profile_decodes_to_code_times_scale,
                        MOE_PROFILE_none + 1, MOE_PROFILE_COUNT);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
