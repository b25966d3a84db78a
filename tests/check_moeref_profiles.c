/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/moeref.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The profiles as libmoeref exports them: linked against the library. */

enum {
    ROWS = 3,
    COLS = 256
};

static float x[ROWS * COLS];
static float back[ROWS * COLS];
static uint16_t bits[ROWS * COLS];
static uint8_t codes[2][2 * ROWS * COLS];
static float scales[2][ROWS * COLS];

static void fill(void)
{
    for (int i = 0; i < ROWS * COLS; i++) {
        bits[i] = moeref_to_bf16(sinf((float)i) * 0.9f);
        x[i] = moeref_from_bf16(bits[i]);
    }
}

static int count(void)
{
    moeref_profile_info_t info;
    int n = 0;

    while (moeref_profile_info((moeref_profile_t)(n + 1), &info) == MOEREF_OK) {
        n++;
    }
    return n;
}

START_TEST(every_profile_is_found_by_its_name_and_comes_back_near_its_source)
{
    const int n = count();

    ck_assert_int_ge(n, 25);
    fill();
    for (int i = 1; i <= n; i++) {
        moeref_profile_t profile = (moeref_profile_t)i;
        moeref_profile_t found;
        moeref_profile_info_t info;
        float gs = moeref_global_scale(profile, 0.9f);

        ck_assert_int_eq(moeref_profile_info(profile, &info), MOEREF_OK);
        ck_assert_int_eq(moeref_profile_find(info.name, info.format, &found),
                         MOEREF_OK);
        ck_assert_int_eq((int)found, i);
        ck_assert(info.has_global ? gs > 0 : !(gs > 0));
        ck_assert_uint_le(ROWS * moeref_row_code_bytes(profile, COLS),
                          sizeof(codes[0]));
        ck_assert_msg(moeref_quantize(profile, x, ROWS, COLS, gs, codes[0],
                                      scales[0]) == MOEREF_OK,
                      "%s", info.name);
        ck_assert_int_eq(moeref_quantize_bf16(profile, bits, ROWS, COLS, gs,
                                              codes[1], scales[1]),
                         MOEREF_OK);
        ck_assert_int_eq(memcmp(codes[0], codes[1],
                                ROWS * moeref_row_code_bytes(profile, COLS)),
                         0);
        ck_assert_int_eq(memcmp(scales[0], scales[1],
                                ROWS * moeref_row_scale_bytes(profile, COLS)),
                         0);
        ck_assert_int_eq(moeref_dequantize(profile, codes[0], scales[0], ROWS,
                                           COLS, gs, back),
                         MOEREF_OK);
        for (int k = 0; k < ROWS * COLS; k++) { /* 4 bits: a sixth of amax */
            ck_assert_msg(fabsf(back[k] - x[k]) <= 0.3f, "%s: %g, %g",
                          info.name, (double)x[k], (double)back[k]);
        }
    }
}
END_TEST

START_TEST(systems_stand_for_their_profiles)
{
    static const struct {
        const char *word;
        const char *format;
        moeref_profile_t profile;
    } known[] = {
        {"te", "nvfp4", MOEREF_PROFILE_TE_EXACT},
        {"flashinfer", "nvfp4", MOEREF_PROFILE_FAST_RCP_SM90},
        {"trtllm", "nvfp4", MOEREF_PROFILE_FAST_RCP_SM90},
        {"sglang", "nvfp4", MOEREF_PROFILE_FAST_RCP_SM90},
        {"vllm", "nvfp4", MOEREF_PROFILE_FAST_RCP_SM90_VLLM},
        {"torchao", "nvfp4", MOEREF_PROFILE_TORCHAO_NVFP4},
        {"torchao", "mxfp4", MOEREF_PROFILE_MXFP4_FLOOR},
        {"vllm", "mxfp4", MOEREF_PROFILE_MXFP4_EVEN},
        {"flashinfer", "mxfp4", MOEREF_PROFILE_MXFP4_CEIL6},
        {"vllm", "fp8", MOEREF_PROFILE_VLLM_1X128},
        {"deepep", "fp8", MOEREF_PROFILE_DEEPEP},
        {"trtllm", "fp8", MOEREF_PROFILE_TRTLLM_1X128},
        {"ascend", "int8_token", MOEREF_PROFILE_INT8_DISPATCH},
    };
    moeref_profile_t found;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        ck_assert_int_eq(
            moeref_profile_find(known[i].word, known[i].format, &found),
            MOEREF_OK);
        ck_assert_msg(found == known[i].profile, "%s %s", known[i].word,
                      known[i].format);
    }
    ck_assert_int_eq(moeref_profile_find("te", "int8_token", &found),
                     MOEREF_ERR_NAME);
    ck_assert_int_eq(moeref_profile_find("vllm", "fp5", &found),
                     MOEREF_ERR_NAME);
    ck_assert_int_eq(moeref_profile_find("", "bf16", &found), MOEREF_ERR_NAME);
}
END_TEST

