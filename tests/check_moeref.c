/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/moeref.h"

#include "tests/support.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The library as others use it: this suite links libmoeref alone. */

enum {
    ROWS = 3,
    COLS = 48
};

START_TEST(the_library_has_the_version_of_the_package)
{
    ck_assert_str_eq(moeref_version(), PACKAGE_VERSION);
}
END_TEST

START_TEST(numbers_convert_as_published)
{
    ck_assert_uint_eq(moeref_to_bf16(1.00390625f), 0x3f80);
    ck_assert_uint_eq(moeref_to_fp16(65519.0f), 0x7bff);
    ck_assert_uint_eq(moeref_to_fp16(65520.0f), 0x7c00);
    ck_assert_uint_eq(moeref_to_e4m3(464.0f), 0x7e);
    ck_assert_uint_eq(moeref_to_e4m3(nanf("")), 0x7f);
    ck_assert_uint_eq(moeref_to_e2m1(-0.25f), 8);
    ck_assert_uint_eq(moeref_to_e2m1(0.75f), 2);
    for (int code = 0; code < 16; code++) {
        ck_assert_int_eq(moeref_to_e2m1(moeref_from_e2m1((uint8_t)code)), code);
    }
    ck_assert_uint_eq(moeref_to_bf16(moeref_from_bf16(0x1234)), 0x1234);
    ck_assert_uint_eq(moeref_to_fp16(moeref_from_fp16(0x1234)), 0x1234);
    ck_assert_uint_eq(moeref_to_e4m3(moeref_from_e4m3(0x92)), 0x92);
    ck_assert_uint_eq(moeref_to_e4m3_nosat(465.0f), 0x7f);
    ck_assert_uint_eq(moeref_to_e5m2(61440.0f), 0x7b);
    ck_assert_uint_eq(moeref_to_e5m2_nosat(-61440.0f), 0xfc);
    ck_assert_uint_eq(moeref_to_e5m2(moeref_from_e5m2(0x92)), 0x92);
    ck_assert_uint_eq(moeref_to_e8m0(1.5f), 0x80);
    ck_assert_uint_eq(moeref_to_e8m0_nosat(HUGE_VALF), 0xff);
    ck_assert_uint_eq(moeref_to_e8m0_zero(HUGE_VALF), 0xfe);
    ck_assert_uint_eq(moeref_to_e8m0_zero_nosat(-1.5f), 0x7f);
    ck_assert(moeref_from_e8m0(0) > 0.0f);
}
END_TEST

START_TEST(arrays_convert_by_name)
{
    static const float x[3] = {1.5f, -0.25f, 448.0f};
    const char *name;
    uint16_t half[3];
    uint8_t codes[3];
    float back[3];
    size_t n = 0;

    while ((name = moeref_conversion_name(n)) != NULL) {
        bool wide = strcmp(name, "bf16") == 0 || strcmp(name, "fp16") == 0;
        void *out = wide ? (void *)half : (void *)codes;

        ck_assert_int_eq(moeref_encode(name, x, 3, out), MOEREF_OK);
        ck_assert_int_eq(moeref_decode(name, out, 3, back), MOEREF_OK);
        ck_assert_msg(strncmp(name, "e8m0", 4) == 0 || !(back[0] < 1.5f), "%s",
                      name);
        n++;
    }
    ck_assert_uint_eq(n, 11);
    ck_assert_int_eq(moeref_encode("e4m3", x, 3, codes), MOEREF_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(codes[i], moeref_to_e4m3(x[i]));
    }
    ck_assert_int_eq(moeref_encode("e3m2", x, 3, codes), MOEREF_ERR_NAME);
    ck_assert_int_eq(moeref_decode("", codes, 3, back), MOEREF_ERR_NAME);
}
END_TEST

/* By way of float, this would be a tie and become even. */
START_TEST(doubles_are_rounded_once)
{
    double x = 1.0 + 0x1p-8 + 0x1p-40;

    ck_assert_uint_eq(moeref_to_bf16((float)x), 0x3f80);
    ck_assert_uint_eq(moeref_double_to_bf16(x), 0x3f81);
    ck_assert_uint_eq(moeref_double_to_fp16(1.0 + 0x1p-11 + 0x1p-40), 0x3c01);
}
END_TEST

START_TEST(a_published_block_is_quantised)
{
    static const uint8_t want[8] = {0x00, 0x21, 0x22, 0x43,
                                    0x44, 0x65, 0x66, 0x77};
    static const float x[16] = {0, .25f, .5f, .75f, 1, 1.25f, 1.5f, 1.75f,
                                2, 2.5f, 3,   3.5f, 4, 5,     5.5f, 6};
    uint16_t half[16];
    uint8_t codes[8];
    uint8_t scale;

    ck_assert_int_eq(moeref_nvfp4_quantize(x, 1, 16, 448, codes, &scale),
                     MOEREF_OK);
    ck_assert_uint_eq(scale, 0x7e);
    ck_assert_mem_eq(codes, want, sizeof(want));
    memset(codes, 0xff, sizeof(codes));
    for (int i = 0; i < 16; i++) {
        half[i] = moeref_to_bf16(x[i]);
    }
    ck_assert_int_eq(
        moeref_nvfp4_quantize_bf16(half, 1, 16, 448, codes, &scale), MOEREF_OK);
    ck_assert_mem_eq(codes, want, sizeof(want));
}
END_TEST

