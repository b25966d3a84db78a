/* SPDX-License-Identifier: Apache-2.0 */
/* Codes of machines whose reciprocal is another one: few, next to midpoints,
 * are no fault; the rest is. */
#include "ref/judge.h"

#include "moe/profile.h"
#include "ref/fault.h"
#include "ref/formats.h"
#include "tests/support.h"

#include <math.h>
#include <string.h>

enum {
    HIDDEN = 1024,
    TOKENS = 256
};

static moe_model_t model = {.hidden = HIDDEN,
                            .intermediate = 128,
                            .experts = 8,
                            .topk = 2,
                            .n_group = 1,
                            .topk_group = 1,
                            .score = MOE_SCORE_softmax,
                            .routed_scaling = 1.0f};

static moe_ref_case_t about(moe_profile_t profile, int64_t tokens)
{
    moe_ref_case_t c = {.model = &model,
                        .chain = {.weights = MOE_FORMAT_nvfp4},
                        .seed = 3,
                        .tokens = {0, tokens},
                        .experts = {0, 8}};
    moe_storage_t *dispatch = &c.chain.at[MOE_ROLE_dispatch];

    *dispatch = (moe_storage_t){.format = MOE_FORMAT_nvfp4, .profile = profile};
    moe_storage_default(dispatch, MOE_FILL_HIDDEN_BOUND);
    c.chain.at[MOE_ROLE_expert_in] = *dispatch;
    c.chain.at[MOE_ROLE_gemm2_in] = *dispatch;
    return c;
}

/* The rows of a profile, or of one with a mistake. */
static void make(moe_profile_t profile, int64_t tokens, moe_fault_kind_t kind,
                 moe_ref_layer_t *layer)
{
    const moe_ref_case_t c = about(profile, tokens);

    ck_assert_int_eq(moe_ref_layer_init(&c, layer), MOE_OK);
    layer->fault = (moe_fault_t){.kind = kind, .role = MOE_ROLE_dispatch};
    ck_assert_int_eq(moe_ref_layer_make(layer, MOE_ROLE_dispatch), MOE_OK);
}

/* What the judge of a profile says of a layer's places from one to another, of
 * the last. */
static moe_verdict_t judge_places(moe_profile_t profile,
                                  const moe_ref_layer_t *layer,
                                  moe_role_t first, moe_role_t last)
{
    const moe_ref_case_t c = about(profile, layer->at[MOE_ROLE_hidden].rows);
    moe_judge_t judge;
    moe_verdict_t verdict;

    ck_assert_int_eq(
        moe_judge_init(&c, MOE_ACCUMULATOR_fp32, TOKENS * HIDDEN, &judge),
        MOE_OK);
    for (int r = (int)first; r <= (int)last; r++) {
        ck_assert_int_eq(moe_judge_give(&judge, (moe_role_t)r, &layer->at[r]),
                         MOE_OK);
    }
    ck_assert_int_eq(moe_judge_run(&judge), MOE_OK);
    verdict = judge.verdict[last];
    moe_judge_fini(&judge);
    return verdict;
}

/* Of its dispatch alone. */
static moe_verdict_t judge(moe_profile_t profile, const moe_ref_layer_t *layer)
{
    return judge_places(profile, layer, MOE_ROLE_dispatch, MOE_ROLE_dispatch);
}

/* Another machine: IEEE divisions in some rows, approximate ones in the rest.
 * Global scales of few digits, as this one, make many numbers halves, more than
 * a budget has. Rows in their routing weights are others than hidden's. */
START_TEST(another_machine_is_within_the_budget)
{
    moe_ref_layer_t layer;
    moe_ref_layer_t other;
    moe_rows_t *rows = &layer.at[MOE_ROLE_dispatch];
    moe_verdict_t v;

    model.weight_on_input = _i != 0;
    model.topk = model.weight_on_input ? 1 : model.topk;
    make(MOE_PROFILE_fast_rcp_sm90, TOKENS, MOE_FAULT_none, &layer);
    make(MOE_PROFILE_flashinfer_exact, TOKENS, MOE_FAULT_none, &other);
    for (int64_t i = 0; i < TOKENS; i += 4) {
        memcpy(moe_rows_codes(rows, i),
               moe_rows_codes(&other.at[MOE_ROLE_dispatch], i),
               (size_t)moe_rows_code_bytes(rows));
    }
    v = judge(MOE_PROFILE_fast_rcp_sm90, &layer);
    ck_assert_int_gt(v.differ, 0);
    ck_assert(v.good);
    ck_assert_int_eq(v.in_code_budget, v.differ);
    ck_assert(!judge(MOE_PROFILE_fast_rcp_sm90, &other).good);
    moe_ref_layer_fini(&layer);
    moe_ref_layer_fini(&other);
}
END_TEST

