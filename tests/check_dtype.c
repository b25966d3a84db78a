/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/checked.h"
#include "base/dtype.h"

#include <stdio.h>
#include <string.h>

START_TEST(each_dtype_is_found_by_its_name)
{
    for (int i = 0; i < MOE_DTYPE_COUNT; i++) {
        moe_dtype_t dtype = MOE_DTYPE_COUNT;

        ck_assert(moe_dtype_find(moe_dtype_name((moe_dtype_t)i), &dtype));
        ck_assert_int_eq((int)dtype, i);
        ck_assert_uint_gt(strlen(moe_dtype_text(dtype)), 3);
    }
}
END_TEST

START_TEST(aliases_lead_to_types_of_their_width)
{
    static const char *const alias[] = {
        "half",   "float16", "f16", "bfloat16", "float", "float32", "f32",
        "double", "float64", "f64", "int32",    "int64", "uint8",   "int8"};
    static const int bits[] = {16, 16, 16, 16, 32, 32, 32,
                               64, 64, 64, 32, 64, 8,  8};

    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        moe_dtype_t dtype;

        ck_assert(moe_dtype_find(alias[i], &dtype));
        ck_assert_int_eq(moe_dtype_bits(dtype), bits[i]);
    }
}
END_TEST

START_TEST(an_unknown_name_leaves_the_output_alone)
{
    static const char *const name[] = {"", "bf17", "BF16 ", "?", "fp"};

    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
        moe_dtype_t dtype = MOE_DTYPE_i64;

        ck_assert(!moe_dtype_find(name[i], &dtype));
        ck_assert_int_eq((int)dtype, (int)MOE_DTYPE_i64);
    }
}
END_TEST

START_TEST(safetensors_names_tell_the_width)
{
    for (int i = MOE_DTYPE_none + 1; i < MOE_DTYPE_COUNT; i++) {
        const char *name = moe_dtype_safetensors((moe_dtype_t)i);
        int bits = 0;

        if (strpbrk(name, "0123456789") == NULL) { /* none, or BOOL */
            continue;
        }
        ck_assert_int_eq(
            sscanf(name + strcspn(name, "0123456789"), "%d", &bits), 1);
        ck_assert_int_eq(bits, moe_dtype_bits((moe_dtype_t)i));
    }
}
END_TEST

START_TEST(bytes_are_bits_rounded_up)
{
    for (int i = 0; i < MOE_DTYPE_COUNT; i++) {
        for (int64_t n = 0; n < 70; n++) {
            int64_t bits = n * moe_dtype_bits((moe_dtype_t)i);

            ck_assert_int_eq(moe_dtype_bytes((moe_dtype_t)i, n),
                             bits / 8 + (bits % 8 != 0));
        }
    }
}
END_TEST

START_TEST(more_bytes_than_can_be_counted_are_the_most)
{
    ck_assert_int_eq(moe_dtype_bytes(MOE_DTYPE_e2m1, INT64_MAX),
                     INT64_MAX / 2 + 1);
    ck_assert_int_eq(moe_dtype_bytes(MOE_DTYPE_bf16, INT64_MAX / 2),
                     INT64_MAX - 1);
    ck_assert_int_eq(moe_dtype_bytes(MOE_DTYPE_bf16, INT64_MAX / 2 + 1),
                     INT64_MAX);
    ck_assert_int_eq(moe_dtype_bytes(MOE_DTYPE_fp64, INT64_MAX), INT64_MAX);
}
END_TEST

START_TEST(checked_sizes_refuse_what_does_not_fit)
{
    int64_t r = 7;
    size_t size = 7;

    ck_assert(moe_mul_i64(INT64_MAX, 1, &r) && r == INT64_MAX);
    ck_assert(!moe_mul_i64(INT64_MAX / 2 + 1, 2, &r) && r == INT64_MAX);
    ck_assert(!moe_add_i64(INT64_MIN, -1, &r) && r == INT64_MAX);
    ck_assert(moe_add_i64(INT64_MIN, INT64_MAX, &r) && r == -1);
    ck_assert(!moe_mul_size(-1, 3, &size) && size == 7);
    ck_assert(!moe_mul_size(INT64_MAX, 3, &size) && size == 7);
    ck_assert(moe_mul_size(3, 5, &size) && size == 15);
    for (int64_t a = 0; a < 40; a++) {
        for (int64_t b = 1; b < 20; b++) {
            int64_t up = moe_div_up(a, b);

            ck_assert(up * b >= a && (up - 1) * b < a);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("dtype");
    TCase *t = tcase_create("dtype");

    tcase_add_test(t, each_dtype_is_found_by_its_name);
    tcase_add_test(t, aliases_lead_to_types_of_their_width);
    tcase_add_test(t, an_unknown_name_leaves_the_output_alone);
    tcase_add_test(t, safetensors_names_tell_the_width);
    tcase_add_test(t, bytes_are_bits_rounded_up);
    tcase_add_test(t, more_bytes_than_can_be_counted_are_the_most);
    tcase_add_test(t, checked_sizes_refuse_what_does_not_fit);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
