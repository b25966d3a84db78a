/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each version of the bf16 quantiser against the profile's definition, which
 * works in float64 from any source: rows of fp32 take that way.
 */
#include "config.h"

#include "ref/formats.h"
#include "ref/nvfp4_encode.h"
#include "ref/quantize.h"
#include "tests/support.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 16,
    AMAXES = 0x7f81, /* bf16 magnitudes, infinity too */
    BLOCKS = AMAXES + 7,
    SPECIAL = 4099,
    ROUNDS = 2
};

/* Its inverse must be finite; the last ones make it, scale and multiplier
 * subnormal, infinite or FLT_MAX. */
static const float globals[] = {
    1.0f,   448.0f,   2688.0f, 2688.0f / 3.7f, 2688.0f / 5.3f, 0x1p-20f,
    0x1p9f, 0x1p100f, FLT_MAX, 0x1p-126f,      0x1.8p-128f};

enum {
    GLOBALS = sizeof(globals) / sizeof(globals[0])
};

static uint16_t x[BLOCKS * BLOCK];
static float wide[BLOCKS * BLOCK];
static uint8_t want_codes[BLOCKS * BLOCK / 2];
static uint8_t want_scales[BLOCKS];
static uint8_t codes[BLOCKS * BLOCK / 2 + 1];
static uint8_t scales[BLOCKS + 1];

static uint64_t state;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void define(int64_t blocks, float global)
{
    const moe_rows_t src = {.storage = {.format = MOE_FORMAT_fp32},
                            .rows = blocks,
                            .cols = BLOCK,
                            .codes = wide};
    const moe_rows_t dst = {
        .storage = {MOE_FORMAT_nvfp4, MOE_PROFILE_te_exact, global},
        .rows = blocks,
        .cols = BLOCK,
        .codes = want_codes,
        .scales = want_scales};

    for (int64_t i = 0; i < blocks * BLOCK; i++) {
        wide[i] = moe_bf16_to_f32(x[i]);
    }
    ck_assert_int_eq(moe_ref_quantize(&src, &dst), MOE_OK);
}

static void expect_blocks(const moe_nvfp4_encoder_t *version, int64_t blocks,
                          float global)
{
    memset(codes, 0xa5, sizeof(codes));
    memset(scales, 0xa5, sizeof(scales));
    version->encode(x, blocks, global, codes, scales);
    ck_assert_uint_eq(codes[blocks * BLOCK / 2], 0xa5);
    ck_assert_uint_eq(scales[blocks], 0xa5);
    for (int64_t b = 0; b < blocks; b++) {
        if (scales[b] != want_scales[b] ||
            memcmp(codes + b * 8, want_codes + b * 8, 8) != 0) {
            ck_abort_msg("%s, global scale %a, block %lld of %lld: scale %02x, "
                         "expected %02x",
                         version->name, (double)global, (long long)b,
                         (long long)blocks, scales[b], want_scales[b]);
        }
    }
}

static void expect_all(int64_t blocks)
{
    const moe_nvfp4_encoder_t *version;

    for (int g = 0; g < GLOBALS; g++) {
        define(blocks, globals[g]);
        for (int i = 0; (version = moe_nvfp4_encoder_at(i)) != NULL; i++) {
            if (version->available()) {
                expect_blocks(version, blocks, globals[g]);
            }
        }
    }
}

/* Every magnitude as a block's largest; the others beside the borders that
 * their codes would have if the scale were not rounded, and zeros. */
START_TEST(blocks_of_every_largest_magnitude_are_those_of_the_profile)
{
    static const float border[] = {.25f, .75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};

    state = 88172645463325252u + (uint64_t)_i;
    for (int b = 0; b < AMAXES; b++) {
        uint16_t *to = x + b * BLOCK;
        float v = moe_bf16_to_f32((uint16_t)b);

        for (int i = 0; i < 7; i++) {
            uint16_t near = moe_bf16_from_f32(v * (border[i] / 6.0f));

            to[2 * i] = (uint16_t)(near + draw() % 4 - (near > 2 ? 2 : 0));
            to[2 * i + 1] = near | 0x8000;
            to[2 * i] = to[2 * i] > b ? (uint16_t)b : to[2 * i];
        }
        to[14] = (uint16_t)(draw() & 0x8000);
        to[15] = (uint16_t)((uint32_t)b | (draw() & 0x8000));
    }
    expect_all(AMAXES);
}
END_TEST

START_TEST(blocks_of_any_bits_are_those_of_the_profile)
{
    state = 1234567u + (uint64_t)_i;
    for (int i = 0; i < BLOCKS * BLOCK; i++) {
        x[i] = (uint16_t)draw();
    }
    expect_all(BLOCKS);
}
END_TEST

/* Zeros, NaN, infinities, subnormal numbers: any mixture. */
START_TEST(blocks_of_special_numbers_are_those_of_the_profile)
{
    static const uint16_t special[] = {0x0000, 0x8000, 0x7fc0, 0xffc0, 0x7f81,
                                       0xffff, 0x7f80, 0xff80, 0x0001, 0x807f,
                                       0x0080, 0x7f7f, 0x3f80, 0xc0c0};

    state = 7654321u + (uint64_t)_i;
    for (int b = 0; b < SPECIAL; b++) {
        uint32_t kinds = 1 + draw() % 14;

        for (int i = 0; i < BLOCK; i++) {
            x[b * BLOCK + i] = special[draw() % kinds];
        }
    }
    expect_all(SPECIAL);
}
END_TEST

START_TEST(any_number_of_blocks_is_done_and_no_more)
{
    for (int i = 0; i < 700 * BLOCK; i++) {
        x[i] = (uint16_t)(0x3f00 + i % 200);
    }
    for (int64_t blocks = 0; blocks < 700; blocks += blocks < 20 ? 1 : 37) {
        expect_all(blocks);
    }
}
END_TEST

START_TEST(the_version_goes_with_the_matmul_kernel)
{
    ck_assert_int_eq(setenv("MOESIM_KERNEL", "blas", 1), 0);
    ck_assert_str_eq(moe_nvfp4_encoder()->name, "plain");
    ck_assert_int_eq(unsetenv("MOESIM_KERNEL"), 0);
    for (int i = 0; moe_nvfp4_encoder_at(i) != moe_nvfp4_encoder(); i++) {
        ck_assert(!moe_nvfp4_encoder_at(i)->available());
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nvfp4_encode");
    TCase *tests = tcase_create("nvfp4_encode");

    tcase_add_loop_test(
        tests, blocks_of_every_largest_magnitude_are_those_of_the_profile, 0,
        ROUNDS);
    tcase_add_loop_test(tests, blocks_of_any_bits_are_those_of_the_profile, 0,
                        ROUNDS);
    tcase_add_loop_test(
        tests, blocks_of_special_numbers_are_those_of_the_profile, 0, ROUNDS);
    tcase_add_test(tests, any_number_of_blocks_is_done_and_no_more);
    tcase_add_test(tests, the_version_goes_with_the_matmul_kernel);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