/* Who guards an amax of 0 and infinity, and who does not. */
START_TEST(global_scales_of_extreme_tensors_are_those_of_each_system)
{
    ck_assert(moeref_global_scale(MOEREF_PROFILE_TE_EXACT, 0) <= 1.0f);
    ck_assert(isinf(moeref_global_scale(MOEREF_PROFILE_FLASHINFER_EXACT, 0)));
    ck_assert(isinf(moeref_global_scale(MOEREF_PROFILE_FAST_RCP_SM90, 0)));
    ck_assert(!(
        moeref_global_scale(MOEREF_PROFILE_FAST_RCP_SM90_VLLM, HUGE_VALF) > 0));
    ck_assert(!(moeref_global_scale(MOEREF_PROFILE_TORCHAO_NVFP4, 0) > 0));
    ck_assert(
        isinf(moeref_global_scale(MOEREF_PROFILE_TORCHAO_NVFP4, HUGE_VALF)));
    ck_assert(fabsf(moeref_global_scale(MOEREF_PROFILE_FP8_TENSOR, 448) - 1) <
              1e-6f);
}
END_TEST

START_TEST(what_cannot_be_quantised_is_refused)
{
    ck_assert_int_eq(
        moeref_quantize((moeref_profile_t)0, x, 1, 16, 1, codes[0], scales[0]),
        MOEREF_ERR_NAME);
    ck_assert_int_eq(moeref_quantize((moeref_profile_t)1000, x, 1, 16, 1,
                                     codes[0], scales[0]),
                     MOEREF_ERR_NAME);
    ck_assert_int_eq(moeref_quantize(MOEREF_PROFILE_DEEPEP, x, 1, 100, 0,
                                     codes[0], scales[0]),
                     MOEREF_ERR_SIZE);
    ck_assert_int_eq(moeref_quantize(MOEREF_PROFILE_DEEPEP, x, SIZE_MAX / 2,
                                     256, 0, codes[0], scales[0]),
                     MOEREF_ERR_SIZE);
    ck_assert_int_eq(moeref_quantize(MOEREF_PROFILE_TE_EXACT, x, 1, 16, 0,
                                     codes[0], scales[0]),
                     MOEREF_ERR_SCALE);
    ck_assert_int_eq(moeref_dequantize(MOEREF_PROFILE_MXFP4_FLOOR, codes[0],
                                       scales[0], 1, 48, 0, back),
                     MOEREF_ERR_SIZE);
    ck_assert_uint_eq(moeref_row_code_bytes(MOEREF_PROFILE_MXFP4_FLOOR, 48), 0);
    ck_assert_int_eq(setenv("MOESIM_RCP_TABLE", "/nowhere", 1), 0);
    ck_assert_int_eq(moeref_quantize(MOEREF_PROFILE_FAST_RCP_SM90, x, 1, 16, 1,
                                     codes[0], scales[0]),
                     MOEREF_ERR_TABLE);
}
END_TEST

START_TEST(a_row_has_the_bytes_that_systems_count)
{
    static const struct {
        moeref_profile_t profile;
        size_t bytes; /* of 7168 columns */
    } known[] = {
        {MOEREF_PROFILE_TE_EXACT, 4032},
        {MOEREF_PROFILE_MXFP4_FLOOR, 3808},
        {MOEREF_PROFILE_DEEPEP, 7392},
        {MOEREF_PROFILE_DEEPEP_UE8M0, 7224},
        {MOEREF_PROFILE_MXFP8_RCEIL, 7392},
        {MOEREF_PROFILE_INT8_DISPATCH, 7172},
        {MOEREF_PROFILE_FP8_TOKEN_VLLM, 7172},
        {MOEREF_PROFILE_FP8_TENSOR, 7168},
        {MOEREF_PROFILE_INT8_COMBINE, 8960},
        {MOEREF_PROFILE_LOGFMT10_DEEPEP, 9184},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        ck_assert_uint_eq(moeref_row_code_bytes(known[i].profile, 7168) +
                              moeref_row_scale_bytes(known[i].profile, 7168),
                          known[i].bytes);
    }
}
END_TEST

START_TEST(the_page_of_formats_has_every_profile)
{
    static char page[1 << 17];
    moeref_profile_info_t info;
    char text[4096];
    FILE *file;

    (void)snprintf(text, sizeof(text), "%s/doc/formats.md",
                   getenv("top_srcdir") != NULL ? getenv("top_srcdir") : ".");
    file = fopen(text, "r");
    ck_assert_msg(file != NULL, "%s", text);
    ck_assert_uint_gt(fread(page, 1, sizeof(page) - 1, file), 0);
    (void)fclose(file);
    for (int i = 1; i <= count(); i++) {
        (void)moeref_profile_info((moeref_profile_t)i, &info);
        (void)snprintf(text, sizeof(text), "| %s | %s |", info.users,
                       info.differs);
        ck_assert_msg(strstr(page, text) != NULL, "lacks: %s", text);
        (void)snprintf(text, sizeof(text), "| `%s` | `%s` | ", info.name,
                       info.format);
        ck_assert_msg(strstr(page, text) != NULL, "lacks: %s", text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("moeref_profiles");
    TCase *tests = tcase_create("moeref_profiles");

    tcase_add_test(
        tests,
        every_profile_is_found_by_its_name_and_comes_back_near_its_source);
    tcase_add_test(tests, systems_stand_for_their_profiles);
    tcase_add_test(tests,
                   global_scales_of_extreme_tensors_are_those_of_each_system);
    tcase_add_test(tests, what_cannot_be_quantised_is_refused);
    tcase_add_test(tests, a_row_has_the_bytes_that_systems_count);
    tcase_add_test(tests, the_page_of_formats_has_every_profile);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