/* Every value of E2M1 with a power of two as scale: nothing is lost. */
START_TEST(exact_rows_come_back)
{
    float x[ROWS * COLS];
    float back[ROWS * COLS];
    uint16_t half[ROWS * COLS];
    uint8_t codes[ROWS * COLS / 2];
    uint8_t scales[ROWS * COLS / 16];

    for (int i = 0; i < ROWS * COLS; i++) {
        x[i] = moeref_from_e2m1((uint8_t)(i % 16 == 8 ? 7 : i % 16));
    }
    ck_assert_int_eq(moeref_nvfp4_quantize(x, ROWS, COLS, 256, codes, scales),
                     MOEREF_OK);
    ck_assert_int_eq(
        moeref_nvfp4_dequantize(codes, scales, ROWS, COLS, 256, back),
        MOEREF_OK);
    ck_assert_int_eq(
        moeref_nvfp4_dequantize_bf16(codes, scales, ROWS, COLS, 256, half),
        MOEREF_OK);
    ck_assert_mem_eq(back, x, sizeof(x));
    for (int i = 0; i < ROWS * COLS; i++) {
        ck_assert_uint_eq(half[i], moeref_to_bf16(x[i]));
    }
}
END_TEST

START_TEST(global_scales_are_those_of_transformer_engine)
{
    ck_assert(fabsf(moeref_nvfp4_global_scale(6) - 448) < 1e-3f);
    ck_assert(fabsf(moeref_nvfp4_global_scale(0) - 1) < 1e-6f);
    ck_assert(fabsf(moeref_nvfp4_global_scale(HUGE_VALF) - 1) < 1e-6f);
    ck_assert(isfinite((double)moeref_nvfp4_global_scale(1e-40f)));
}
END_TEST

START_TEST(bad_sizes_and_scales_are_refused)
{
    static const float bad[] = {0, -1, HUGE_VALF, 1e-45f};
    float x[32] = {0};
    uint8_t codes[16] = {7};
    uint8_t scales[2] = {7};

    ck_assert_int_eq(moeref_nvfp4_quantize(x, 1, 24, 1, codes, scales),
                     MOEREF_ERR_SIZE);
    ck_assert_int_eq(
        moeref_nvfp4_quantize(x, SIZE_MAX / 16, 32, 1, codes, scales),
        MOEREF_ERR_SIZE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_int_eq(moeref_nvfp4_quantize(x, 1, 32, bad[i], codes, scales),
                         MOEREF_ERR_SCALE);
    }
    ck_assert_int_eq(moeref_nvfp4_dequantize(codes, scales, 1, 32, nanf(""), x),
                     MOEREF_ERR_SCALE);
    ck_assert_uint_eq(codes[0], 7);
    ck_assert_uint_eq(scales[0], 7);
    ck_assert_uint_eq(moeref_scales_bytes((moeref_scale_layout_t)9, 1, 1), 0);
    ck_assert_uint_eq(moeref_scales_bytes(MOEREF_SCALES_128X4, SIZE_MAX / 2, 4),
                      0);
}
END_TEST

START_TEST(scales_are_tiled_and_back)
{
    for (int i = 0; i < 3; i++) {
        moeref_scale_layout_t layout = (moeref_scale_layout_t)i;
        uint8_t linear[9 * 5];
        uint8_t back[9 * 5];
        uint8_t tiled[128 * 8];

        for (int j = 0; j < 9 * 5; j++) {
            linear[j] = (uint8_t)(j + 1);
        }
        ck_assert_uint_le(moeref_scales_bytes(layout, 9, 5), sizeof(tiled));
        ck_assert_int_eq(moeref_scales_swizzle(layout, 9, 5, linear, tiled),
                         MOEREF_OK);
        ck_assert_uint_eq(tiled[moeref_scales_offset(layout, 5, 8, 4)],
                          linear[8 * 5 + 4]);
        ck_assert_int_eq(moeref_scales_unswizzle(layout, 9, 5, tiled, back),
                         MOEREF_OK);
        ck_assert_mem_eq(back, linear, sizeof(linear));
    }
}
END_TEST

START_TEST(tiled_shards_are_gathered)
{
    static const size_t rows[2] = {3, 2};
    static const uint8_t scales[5] = {1, 2, 3, 4, 5};
    static uint8_t shard[2][32], whole[32], want[32];
    const uint8_t *shards[2] = {shard[0], shard[1]};

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(moeref_scales_swizzle(MOEREF_SCALES_8X4, rows[i], 1,
                                               scales + 3 * i, shard[i]),
                         MOEREF_OK);
    }
    ck_assert_int_eq(
        moeref_scales_gather(MOEREF_SCALES_8X4, rows, 2, 1, shards, whole),
        MOEREF_OK);
    ck_assert_int_eq(
        moeref_scales_swizzle(MOEREF_SCALES_8X4, 5, 1, scales, want),
        MOEREF_OK);
    ck_assert_int_eq(memcmp(whole, want, sizeof(want)), 0);
    ck_assert_int_eq(moeref_scales_gather(MOEREF_SCALES_8X4,
                                          (const size_t[]){SIZE_MAX, 2}, 2, 1,
                                          shards, whole),
                     MOEREF_ERR_SIZE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("moeref");
    TCase *tests = tcase_create("moeref");

    tcase_add_test(tests, the_library_has_the_version_of_the_package);
    tcase_add_test(tests, numbers_convert_as_published);
    tcase_add_test(tests, arrays_convert_by_name);
    tcase_add_test(tests, tiled_shards_are_gathered);
    tcase_add_test(tests, doubles_are_rounded_once);
    tcase_add_test(tests, a_published_block_is_quantised);
    tcase_add_test(tests, exact_rows_come_back);
    tcase_add_test(tests, global_scales_are_those_of_transformer_engine);
    tcase_add_test(tests, bad_sizes_and_scales_are_refused);
    tcase_add_test(tests, scales_are_tiled_and_back);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
