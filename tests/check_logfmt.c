/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/formats.h"
#include "ref/logfmt.h"
#include "ref/quantize.h"
#include "gpu/fast_blocks.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <stdlib.h>
#include <string.h>

static float words[1];
static uint8_t codes[160];
static uint16_t x[FAST_GROUP];
static float y[FAST_GROUP];

static void round_trip(void)
{
    moe_rows_t src = {.storage = {.format = MOE_FORMAT_bf16},
                      .rows = 1,
                      .cols = FAST_GROUP,
                      .codes = x};
    moe_rows_t mid = {
        .storage = {MOE_FORMAT_logfmt10, MOE_PROFILE_logfmt10_deepep, 0.0f},
        .rows = 1,
        .cols = FAST_GROUP,
        .codes = codes,
        .scales = words};
    moe_rows_t dst = {.storage = {.format = MOE_FORMAT_fp32},
                      .rows = 1,
                      .cols = FAST_GROUP,
                      .codes = y};

    ck_assert_int_eq(moe_ref_quantize(&src, &mid), MOE_OK);
    ck_assert_int_eq(moe_ref_dequantize(&mid, &dst), MOE_OK);
}

/* Every positive bf16, and 2^y over the range of codes. */
START_TEST(logarithms_are_rounded_as_mpfr_rounds_them)
{
    mpfr_t a;

    mpfr_init2(a, 120);
    for (uint32_t i = 0x0080; i < 0x7f80; i++) {
        float v = moe_bf16_to_f32((uint16_t)i);
        float p = -(float)i / 1024.0f + 0.37f;

        mpfr_set_flt(a, v, MPFR_RNDN);
        mpfr_log2(a, a, MPFR_RNDN);
        ck_assert(!(moe_log2_f32(v) < mpfr_get_flt(a, MPFR_RNDN)) &&
                  !(moe_log2_f32(v) > mpfr_get_flt(a, MPFR_RNDN)));
        mpfr_set_flt(a, p, MPFR_RNDN);
        mpfr_exp2(a, a, MPFR_RNDN);
        ck_assert(!(moe_exp2_f32(p) < mpfr_get_flt(a, MPFR_RNDN)) &&
                  !(moe_exp2_f32(p) > mpfr_get_flt(a, MPFR_RNDN)));
    }
    mpfr_clear(a);
}
END_TEST

/* Half a step of the logarithm, and the least code is at most w below w. */
START_TEST(values_come_back_within_half_a_step)
{
    for (uint64_t g = 0; g < 400; g++) {
        moe_logfmt_t group;
        double half;
        uint32_t word;

        for (int i = 0; i < FAST_GROUP; i++) {
            x[i] = fast_logfmt_element(g, i);
        }
        round_trip();
        memcpy(&word, words, sizeof(word));
        group = moe_logfmt10_group(word);
        half = exp2((double)group.step) - 1.0;
        for (int i = 0; i < FAST_GROUP; i++) {
            double want = (double)moe_bf16_to_f32(x[i]);
            double error = fabs((double)y[i] - want);

            ck_assert(error <=
                      0.51 * half * fabs(want) +
                          exp2((double)group.low) * 1.01 *
                              (fabs(want) < exp2((double)group.low) * 0.999));
            ck_assert((signbit(y[i]) != 0) == (signbit((float)want) != 0));
        }
    }
}
END_TEST

