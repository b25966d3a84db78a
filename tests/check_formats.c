/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/formats.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * The definition, by brute force: magnitudes of the codes 0..n-1 in order, the
 * nearest one wins, the even code where two are equally near. What is nearer
 * to the number that would follow the last one becomes n: infinity, or is
 * held at n - 1 by saturating formats.
 */
typedef struct {
    const char *name;
    uint32_t (*encode)(float x);
    double (*decode)(uint32_t code);
    int n;         /* finite magnitudes */
    double beyond; /* the number after the last one */
    bool saturates;
    uint32_t sign;     /* bit of the code */
    uint32_t nan_code; /* 0: any NaN of an IEEE format */
} target_t;

static uint32_t bf16_encode(float x)
{
    return moe_bf16_from_f32(x);
}

static double bf16_decode(uint32_t code)
{
    return (double)moe_bf16_to_f32((uint16_t)code);
}

static uint32_t fp16_encode(float x)
{
    return moe_fp16_from_f32(x);
}

static double fp16_decode(uint32_t code)
{
    return (double)moe_fp16_to_f32((uint16_t)code);
}

static uint32_t e4m3_encode(float x)
{
    return moe_e4m3_from_f32(x);
}

static double e4m3_decode(uint32_t code)
{
    return (double)moe_e4m3_to_f32((uint8_t)code);
}

static uint32_t e2m1_encode(float x)
{
    return moe_e2m1_from_f32(x);
}

static double e2m1_decode(uint32_t code)
{
    return (double)moe_e2m1_to_f32((uint8_t)code);
}

static const target_t targets[] = {
    {"bf16", bf16_encode, bf16_decode, 0x7f80, 0x1p128, false, 0x8000, 0},
    {"fp16", fp16_encode, fp16_decode, 0x7c00, 65536.0, false, 0x8000, 0},
    {"e4m3", e4m3_encode, e4m3_decode, 0x7f, 480.0, true, 0x80, 0x7f},
    {"e2m1", e2m1_encode, e2m1_decode, 8, 8.0, true, 8, 7},
};

enum {
    TARGETS = sizeof(targets) / sizeof(targets[0]),
    STRIDE = 4099 /* of the sweep over all 2^32 floats; prime */
};

static double magnitude_of(const target_t *t, int code)
{
    return code < t->n ? t->decode((uint32_t)code) : t->beyond;
}

static uint32_t nearest_code(const target_t *t, double x)
{
    double a = fabs(x);
    uint32_t sign = signbit(x) ? t->sign : 0;
    int low = 0;
    int high = t->n;
    double middle;

    if (a >= t->beyond) {
        return sign | (uint32_t)(t->saturates ? t->n - 1 : t->n);
    }
    while (high - low > 1) {
        int mid = low + (high - low) / 2;

        if (magnitude_of(t, mid) <= a) {
            low = mid;
        } else {
            high = mid;
        }
    }
    middle = (magnitude_of(t, low) + magnitude_of(t, high)) / 2;
    if (a > middle || (!(a < middle) && low % 2 == 1)) {
        low = high;
    }
    if (low == t->n && t->saturates) {
        low--;
    }
    return sign | (uint32_t)low;
}

/* Asserts cost a system call each: only a failure reaches one. */
static void expect_code(const target_t *t, uint32_t bits)
{
    float x = moe_f32_of_bits(bits);
    uint32_t got = t->encode(x);
    bool same = t->nan_code != 0 ? got == t->nan_code : isnan(t->decode(got));

    if (!isnan(x)) {
        same = got == nearest_code(t, (double)x);
    }
    if (!same) {
        ck_abort_msg("%s of %08x: %x", t->name, bits, got);
    }
}

START_TEST(a_sweep_over_floats_gives_the_nearest_code)
{
    const target_t *t = &targets[_i];

    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += STRIDE) {
        expect_code(t, (uint32_t)bits);
    }
}
END_TEST