/* One code that is off by a step though no midpoint is near. */
START_TEST(far_from_midpoints_no_code_may_differ)
{
    moe_ref_layer_t layer;
    moe_rows_t *rows;
    uint8_t *codes;
    int64_t col = 0;
    double x;
    double scale;

    make(MOE_PROFILE_fast_rcp_sm90, TOKENS, MOE_FAULT_none, &layer);
    rows = &layer.at[MOE_ROLE_dispatch];
    codes = rows->codes;
    do { /* 2, and nearer to it than to 1.5 or 3 */
        col++;
        x = moe_rows_value(&layer.at[MOE_ROLE_hidden], 0, col);
        scale = moe_rows_value(rows, 0, col) / 2.0;
    } while ((codes[col / 2] >> (4 * (col % 2)) & 15) != 4 ||
             fabs(x / scale - 2.0) > 0.2);
    codes[col / 2] ^= (uint8_t)(1 << (4 * (col % 2))); /* 3 */
    ck_assert(!judge(MOE_PROFILE_fast_rcp_sm90, &layer).good);
    moe_ref_layer_fini(&layer);
}
END_TEST

/* A rounding that is wrong at every midpoint is more than another machine. */
START_TEST(too_many_codes_next_to_midpoints_are_a_fault)
{
    static const moe_fault_kind_t kinds[] = {MOE_FAULT_ties_to_zero,
                                             MOE_FAULT_double_rounding,
                                             MOE_FAULT_truncation};
    moe_ref_layer_t layer;

    make(MOE_PROFILE_fast_rcp_sm90, TOKENS, kinds[_i], &layer);
    ck_assert(!judge(MOE_PROFILE_fast_rcp_sm90, &layer).good);
    moe_ref_layer_fini(&layer);
}
END_TEST

/* Of n scales some are one step larger, with codes as they were. */
static bool passes(int64_t tokens, int64_t every)
{
    moe_ref_layer_t layer;
    uint8_t *scales;
    bool good;

    make(MOE_PROFILE_fast_rcp_sm90, tokens, MOE_FAULT_none, &layer);
    scales = layer.at[MOE_ROLE_dispatch].scales;
    for (int64_t i = every / 2; i < tokens * HIDDEN / 16; i += every) {
        scales[i]++;
    }
    good = judge(MOE_PROFILE_fast_rcp_sm90, &layer).good;
    moe_ref_layer_fini(&layer);
    return good;
}

START_TEST(scales_are_counted_against_their_share)
{
    ck_assert(passes(TOKENS, 1000)); /* 1e-3, of 16,384 */
    ck_assert(!passes(TOKENS, 250)); /* 4e-3 */
    ck_assert(passes(2, 128));       /* one of 128 is chance */
    ck_assert(!passes(2, 8));        /* 16 are not */
}
END_TEST

/* A gather quantises nothing: expert_in is GOT's own dispatch or a fault. */
START_TEST(rows_that_are_copied_have_no_budget)
{
    moe_ref_layer_t layer;
    moe_rows_t *rows = &layer.at[MOE_ROLE_expert_in];
    uint8_t *codes;
    moe_verdict_t v;

    make(MOE_PROFILE_fast_rcp_sm90, TOKENS, MOE_FAULT_none, &layer);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_expert_in), MOE_OK);
    ck_assert(judge_places(MOE_PROFILE_fast_rcp_sm90, &layer, MOE_ROLE_dispatch,
                           MOE_ROLE_expert_in)
                  .good);
    codes = rows->codes;
    ((uint8_t *)rows->scales)[2]++;
    for (int i = 16; i < (_i != 0 ? 24 : 16); i++) {
        codes[i] ^= 0x77; /* all of the block's */
    }
    v = judge_places(MOE_PROFILE_fast_rcp_sm90, &layer, MOE_ROLE_dispatch,
                     MOE_ROLE_expert_in);
    ck_assert(!v.good);
    ck_assert_int_eq(v.in_budget, 0);
    moe_ref_layer_fini(&layer);
}
END_TEST

/* expert_in of tokens that all experts have, its scales as dispatch's; `other`:
 * one more in a token's last row only. */
