/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "moe/fill.h"
#include "ref/oracle.h"
#include "ref/oracle_numbers.h"
#include "ref/oracle_quantize.h"
#include "tests/judge.h"
#include "tests/support.h"
#include "tests/tiny_layer.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tiny_t tiny;
static tiny_result_t got;
static tiny_result_t want;

static bool same_routing(int topk)
{
    size_t n = (size_t)topk * TINY_TOKENS * 4;

    return memcmp(got.ids, want.ids, n) == 0 &&
           memcmp(got.weights, want.weights, n) == 0;
}

static bool same_output(void)
{
    return memcmp(got.output, want.output, sizeof(got.output)) == 0;
}

static void assert_agreement(void)
{
    ck_assert(tiny_run(&tiny, FAULT_none, &got));
    ck_assert_int_eq(tiny_oracle(&tiny, &want), MOE_OK);
    ck_assert(same_routing(tiny.model.topk));
    ck_assert(same_output());
}

static const moe_format_t dispatches[] = {
    MOE_FORMAT_bf16, MOE_FORMAT_fp16, MOE_FORMAT_nvfp4, MOE_FORMAT_fp8_1x128};

START_TEST(the_stages_agree_with_the_oracle_for_every_dispatch)
{
    tiny_init(&tiny, dispatches[_i]);
    assert_agreement();
}
END_TEST

static void set_profile(moe_role_t role, moe_profile_t profile, float bound)
{
    moe_storage_t *storage = &tiny.chain.at[role];

    *storage = (moe_storage_t){moe_profile_format(profile), profile, 0.0f};
    moe_storage_default(storage, bound);
}

/* As dispatch; and where the matmul has the format, at its inputs. */
START_TEST(the_stages_agree_with_the_oracle_for_every_profile)
{
    const moe_profile_t profile = (moe_profile_t)_i;

    tiny_init(&tiny, MOE_FORMAT_bf16);
    set_profile(MOE_ROLE_dispatch, profile, MOE_FILL_HIDDEN_BOUND);
    if (!oracle_quantises(profile)) {
        ck_assert_int_eq(tiny_oracle(&tiny, &want), MOE_ERR_UNSUPPORTED);
        return;
    }
    assert_agreement();
    if (moe_profile_format(profile) == MOE_FORMAT_nvfp4) {
        set_profile(MOE_ROLE_expert_in, profile, MOE_FILL_HIDDEN_BOUND);
        set_profile(MOE_ROLE_gemm2_in, profile, MOE_FILL_ACT_BOUND);
        assert_agreement();
    }
}
END_TEST

START_TEST(the_stages_agree_with_the_oracle_for_every_output_format)
{
    static const moe_format_t floats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                          MOE_FORMAT_fp32};
    static const moe_role_t roles[] = {MOE_ROLE_gemm1_out, MOE_ROLE_act_out,
                                       MOE_ROLE_gemm2_out, MOE_ROLE_output};

    for (int i = 0; i < 81; i += 5) { /* all values at all places */
        int n = i;

        tiny_init(&tiny, MOE_FORMAT_nvfp4);
        for (int r = 0; r < 4; r++, n /= 3) {
            tiny.chain.at[roles[r]].format = floats[n % 3];
        }
        assert_agreement();
    }
}
END_TEST

/* A score with every limit that it goes with. */
START_TEST(the_stages_agree_with_the_oracle_for_every_router)
{
    for (int i = 0; i < 8 * MOE_GROUP_LIMIT_COUNT; i++) {
        moe_model_t *m = &tiny.model;

        tiny_init(&tiny, MOE_FORMAT_nvfp4);
        m->score = (moe_score_t)_i;
        m->group_limit = (moe_group_limit_t)(i / 8);
        m->bias = (i & 1) != 0 && m->group_limit != MOE_GROUP_LIMIT_max;
        m->renormalize = (i & 2) != 0;
        m->topk = (i & 4) != 0 ? 1 : 3;
        if (m->group_limit == MOE_GROUP_LIMIT_each) {
            m->n_group = m->topk_group = 2;
            m->topk = (i & 4) != 0 ? 2 : 4;
        } else if (m->score == MOE_SCORE_softmax_chosen) {
            m->n_group = m->topk_group = 1;
        }
        assert_agreement();
    }
}
END_TEST