START_TEST(edges_are_as_documented)
{
    uint32_t word;

    memset(x, 0, sizeof(x));
    x[3] = 0x8000;
    round_trip();
    for (int i = 0; i < FAST_GROUP; i++) {
        ck_assert(!(fabsf(y[i]) > 0));
        ck_assert((signbit(y[i]) != 0) == (i == 3));
    }
    for (int i = 0; i < FAST_GROUP; i++) {
        x[i] = (uint16_t)(0x3f00 | (i % 2) << 15); /* +-0.5: v = w */
    }
    round_trip();
    for (int i = 0; i < FAST_GROUP; i++) {
        ck_assert(fabsf(y[i] - (i % 2 != 0 ? -0.5f : 0.5f)) < 1e-7f);
    }
    x[0] = 0x7fc0; /* a NaN counts nothing and is 0 */
    x[1] = 0x3e80;
    round_trip();
    ck_assert(!(fabsf(y[0]) > 0));
    ck_assert(fabsf(y[1] - 0.25f) < 1e-6f);
    memcpy(&word, words, sizeof(word));
    ck_assert_uint_eq(word, 0x3e803f00);
    x[0] = 0xff80;
    round_trip();
    ck_assert(isinf(y[0]) && y[0] < 0);
    ck_assert(isinf(y[1]));
    for (int i = 0; i < FAST_GROUP; i++) { /* all underflow; all are NaN */
        x[i] = (uint16_t)(i % 2 << 15 | (_i == 0 ? 0x0001 : 0x7fc0));
    }
    round_trip();
    for (int i = 0; i < FAST_GROUP; i++) {
        ck_assert(!(fabsf(y[i]) > 0) && !isnan(y[i]));
        ck_assert((signbit(y[i]) != 0) == (i % 2 == 1));
    }
}
END_TEST

/* The largest bf16 comes back to half a step; a float beyond bf16 as the same,
 * and the group stays finite: the codes are the very ones. */
START_TEST(what_is_finite_stays_finite)
{
    static float wide[FAST_GROUP];
    static uint8_t other[sizeof(codes)];
    float word;
    const moe_rows_t src = {.storage = {.format = MOE_FORMAT_fp32},
                            .rows = 1,
                            .cols = FAST_GROUP,
                            .codes = wide};
    const moe_rows_t dst = {
        .storage = {MOE_FORMAT_logfmt10, MOE_PROFILE_logfmt10_deepep, 0.0f},
        .rows = 1,
        .cols = FAST_GROUP,
        .codes = other,
        .scales = &word};

    for (int i = 0; i < FAST_GROUP; i++) {
        x[i] = i == 0 ? 0x7f7f : i == 1 ? 0xff7f : 0x7e00;
        wide[i] = i == 0 ? FLT_MAX : i == 1 ? -3.4e38f : 0x1p125f;
    }
    round_trip();
    for (int i = 0; i < FAST_GROUP; i++) {
        float want = moe_bf16_to_f32(x[i]);

        ck_assert(isfinite(y[i]));
        ck_assert(fabsf(y[i] - want) < 0.01f * fabsf(want));
    }
    ck_assert_int_eq(moe_ref_quantize(&src, &dst), MOE_OK);
    ck_assert_mem_eq(other, codes, sizeof(codes));
    ck_assert_mem_eq(&word, words, sizeof(word));
}
END_TEST

/* 16 codes of 9 bits from the low end, then 16 signs. */
START_TEST(bits_lie_as_the_kernel_packs_them)
{
    for (int i = 0; i < FAST_GROUP; i++) {
        x[i] = i == 1 ? 0x3f00 : i == 2 ? 0xbb00 : 0; /* v 2^-1, w 0 */
    }
    round_trip();
    ck_assert_uint_eq(codes[0], 0x00);
    ck_assert_int_eq(codes[1] | (codes[2] & 3) << 8, 511 << 1);
    ck_assert_uint_eq(codes[18], 0x04);
    ck_assert_uint_eq(codes[19], 0x00);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("logfmt");
    TCase *tests = tcase_create("logfmt");

    tcase_add_test(tests, logarithms_are_rounded_as_mpfr_rounds_them);
    tcase_add_test(tests, values_come_back_within_half_a_step);
    tcase_add_loop_test(tests, edges_are_as_documented, 0, 2);
    tcase_add_test(tests, what_is_finite_stays_finite);
    tcase_add_test(tests, bits_lie_as_the_kernel_packs_them);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
