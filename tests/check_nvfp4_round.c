/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/matmul_nvfp4.h"
#include "tests/support.h"

#include <mpfr.h>
#include <string.h>

/* The one rounding of an integer sum, against MPFR. */
static uint64_t state = 88172645463325252u;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* RN(sum x scale x 2^-20) by MPFR, of normal numbers of the format. */
static double rounded(int64_t sum, double scale, int digits)
{
    mpfr_t x;
    mpfr_t y;
    double result;

    mpfr_init2(x, 200);
    mpfr_init2(y, digits);
    mpfr_set_sj(x, sum, MPFR_RNDN);
    mpfr_mul_d(x, x, scale, MPFR_RNDN);
    mpfr_div_2ui(x, x, 20, MPFR_RNDN);
    mpfr_set(y, x, MPFR_RNDN);
    result = mpfr_get_d(y, MPFR_RNDN);
    mpfr_clear(x);
    mpfr_clear(y);
    return result;
}

static double value_of(moe_format_t format, uint32_t bits)
{
    uint32_t word = format == MOE_FORMAT_bf16 ? bits << 16 : bits;
    float x;

    memcpy(&x, &word, sizeof(x));
    return (double)x;
}

static void expect_rounded(int64_t sum, double scale, int64_t *redone_p)
{
    double single =
        value_of(MOE_FORMAT_fp32,
                 moe_nvfp4_round(sum, scale, MOE_FORMAT_fp32, redone_p));
    double half =
        value_of(MOE_FORMAT_bf16,
                 moe_nvfp4_round(sum, scale, MOE_FORMAT_bf16, redone_p));

    if (!(single == rounded(sum, scale, 24)) ||
        !(half == rounded(sum, scale, 8))) {
        ck_abort_msg("%lld x %a", (long long)sum, scale);
    }
}

START_TEST(sums_are_rounded_once)
{
    int64_t redone = 0;

    for (int i = 0; i < 20000; i++) {
        uint64_t digits = (uint64_t)draw() << 32 | draw();
        int64_t sum = (int64_t)(digits >> (1 + i % 60)) * (i % 2 == 0 ? 1 : -1);
        double scale = (double)(float)(0.5 + draw() % 1000) *
                       (double)(1.0f / (float)(1 + draw() % 10000));

        expect_rounded(sum, scale, &redone);
    }
    ck_assert_int_lt(redone, 2000);
}
END_TEST

/* Midpoints of 25 and 9 digits, and one unit beside: more than float64 can
 * tell apart from 2^54 on. */
START_TEST(sums_beside_midpoints_are_redone_exactly)
{
    int64_t redone = 0;

    for (int digits = 8; digits <= 24; digits += 16) {
        for (int shift = 62 - digits; shift > 20; shift--) {
            int64_t middle = ((INT64_C(1) << digits) + 2 * (draw() % 100) + 1)
                             << shift;

            for (int d = -2; d <= 2; d++) {
                expect_rounded(middle + d, 1.0, &redone);
                expect_rounded(-middle + d, 0x1.000002p-10, &redone);
            }
        }
    }
    ck_assert_int_gt(redone, 100);
    ck_assert_uint_eq(moe_nvfp4_round(0, 1.0, MOE_FORMAT_fp32, &redone), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nvfp4_round");
    TCase *tests = tcase_create("nvfp4_round");

    tcase_add_test(tests, sums_are_rounded_once);
    tcase_add_test(tests, sums_beside_midpoints_are_redone_exactly);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