START_TEST(the_stages_agree_with_the_oracle_for_every_activation)
{
    for (int i = 0; i < 3 * MOE_GATE_UP_COUNT; i++) {
        tiny_init(&tiny, MOE_FORMAT_nvfp4);
        tiny.model.activation = (moe_activation_t)_i;
        tiny.model.gate_up = (moe_gate_up_t)(i / 3);
        tiny.chain.at[MOE_ROLE_act_out].format =
            i % 3 == 0 ? MOE_FORMAT_bf16 : MOE_FORMAT_fp32;
        tiny.chain.at[MOE_ROLE_gemm1_out].format =
            i % 3 == 2 ? MOE_FORMAT_fp32 : MOE_FORMAT_bf16;
        assert_agreement();
    }
}
END_TEST

/* Large hidden states: infinities in fp16, saturation in the quantisers. */
START_TEST(the_stages_agree_with_the_oracle_on_extreme_data)
{
    for (int shift = -3; shift <= 4; shift++) {
        tiny_init(&tiny, dispatches[(shift + 3) % 4]);
        tiny.chain.at[MOE_ROLE_gemm1_out].format = MOE_FORMAT_fp16;
        tiny.chain.at[MOE_ROLE_gemm2_out].format = MOE_FORMAT_fp16;
        for (int i = 0; i < TINY_TOKENS * TINY_HIDDEN; i++) {
            tiny.hidden[i] = (uint16_t)(tiny.hidden[i] + shift * 0x300);
        }
        tiny.chain.at[MOE_ROLE_expert_in].global_scale *=
            (float)ldexp(1.0, -6 * shift);
        tiny.chain.at[MOE_ROLE_dispatch].global_scale *=
            (float)ldexp(1.0, -6 * shift);
        memset(tiny.hidden, 0, TINY_HIDDEN * 2); /* and a row of zeros */
        assert_agreement();
    }
}
END_TEST

/* Values of up to 30 bits are quantised again. */
START_TEST(the_stages_agree_with_the_oracle_for_two_global_scales)
{
    for (int i = 1; i <= 16; i++) {
        tiny_init(&tiny, MOE_FORMAT_nvfp4);
        tiny.chain.at[MOE_ROLE_dispatch].global_scale *=
            1.0f + (float)i / 17.0f;
        assert_agreement();
    }
}
END_TEST

/* Inverse of an odd number modulo 2^64 (Newton). */
static uint64_t inverse(uint64_t b)
{
    uint64_t x = b;

    for (int i = 0; i < 6; i++) {
        x *= 2 - b * x;
    }
    return x;
}

/* 30 bits times 24 bits next to the middle of two floats: a product that was
 * rounded to 53 bits first would be taken for the middle. */
START_TEST(the_oracle_rounds_products_once)
{
    const uint64_t mask = ((uint64_t)1 << 30) - 1;
    uint64_t state = 5;
    int twice = 0;

    for (int i = 0; i < 10000; i++) {
        uint64_t b = judge_random(&state) >> 40 | 1 << 23 | 1;
        uint64_t off = ((uint64_t)1 << 29) - 1 + 2 * ((uint64_t)i & 1);
        double x = (double)(off * inverse(b) & mask);
        double y = (double)b * ((i & 2) != 0 ? -0x1p-60 : 0x1p-60);
        double once = judge_sum(&x, &y, 1, MOE_FORMAT_fp32);

        ck_assert_double_eq((double)oracle_product(x, y), once);
        twice += fabs((double)(float)(x * y) - once) > 0.0;
    }
    ck_assert_int_gt(twice, 1000); /* the numbers are of use */
}
END_TEST

/* Among them subnormal numbers, infinities, and middles of two codes. */
START_TEST(the_oracle_rounds_to_every_format_as_mpfr)
{
    static const moe_format_t formats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                           MOE_FORMAT_fp32};
    const moe_format_t format = formats[_i];
    const int range = format == MOE_FORMAT_fp16 ? 30 : 155;
    uint64_t state = 9;

    for (int i = 0; i < 50000; i++) {
        double x[2];

        x[0] = judge_number(&state, 1 + i % 53, -range, range);
        ck_assert_double_eq(oracle_rounded(format, x[0]),
                            judge_sum(x, NULL, 1, format));
        x[1] = judge_number(&state, 1 + i / 53 % 53, -4, 4);
        ck_assert_double_eq((double)oracle_product(x[0], x[1]),
                            judge_sum(x, x + 1, 1, MOE_FORMAT_fp32));
    }
    ck_assert(isnan(oracle_rounded(format, (double)NAN)));
    ck_assert(oracle_rounded(format, -HUGE_VAL) < -DBL_MAX);
    ck_assert_int_eq(oracle_code_of(format, 0.0), 0);
}
END_TEST

