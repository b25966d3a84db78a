/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/quantize.h"
#include "ref/rcp_table.h"
#include "moe/rcp_table_file.h"
#include "gpu/fast_blocks.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fast NVFP4 profiles and LogFMT-10 against what an H100 gave
 * (gpu/fast_vectors.cu, CUDA's own conversions): tests/fixtures. */

#define MOST_BLOCKS (1u << 18)
#define CODES       (FAST_BLOCK / 2)

static const moe_profile_t profiles[] = {MOE_PROFILE_fast_rcp_sm90,
                                         MOE_PROFILE_fast_rcp_sm90_vllm};

static void quantize_by(moe_profile_t profile, uint64_t block, float global,
                        uint8_t *out)
{
    uint16_t x[FAST_BLOCK];
    moe_rows_t src = {.storage = {.format = MOE_FORMAT_bf16},
                      .rows = 1,
                      .cols = FAST_BLOCK,
                      .codes = x};
    moe_rows_t dst = {.storage = {MOE_FORMAT_nvfp4, profile, global},
                      .rows = 1,
                      .cols = FAST_BLOCK,
                      .codes = out + 1,
                      .scales = out};

    for (int i = 0; i < FAST_BLOCK; i++) {
        x[i] = fast_element(block, i);
    }
    if (moe_ref_quantize(&src, &dst) != MOE_OK) {
        ck_abort_msg("%s", moe_error_text());
    }
}

static void quantize(moe_profile_t profile, uint64_t block, uint8_t *out)
{
    quantize_by(profile, block, moe_f32_of_bits(fast_global(block)), out);
}

/* 2688 / amax of an amax in bf16: with it, blocks lie next to midpoints far
 * more often than with any number. */
static float global_of_amax(uint64_t block)
{
    float amax = 2688.0f / moe_f32_of_bits(fast_global(block));

    return 2688.0f / moe_bf16_to_f32(moe_bf16_from_f32(amax));
}

static FILE *fixture(void)
{
    char path[4096];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/tests/fixtures/fast_rcp_sm90.txt",
                   getenv("top_srcdir") != NULL ? getenv("top_srcdir") : ".");
    file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    return file;
}

START_TEST(the_fast_profiles_give_the_blocks_of_an_h100)
{
    FILE *file = fixture();
    char line[128];
    int found = 0;

    while (fgets(line, sizeof(line), file) != NULL) {
        uint8_t got[FAST_BYTES];
        char want[32], text[32];
        unsigned block;
        int guard;

        if (sscanf(line, "%d block %u %31s", &guard, &block, want) != 3) {
            continue;
        }
        quantize(profiles[guard], block, got);
        for (int i = 0; i < FAST_BYTES; i++) {
            (void)snprintf(text + 2 * i, 3, "%02x", got[i]);
        }
        ck_assert_msg(strcmp(text, want) == 0, "%s block %u: %s, expected %s",
                      moe_profile_name(profiles[guard]), block, text, want);
        found++;
    }
    (void)fclose(file);
    ck_assert_int_eq(found, 512);
}
END_TEST

/* Of every block from 0, as many as the file has sums for. */
START_TEST(a_quarter_million_blocks_have_the_checksum_of_an_h100)
{
    uint8_t *got = malloc((size_t)MOST_BLOCKS * FAST_BYTES);
    FILE *file = fixture();
    char line[128];
    int found = 0;

    ck_assert_ptr_nonnull(got);
    for (unsigned b = 0; b < MOST_BLOCKS; b++) {
        quantize(profiles[_i], b, got + (size_t)b * FAST_BYTES);
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long long want;
        unsigned n;
        int guard;

        if (sscanf(line, "%d sum %u %llx", &guard, &n, &want) == 3 &&
            guard == _i && n <= MOST_BLOCKS) {
            ck_assert_uint_eq(moe_rcp_checksum(got, (size_t)n * FAST_BYTES),
                              want);
            found++;
        }
    }
    (void)fclose(file);
    free(got);
    ck_assert_int_eq(found, 3);
}
END_TEST

/* Far from ties, and not by more than the budget, from the exact recipe. */
START_TEST(the_fast_profile_keeps_its_budget_against_the_exact_one)
{
    const moe_budget_t *budget =
        moe_profile_info(MOE_PROFILE_fast_rcp_sm90)->budget;
    int scales = 0, codes = 0, blocks = 0;

    for (uint64_t b = 0; b < MOST_BLOCKS / 4; b++) {
        uint8_t fast[FAST_BYTES], exact[FAST_BYTES];

        if (b % FAST_SPECIAL == 0 || b % 61 == 17 || b % 127 == 5 ||
            b % 131 == 7 || b % 1000 == 999) {
            continue; /* special blocks */
        }
        quantize_by(MOE_PROFILE_fast_rcp_sm90, b, global_of_amax(b), fast);
        quantize_by(MOE_PROFILE_flashinfer_exact, b, global_of_amax(b), exact);
        blocks++;
        if (fast[0] != exact[0]) {
            ck_assert_int_eq(abs(fast[0] - exact[0]), 1);
            scales++;
            continue;
        }
        for (int i = 0; i < 2 * CODES; i++) {
            int a = fast[1 + i / 2] >> (4 * (i % 2)) & 15;
            int e = exact[1 + i / 2] >> (4 * (i % 2)) & 15;

            ck_assert_int_le(abs(a - e), 1);
            codes += a != e;
        }
    }
    ck_assert_int_gt(scales, 0);
    ck_assert_int_gt(codes, 0);
    ck_assert(scales <= budget->scales * blocks);
    ck_assert(codes <= budget->codes * blocks * FAST_BLOCK);
}
END_TEST

