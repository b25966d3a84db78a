/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/formats.h"
#include "ref/quantize.h"
#include "tests/rows_store.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static store_t source;
static store_t result;

/* One block through te-exact, printed as fp4_formats.md does: SF and bytes in
 * the order of addresses. */
static void expect_block(float global, const float x[BLOCK], const char *want)
{
    const moe_rows_t *src = store(&source, MOE_FORMAT_fp32, 0, 1, BLOCK);
    const moe_rows_t *dst = store(&result, MOE_FORMAT_nvfp4, global, 1, BLOCK);
    const uint8_t *codes = dst->codes;
    char got[32];

    memcpy(src->codes, x, BLOCK * sizeof(*x));
    ck_assert_int_eq(moe_ref_quantize(src, dst), MOE_OK);
    (void)snprintf(got, sizeof(got), "%02x %02x%02x%02x%02x%02x%02x%02x%02x",
                   *(uint8_t *)dst->scales, codes[0], codes[1], codes[2],
                   codes[3], codes[4], codes[5], codes[6], codes[7]);
    ck_assert_str_eq(got, want);
}

static float bf16(float x)
{
    return moe_bf16_to_f32(moe_bf16_from_f32(x));
}

START_TEST(published_nvfp4_blocks_hold)
{
    static const float up[BLOCK] = {0, .25f, .5f, .75f, 1, 1.25f, 1.5f, 1.75f,
                                    2, 2.5f, 3,   3.5f, 4, 5,     5.5f, 6};
    static const float mixed[BLOCK] = {.1f,  -.2f,  .3f,  -.4f, .5f,  -.6f,
                                       .7f,  -.8f,  .9f,  -1,   1.1f, -1.2f,
                                       2.2f, -2.4f, 3.6f, -3.7f};
    float down[BLOCK];
    float rounded[BLOCK];

    for (int i = 0; i < BLOCK; i++) {
        down[i] = -up[i];
        rounded[i] = bf16(mixed[i]);
    }
    expect_block(448, up, "7e 0021224344656677");
    expect_block(448, down, "7e 88a9aacbccedeeff");
    expect_block(2688 / 3.7f, rounded, "7e 9091a2b2b3c4e6f7");
}
END_TEST

START_TEST(published_ramps_hold)
{
    float ramp[BLOCK];

    for (int i = 0; i < BLOCK; i++) {
        ramp[i] = 0.25f * (float)i - 2;
    }
    expect_block(1, ramp, "2b ffeecd9b10436576");
    expect_block(1344, ramp, "7e ffeecdab20436576");
}
END_TEST

START_TEST(published_edge_cases_of_te_exact_hold)
{
    static const float zero[BLOCK] = {0};
    static const float zeros[BLOCK] = {-0.0f, -0.0f, -0.0f, -0.0f, 0,    0, 0,
                                       0,     -0.0f, -0.0f, -0.0f, -0.0f};
    static const float underflow[BLOCK] = {.00390625f, -.00390625f, .001953125f,
                                           0,          -0.0f,       .00390625f};
    static const float subnormal[BLOCK] = {.01171875f, -.01171875f, .005f,
                                           -.002f};
    static const float saturated[BLOCK] = {100, -50, 10, 1, 6, -6, 3};
    float special[BLOCK] = {HUGE_VALF, -1, 2, -3, 4, -5, 6};

    expect_block(448, zero, "00 0000000000000000");
    expect_block(448, zeros, "00 8888000088880000");
    expect_block(1, underflow, "00 f707780000000000");
    expect_block(1, subnormal, "01 f7a5000000000000");
    expect_block(2688, saturated, "7e f777f70700000000");
    expect_block(448, special, "7e a7d4e60700000000");
    special[0] = nanf("");
    expect_block(448, special, "7e a7d4e60700000000");
    special[0] = -nanf("");
    expect_block(448, special, "7e a7d4e60700000000");
}
END_TEST