START_TEST(floats_beside_every_midpoint_go_to_the_right_side)
{
    const target_t *t = &targets[_i];

    for (int code = 0; code < t->n; code++) {
        double middle = (magnitude_of(t, code) + magnitude_of(t, code + 1)) / 2;
        uint32_t bits = moe_f32_bits((float)middle);

        for (uint32_t step = 0; step < 5; step++) {
            uint32_t near = bits - 2 + step;

            expect_code(t, near & 0x7fffffff);
            expect_code(t, near | 0x80000000);
        }
    }
}
END_TEST

START_TEST(every_code_comes_back)
{
    const target_t *t = &targets[_i];

    for (uint32_t code = 0; code < 2 * t->sign; code++) {
        double value = t->decode(code);
        uint32_t back = t->encode((float)value);

        if (isnan(value)) {
            ck_assert(isnan(t->decode(back)));
        } else {
            ck_assert_uint_eq(back, code);
        }
    }
}
END_TEST

START_TEST(special_floats_give_the_published_codes)
{
    const target_t *t = &targets[_i];
    static const uint32_t special[] = {
        0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
        0x7f800001, 0xff800001, 0x00000001, 0x7f7fffff, 0xff7fffff, 0xffffffff};

    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        expect_code(t, special[i]);
    }
}
END_TEST

/* One row of fp4_vectors.csv; false if it is of a format not here. */
static bool check_vector(const char *format, uint32_t bits, uint32_t code)
{
    char *dash;
    char name[64];

    (void)snprintf(name, sizeof(name), "%s", format);
    dash = strchr(name, '_');
    if (dash != NULL) {
        *dash++ = '\0';
    }
    for (int i = 0; i < TARGETS; i++) {
        const target_t *t = &targets[i];

        if (strcmp(name, t->name) != 0 ||
            (dash != NULL && strcmp(dash, "nosat") == 0)) {
            continue;
        }
        if (dash != NULL && strcmp(dash, "decode") == 0) {
            double value = t->decode(code);

            ck_assert_msg(isnan(value) ? (bits & 0x7fffffff) > 0x7f800000
                                       : moe_f32_bits((float)value) == bits,
                          "%s %x", format, code);
        } else {
            ck_assert_msg(t->encode(moe_f32_of_bits(bits)) == code,
                          "%s of %08x is %x, published %x", format, bits,
                          t->encode(moe_f32_of_bits(bits)), code);
        }
        return true;
    }
    return false;
}

START_TEST(published_vectors_hold)
{
    FILE *file = fopen(moe_test_data("fp4_vectors.csv"), "r");
    char line[256];
    int checked = 0;

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        char format[64];
        unsigned bits;
        unsigned code;

        if (sscanf(line, "%63[^,],%x,%*[^,],%x", format, &bits, &code) == 3) {
            checked += check_vector(format, bits, code);
        }
    }
    (void)fclose(file);
    /* e2m1 285 + 16, e4m3 satfinite 1113, decode 256 */
    ck_assert_int_eq(checked, 285 + 16 + 1113 + 256);
}
END_TEST

START_TEST(integer_views_agree_with_values)
{
    for (int code = 0; code < 256; code++) {
        uint8_t c = (uint8_t)code;

        ck_assert(fabs(moe_e2m1_twice(c) - 2.0 * e2m1_decode(c)) < 1e-9);
        if ((code & 0x7f) != 0x7f) {
            ck_assert(fabs(moe_e4m3_units(c) - 512.0 * e4m3_decode(c)) < 1e-9);
        }
    }
}
END_TEST

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

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_sweep_over_floats_gives_the_nearest_code, 0,
                        TARGETS);
    tcase_add_loop_test(
        tests, floats_beside_every_midpoint_go_to_the_right_side, 0, TARGETS);
    tcase_add_loop_test(tests, every_code_comes_back, 0, TARGETS);
    tcase_add_loop_test(tests, special_floats_give_the_published_codes, 0,
                        TARGETS);
    tcase_add_test(tests, published_vectors_hold);
    tcase_add_test(tests, integer_views_agree_with_values);
    tcase_add_loop_test(tests, float64_is_rounded_once, 0, 3);
    tcase_add_loop_test(tests, wide_integers_are_rounded_once, 0, 3);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