static moe_verdict_t judge_copies(int64_t every, bool other)
{
    moe_ref_layer_t layer;
    moe_rows_t *rows = &layer.at[MOE_ROLE_expert_in];
    const int64_t blocks = HIDDEN / 16;
    uint8_t *scales;
    moe_verdict_t v;

    model.topk = 8;
    make(MOE_PROFILE_fast_rcp_sm90, TOKENS / 2, MOE_FAULT_none, &layer);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_expert_in), MOE_OK);
    scales = rows->scales;
    for (int64_t i = 0; i < rows->rows * blocks; i++) {
        const int64_t at = layer.index.row[i / blocks] * blocks + i % blocks;

        if (at % every == every / 2) {
            scales[i]++;
        }
    }
    if (other) {
        scales[rows->rows * blocks - 1]++;
    }
    v = judge_places(MOE_PROFILE_fast_rcp_sm90, &layer, MOE_ROLE_expert_in,
                     MOE_ROLE_expert_in);
    moe_ref_layer_fini(&layer);
    return v;
}

START_TEST(rows_of_a_token_count_once)
{
    moe_verdict_t v = judge_copies(340, false);

    ck_assert_int_eq(v.scales_differ, 192);
    ck_assert_int_eq(v.scales_in_budget, 24); /* of 8,192 */
    ck_assert(v.good);
    ck_assert(!judge_copies(128, false).good); /* 64 */
    ck_assert(!judge_copies(340, true).good);
}
END_TEST

/* Another machine's rows that GOT has not, seen in what is made of them; and
 * the same with a row of zeros. */
START_TEST(codes_that_are_not_given_may_be_another_machines)
{
    static const moe_role_t given[][2] = {
        {MOE_ROLE_expert_in, MOE_ROLE_gemm1_out},
        {MOE_ROLE_act_out, MOE_ROLE_act_out},
        {MOE_ROLE_act_out, MOE_ROLE_gemm2_out},
        {MOE_ROLE_gemm2_out, MOE_ROLE_gemm2_out},
        {MOE_ROLE_gemm1_out, MOE_ROLE_gemm1_out},
        {MOE_ROLE_output, MOE_ROLE_output}};
    moe_role_t first = given[_i][0];
    const moe_role_t last = given[_i][1];
    moe_ref_layer_t layer;
    moe_rows_t *rows = &layer.at[last];

    make(MOE_PROFILE_flashinfer_exact, TOKENS / 4, MOE_FAULT_none, &layer);
    ck_assert_int_eq(moe_ref_layer_make(&layer, last), MOE_OK);
    ck_assert(
        judge_places(MOE_PROFILE_flashinfer_exact, &layer, first, last).good);
    ck_assert(
        judge_places(MOE_PROFILE_fast_rcp_sm90, &layer, first, last).good);
    memset(moe_rows_codes(rows, 3), 0, (size_t)moe_rows_code_bytes(rows));
    ck_assert(
        !judge_places(MOE_PROFILE_fast_rcp_sm90, &layer, first, last).good);
    moe_ref_layer_fini(&layer);
}
END_TEST

START_TEST(exact_profiles_have_no_budget)
{
    moe_ref_layer_t layer;

    make(MOE_PROFILE_fast_rcp_sm90, TOKENS, MOE_FAULT_none, &layer);
    ck_assert(!judge(MOE_PROFILE_flashinfer_exact, &layer).good);
    moe_ref_layer_fini(&layer);
}
END_TEST

static void reset_model(void)
{
    model.topk = 2;
    model.weight_on_input = false;
}

int main(void)
{
    Suite *suite = suite_create("judge_budget");
    TCase *tests = tcase_create("judge_budget");

    tcase_add_checked_fixture(tests, reset_model, NULL);
    tcase_add_loop_test(tests, another_machine_is_within_the_budget, 0, 2);
    tcase_add_test(tests, far_from_midpoints_no_code_may_differ);
    tcase_add_loop_test(tests, too_many_codes_next_to_midpoints_are_a_fault, 0,
                        3);
    tcase_add_test(tests, scales_are_counted_against_their_share);
    tcase_add_loop_test(tests, rows_that_are_copied_have_no_budget, 0, 2);
    tcase_add_test(tests, rows_of_a_token_count_once);
    tcase_add_loop_test(tests, codes_that_are_not_given_may_be_another_machines,
                        0, 6);
    tcase_add_test(tests, exact_profiles_have_no_budget);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