START_TEST(quantising_before_or_after_the_gather_is_the_same)
{
    tiny_init(&tiny, MOE_FORMAT_bf16);
    ck_assert_int_eq(tiny_oracle(&tiny, &got), MOE_OK);
    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    ck_assert_int_eq(tiny_oracle(&tiny, &want), MOE_OK);
    ck_assert(same_output());
    tiny_init(&tiny, MOE_FORMAT_fp8_1x128);
    ck_assert_int_eq(tiny_oracle(&tiny, &got), MOE_OK);
    ck_assert(!same_output()); /* another rounding point */
}
END_TEST

static const char *const fault_text[FAULT_COUNT] = {
#define FAULT(id, text) [FAULT_##id] = #id ": " text,
#include "tests/faults.def"
#undef FAULT
};

START_TEST(every_fault_of_a_stage_is_noticed)
{
    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    ck_assert(tiny_run(&tiny, (fault_t)_i, &got));
    ck_assert_int_eq(tiny_oracle(&tiny, &want), MOE_OK);
    ck_assert_msg(!same_output(), "not noticed: %s", fault_text[_i]);
}
END_TEST

START_TEST(a_given_routing_is_followed)
{
    static const int32_t ids[] = {7, 0, 7};
    static const float weights[] = {0.5f, -2.0f, 0.25f};
    uint32_t output[TINY_HIDDEN];
    uint32_t again[TINY_HIDDEN];
    moe_oracle_token_t token = {.output = output};
    moe_oracle_t oracle = {.layer = &tiny.layer,
                           .chain = &tiny.chain,
                           .router = tiny.router,
                           .bias = tiny.bias};

    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    ck_assert_int_eq(
        moe_oracle_token(&oracle, tiny.hidden, ids, weights, &token), MOE_OK);
    ck_assert_int_eq(memcmp(token.ids, ids, sizeof(ids)), 0);
    ck_assert_int_eq(memcmp(token.weights, weights, sizeof(weights)), 0);
    token.output = again; /* 0.5 + 0.25 of expert 7 is 0.75 of it */
    ck_assert_int_eq(
        moe_oracle_token(&oracle, tiny.hidden, (const int32_t[]){0, 7, 7},
                         (const float[]){-2.0f, 0.0f, 0.75f}, &token),
        MOE_OK);
    ck_assert_int_eq(memcmp(output, again, sizeof(output)), 0);
}
END_TEST

START_TEST(what_the_oracle_cannot_do_is_refused)
{
    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    tiny.chain.at[MOE_ROLE_expert_in].format = MOE_FORMAT_bf16;
    ck_assert_int_eq(tiny_oracle(&tiny, &want), MOE_ERR_UNSUPPORTED);
    tiny_init(&tiny, MOE_FORMAT_fp8_1x128);
    tiny.model.hidden = 64;
    ck_assert_int_eq(tiny_oracle(&tiny, &want), MOE_ERR_UNSUPPORTED);
    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    tiny.hidden[5] = 0x7fc0;
    ck_assert_int_eq(tiny_oracle(&tiny, &want), MOE_ERR_RANGE);
    moe_error_clear();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("oracle");
    TCase *agree = tcase_create("agreement");
    TCase *faults = tcase_create("faults");
    TCase *numbers = tcase_create("numbers");

    tcase_add_loop_test(
        agree, the_stages_agree_with_the_oracle_for_every_dispatch, 0, 4);
    tcase_add_loop_test(agree,
                        the_stages_agree_with_the_oracle_for_every_profile,
                        MOE_PROFILE_none + 1, MOE_PROFILE_COUNT);
    tcase_add_test(agree,
                   the_stages_agree_with_the_oracle_for_every_output_format);
    tcase_add_loop_test(agree,
                        the_stages_agree_with_the_oracle_for_every_router, 0,
                        MOE_SCORE_COUNT);
    tcase_add_loop_test(agree,
                        the_stages_agree_with_the_oracle_for_every_activation,
                        0, MOE_ACTIVATION_COUNT);
    tcase_add_test(agree, the_stages_agree_with_the_oracle_on_extreme_data);
    tcase_add_test(agree,
                   the_stages_agree_with_the_oracle_for_two_global_scales);
    tcase_add_test(agree, quantising_before_or_after_the_gather_is_the_same);
    tcase_add_test(agree, a_given_routing_is_followed);
    tcase_add_test(agree, what_the_oracle_cannot_do_is_refused);
    suite_add_tcase(suite, agree);
    tcase_add_loop_test(faults, every_fault_of_a_stage_is_noticed,
                        FAULT_none + 1, FAULT_COUNT);
    suite_add_tcase(suite, faults);
    tcase_add_test(numbers, the_oracle_rounds_products_once);
    tcase_add_loop_test(numbers, the_oracle_rounds_to_every_format_as_mpfr, 0,
                        3);
    suite_add_tcase(suite, numbers);
    return moe_suite_main(suite);
}
