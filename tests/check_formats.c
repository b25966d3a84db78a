/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/formats.h"
#include "tests/support.h"

#include <math.h>

static const moe_format_t floats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                      MOE_FORMAT_fp32};

/* Value of a finite positive code, and of the one after the last. */
static double value_or_beyond(moe_format_t format, uint32_t code)
{
    double value = moe_float_value(format, code);

    if (!isinf(value)) {
        return value;
    }
    return format == MOE_FORMAT_fp16 ? 65536.0 : 0x1p128;
}

static uint32_t last_code(moe_format_t format)
{
    return format == MOE_FORMAT_fp32   ? 0x7f7fffff
           : format == MOE_FORMAT_bf16 ? 0x7f7f
                                       : 0x7bff;
}

static uint32_t sign_bit(moe_format_t format)
{
    return format == MOE_FORMAT_fp32 ? 0x80000000 : 0x8000;
}

static void expect_same(moe_format_t format, uint32_t got, uint32_t want)
{
    if (got != want) {
        ck_abort_msg("%s: %x, expected %x", moe_format_name(format), got, want);
    }
}

/* A magnitude between a code and the next, and both its signs. */
static void expect_round(moe_format_t format, double x, uint32_t want)
{
    expect_same(format, moe_round_f64(format, x), want);
    expect_same(format, moe_round_f64(format, -x), want | sign_bit(format));
}

static void expect_round_int(moe_format_t format, moe_u128_t magnitude,
                             int exponent, uint32_t want)
{
    expect_same(format, moe_round_int(format, false, magnitude, exponent),
                want);
    expect_same(format, moe_round_int(format, true, magnitude, exponent),
                want | sign_bit(format));
}

/* Some codes of a format: all of a small one, a stride of fp32. */
static uint32_t code_stride(moe_format_t format)
{
    return format == MOE_FORMAT_fp32 ? 65521 : 1;
}

START_TEST(float64_is_rounded_once)
{
    moe_format_t format = floats[_i];

    for (uint32_t code = 0; code <= last_code(format);
         code += code_stride(format)) {
        double low = value_or_beyond(format, code);
        double middle = (low + value_or_beyond(format, code + 1)) / 2;

        expect_round(format, low, code);
        expect_round(format, nextafter(low, HUGE_VAL), code);
        expect_round(format, nextafter(middle, 0.0), code);
        expect_round(format, middle, code + code % 2);
        expect_round(format, nextafter(middle, HUGE_VAL), code + 1);
    }
}
END_TEST

/* The midpoint after a code is an integer times a power of two: that integer
 * shifted up leaves room for a difference that float64 cannot hold. */
static void expect_wide(moe_format_t format, uint32_t code, int room)
{
    double middle =
        (value_or_beyond(format, code) + value_or_beyond(format, code + 1)) / 2;
    int exponent;
    double fraction = frexp(middle, &exponent);
    moe_u128_t wide = (moe_u128_t)ldexp(fraction, 40) << room;

    exponent -= 40 + room;
    expect_round_int(format, wide, exponent, code + code % 2);
    if (room > 0) {
        expect_round_int(format, wide - 1, exponent, code);
        expect_round_int(format, wide + 1, exponent, code + 1);
    }
}

START_TEST(wide_integers_are_rounded_once)
{
    moe_format_t format = floats[_i];
    static const int rooms[] = {0, 1, 12, 13, 14, 24, 25, 60, 87, 88};

    for (uint32_t code = 0; code <= last_code(format);
         code += code_stride(format) * 17) {
        for (size_t r = 0; r < sizeof(rooms) / sizeof(rooms[0]); r++) {
            expect_wide(format, code, rooms[r]);
        }
    }
    ck_assert_uint_eq(moe_round_int(format, false, 0, 5), 0);
    ck_assert_uint_eq(moe_round_int(format, false, 1, -90000), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("formats");
    TCase *tests = tcase_create("formats");

    tcase_add_loop_test(tests, float64_is_rounded_once, 0, 3);
    tcase_add_loop_test(tests, wide_integers_are_rounded_once, 0, 3);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