START_TEST(a_zero_group_of_fp8_has_zero_codes_and_the_smallest_scale)
{
    const moe_rows_t *src = store(&source, MOE_FORMAT_fp32, 0, 1, GROUP);
    const moe_rows_t *dst = store(&result, MOE_FORMAT_fp8_1x128, 0, 1, GROUP);

    memset(source.codes, 0, sizeof(source.codes));
    memset(result.codes, 0xff, sizeof(result.codes));
    ck_assert_int_eq(moe_ref_quantize(src, dst), MOE_OK);
    for (int i = 0; i < GROUP; i++) {
        ck_assert_uint_eq(((const uint8_t *)dst->codes)[i], 0);
    }
    ck_assert_uint_eq(moe_f32_bits(*(const float *)dst->scales),
                      moe_f32_bits(1e-4f * (1.0f / 448.0f)));
}
END_TEST

static void expect_refused(const moe_rows_t *src, const moe_rows_t *dst,
                           moe_status_t want)
{
    ck_assert_int_eq(moe_ref_quantize(src, dst), want);
    ck_assert_int_ne(moe_error_text()[0], '\0');
    moe_error_clear();
}

START_TEST(what_cannot_be_quantised_is_refused)
{
    const moe_rows_t *src = store(&source, MOE_FORMAT_bf16, 0, 2, 40);
    const moe_rows_t *dst = store(&result, MOE_FORMAT_nvfp4, 448, 2, 40);

    expect_refused(src, dst, MOE_ERR_RANGE);
    dst = store(&result, MOE_FORMAT_fp8_1x128, 0, 2, 40);
    expect_refused(src, dst, MOE_ERR_RANGE);
    dst = store(&result, MOE_FORMAT_fp16, 0, 2, 40);
    expect_refused(src, dst, MOE_ERR_UNSUPPORTED);
    src = store(&source, MOE_FORMAT_i32, 0, 2, 32);
    dst = store(&result, MOE_FORMAT_nvfp4, 448, 2, 32);
    expect_refused(src, dst, MOE_ERR_UNSUPPORTED);
    src = store(&source, MOE_FORMAT_bf16, 0, 2, 32);
    result.rows.layout = MOE_SCALES_128x4;
    expect_refused(src, dst, MOE_ERR_UNSUPPORTED);
    for (int i = 0; i < 4; i++) {
        static const float bad[] = {0, -1, HUGE_VALF, 0x1p-140f};

        dst = store(&result, MOE_FORMAT_nvfp4, bad[i], 2, 32);
        expect_refused(src, dst, MOE_ERR_RANGE);
    }
}
END_TEST

START_TEST(what_cannot_be_decoded_is_refused)
{
    const moe_rows_t *src = store(&source, MOE_FORMAT_bf16, 0, 2, 32);
    const moe_rows_t *dst = store(&result, MOE_FORMAT_nvfp4, 448, 2, 32);

    ck_assert_int_eq(moe_ref_dequantize(src, dst), MOE_ERR_UNSUPPORTED);
    ck_assert_int_eq(moe_ref_convert(src, dst), MOE_ERR_UNSUPPORTED);
    ck_assert_int_eq(moe_ref_convert(dst, src), MOE_ERR_UNSUPPORTED);
    ck_assert_int_eq(moe_ref_dequantize(dst, dst), MOE_ERR_UNSUPPORTED);
    moe_error_clear();
}
END_TEST

START_TEST(no_rows_are_no_work)
{
    const moe_rows_t *src = store(&source, MOE_FORMAT_bf16, 0, 0, COLS);
    const moe_rows_t *dst = store(&result, MOE_FORMAT_nvfp4, 448, 0, COLS);

    ck_assert_int_eq(moe_ref_quantize(src, dst), MOE_OK);
    ck_assert_int_eq(moe_ref_dequantize(dst, src), MOE_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantize");
    TCase *tests = tcase_create("quantize");

    tcase_add_test(tests, published_nvfp4_blocks_hold);
    tcase_add_test(tests, published_ramps_hold);
    tcase_add_test(tests, published_edge_cases_of_te_exact_hold);
    tcase_add_test(tests,
                   a_zero_group_of_fp8_has_zero_codes_and_the_smallest_scale);
    tcase_add_test(tests, what_cannot_be_quantised_is_refused);
    tcase_add_test(tests, what_cannot_be_decoded_is_refused);
    tcase_add_test(tests, no_rows_are_no_work);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