static const char *damaged(const char *text, size_t at, char with)
{
    static char path[] = "rcp_damaged.table";
    const size_t n = sizeof(moe_rcp_header_t) + MOE_RCP_TABLE_BYTES;
    char *bytes = malloc(n);
    FILE *file = fopen(text, "rb");

    ck_assert(file != NULL && bytes != NULL);
    ck_assert_uint_eq(fread(bytes, 1, n, file), n);
    (void)fclose(file);
    bytes[at] = (char)(bytes[at] ^ with);
    file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, n, file), n);
    (void)fclose(file);
    free(bytes);
    return path;
}

START_TEST(a_table_that_is_not_what_it_says_is_refused)
{
    static const size_t at[] = {0, 8, 12, 16, 128, 128 + 12345};
    const char *table = getenv("MOESIM_RCP_TABLE");
    uint8_t *bytes;

    if (table == NULL) {
        table = "data/rcp_sm90.table";
    }
    ck_assert_int_eq(moe_rcp_read(table, &bytes), MOE_OK);
    free(bytes);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        const char *path = damaged(table, at[i], 1);

        ck_assert_int_eq(moe_rcp_read(path, &bytes), MOE_ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(moe_error_text(), path));
        moe_error_clear();
        (void)remove(path);
    }
    ck_assert_int_eq(moe_rcp_read("/dev/null", &bytes), MOE_ERR_INPUT);
    moe_error_clear();
}
END_TEST

START_TEST(without_the_table_the_message_says_how_to_get_it)
{
    uint8_t out[FAST_BYTES];
    uint16_t x[FAST_BLOCK] = {0};
    moe_rows_t src = {.rows = 1, .cols = FAST_BLOCK, .codes = x};
    moe_rows_t dst = {
        .storage = {MOE_FORMAT_nvfp4, MOE_PROFILE_fast_rcp_sm90, 1.0f},
        .rows = 1,
        .cols = FAST_BLOCK,
        .codes = out + 1,
        .scales = out};

    ck_assert_int_eq(setenv("MOESIM_RCP_TABLE", "/nowhere/rcp", 1), 0);
    ck_assert_int_eq(moe_ref_quantize(&src, &dst), MOE_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "/nowhere/rcp"));
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "gpu/rcp_table.cu"));
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "MOESIM_RCP_TABLE"));
    moe_error_clear();
}
END_TEST

/* Each process loads the table once: forked tests, each its own. */
START_TEST(the_reciprocal_is_within_one_step_and_flushes_subnormal_numbers)
{
    ck_assert_int_eq(moe_rcp_load(), MOE_OK);
    for (uint32_t i = 0; i < 1u << 20; i++) {
        float x = moe_f32_of_bits((uint32_t)fast_random(i));
        uint32_t got = moe_f32_bits(moe_rcp_approx(x));
        uint32_t exact = moe_f32_bits(1.0f / x);
        uint32_t tiny = 0x00800000;

        if (isnan(x)) {
            ck_assert(isnan(moe_rcp_approx(x)));
        } else if ((moe_f32_bits(x) & 0x7fffffff) < tiny) {
            ck_assert_uint_eq(got & 0x7fffffff, 0x7f800000);
        } else if ((got & 0x7fffffff) == 0) {
            ck_assert_uint_le(exact & 0x7fffffff, tiny);
        } else {
            ck_assert_int_le(abs((int)(got - exact)), 1);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantize_fast");
    TCase *tests = tcase_create("quantize_fast");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_fast_profiles_give_the_blocks_of_an_h100);
    tcase_add_loop_test(
        tests, a_quarter_million_blocks_have_the_checksum_of_an_h100, 0, 2);
    tcase_add_test(tests,
                   the_fast_profile_keeps_its_budget_against_the_exact_one);
    tcase_add_test(tests, a_table_that_is_not_what_it_says_is_refused);
    tcase_add_test(tests, without_the_table_the_message_says_how_to_get_it);
    tcase_add_test(
        tests, the_reciprocal_is_within_one_step_and_flushes_subnormal_numbers);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
