/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/judge.h"

#include "ref/formats.h"
#include "ref/judge_inside.h"
#include "ref/quantize.h"
#include "tests/support.h"
#include "tests/tiny_layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ELEMENTS = 1000000
};

/* A layer as the reference makes it, and a judge of the same case. */
typedef struct {
    tiny_t tiny;
    moe_ref_layer_t truth;
    moe_judge_t judge;
    moe_rows_t copy[MOE_ROLE_COUNT]; /* what a kernel gives */
} court_t;

static court_t court;

/* grouped: with groups and bias, as the tiny layer has them. */
static void open_court_of(bool grouped)
{
    moe_ref_case_t about;

    memset(&court, 0, sizeof(court));
    tiny_init(&court.tiny, MOE_FORMAT_nvfp4);
    if (!grouped) {
        court.tiny.model.bias = false;
        court.tiny.model.n_group = court.tiny.model.topk_group = 1;
    }
    about = (moe_ref_case_t){.model = &court.tiny.model,
                             .chain = court.tiny.chain,
                             .seed = 1,
                             .tokens = {0, TINY_TOKENS},
                             .experts = {0, TINY_EXPERTS}};
    ck_assert_int_eq(moe_ref_layer_init(&about, &court.truth), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&court.truth, MOE_ROLE_output), MOE_OK);
    ck_assert_int_eq(
        moe_judge_init(&about, MOE_ACCUMULATOR_fp32, ELEMENTS, &court.judge),
        MOE_OK);
}

static void open_court(void)
{
    open_court_of(true);
}

static void close_court(void)
{
    moe_judge_fini(&court.judge);
    moe_ref_layer_fini(&court.truth);
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        moe_ref_rows_free(&court.copy[r]);
    }
}

/* A copy of the true tensor of a place, to be changed and given. */
static moe_rows_t *copy_of(moe_role_t role)
{
    const moe_rows_t *from = &court.truth.at[role];
    moe_rows_t *to = &court.copy[role];
    int64_t blocks;

    ck_assert_int_eq(moe_ref_layer_make(&court.truth, role), MOE_OK);
    ck_assert_int_eq(
        moe_ref_rows_alloc(&from->storage, from->rows, from->cols, to), MOE_OK);
    blocks = moe_format_scale_cols(from->storage.format, from->cols);
    memcpy(to->codes, from->codes,
           (size_t)(from->rows * moe_rows_code_bytes(from)));
    if (to->scales != NULL) {
        memcpy(to->scales, from->scales, (size_t)(from->rows * blocks));
    }
    return to;
}

static const moe_verdict_t *judge(moe_role_t role)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (court.copy[r].codes != NULL) {
            ck_assert_int_eq(
                moe_judge_give(&court.judge, (moe_role_t)r, &court.copy[r]),
                MOE_OK);
        }
    }
    ck_assert_int_eq(moe_judge_run(&court.judge), MOE_OK);
    ck_assert(court.judge.verdict[role].judged);
    return &court.judge.verdict[role];
}

START_TEST(each_tensor_of_the_reference_is_good_by_itself)
{
    const moe_role_t role = (moe_role_t)_i;

    open_court();
    if (role == MOE_ROLE_topk_weights) {
        (void)copy_of(MOE_ROLE_topk_ids);
    }
    (void)copy_of(role);
    ck_assert(judge(role)->good);
    ck_assert(moe_judge_is_good(&court.judge));
    ck_assert_int_eq(court.judge.verdict[role].beyond[MOE_WIDTH_hard], 0);
    close_court();
}
END_TEST

START_TEST(a_number_one_step_too_far_is_beyond_the_hard_bound)
{
    static const moe_role_t roles[] = {MOE_ROLE_gemm1_out, MOE_ROLE_act_out,
                                       MOE_ROLE_gemm2_out, MOE_ROLE_combine,
                                       MOE_ROLE_output};
    const moe_role_t role = roles[_i];
    const moe_verdict_t *v;
    moe_rows_t *got;

    open_court();
    (void)copy_of(
        (moe_role_t)(role == MOE_ROLE_output ? MOE_ROLE_gemm2_out : role - 1));
    got = copy_of(role);
    ((uint16_t *)got->codes)[3 * got->cols + 5] += 40;
    v = judge(role);
    ck_assert(!v->good);
    ck_assert_int_eq(v->beyond[MOE_WIDTH_hard], 1);
    ck_assert_int_eq(v->worst.row, 3);
    ck_assert_int_eq(v->worst.col, 5);
    ck_assert_int_eq(v->max_ulp, 40);
    close_court();
}
END_TEST

START_TEST(widths_hold_every_order_and_likely_ones_are_narrower)
{
    moe_judge_t j = {.accumulator = MOE_ACCUMULATOR_fp32, .log_tail = 30.0};

    for (int64_t k = 16; k <= 16384; k *= 4) {
        double hard = moe_width_hard(&j, k, 1.0, 0.01);
        double likely = moe_width_likely(&j, k, 1.0, 0.01);

        ck_assert_double_ge(hard, (double)(k - 1) * 0x1p-24);
        ck_assert_double_le(likely, hard);
        ck_assert(k < 1024 || likely < hard / 10.0);
    }
}
END_TEST

START_TEST(a_wide_accumulator_is_wider_than_a_narrow_one)
{
    moe_judge_t j = {.log_tail = 30.0};
    double last = 0.0;
    static const moe_accumulator_t order[] = {
        MOE_ACCUMULATOR_fp64,        MOE_ACCUMULATOR_fp32,
        MOE_ACCUMULATOR_fp32_tensor, MOE_ACCUMULATOR_fp8_hopper_128,
        MOE_ACCUMULATOR_fp8_hopper,  MOE_ACCUMULATOR_fp16};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        double likely;

        j.accumulator = order[i];
        likely = moe_width_likely(&j, 4096, 1.0, 0.0);
        ck_assert_double_gt(likely, last);
        last = likely;
    }
}
END_TEST

START_TEST(a_code_next_to_a_midpoint_may_go_either_way_if_its_source_is_absent)
{
    static moe_judge_t j;
    moe_rows_t *source = &j.layer.at[MOE_ROLE_act_out];
    moe_rows_t *codes = &j.layer.at[MOE_ROLE_gemm2_in];
    moe_widths_t *from = &j.widths[MOE_ROLE_act_out];
    const moe_widths_t *to = &j.widths[MOE_ROLE_gemm2_in];
    const moe_storage_t bf16 = {.format = MOE_FORMAT_bf16};
    moe_storage_t nvfp4 = {.format = MOE_FORMAT_nvfp4};
    double value[16];

    moe_storage_default(&nvfp4, 6.0f);
    ck_assert_int_eq(moe_ref_rows_alloc(&bf16, 1, 16, source), MOE_OK);
    ck_assert_int_eq(moe_ref_rows_alloc(&nvfp4, 1, 16, codes), MOE_OK);
    for (int i = 0; i < 16; i++) { /* the largest is 6, 2.5 a midpoint */
        ((uint16_t *)source->codes)[i] = moe_bf16_from_f32(i == 0   ? 6.0f
                                                           : i == 1 ? 2.5f
                                                                    : 3.0f);
    }
    ck_assert_int_eq(moe_ref_quantize(source, codes), MOE_OK);
    ck_assert_int_eq(moe_widths_alloc(from, 1, 16), MOE_OK);
    for (int w = 0; w < MOE_WIDTHS; w++) {
        from->at[w][1] = 0.02f; /* about 2.5 */
        from->at[w][2] = 0.02f; /* about 3: no midpoint near */
    }
    ck_assert_int_eq(moe_judge_carry_codes(&j, MOE_ROLE_gemm2_in), MOE_OK);
    moe_rows_values(codes, 0, 0, 16, value);
    ck_assert_double_gt((double)to->at[MOE_WIDTH_likely][1], 0.5);
    ck_assert_double_le((double)to->at[MOE_WIDTH_likely][2], 0.0);
    ck_assert_double_le((double)to->at[MOE_WIDTH_likely][3], 0.0);
    ck_assert_double_gt(value[0], 5.0);
    moe_widths_free(from);
    moe_widths_free(&j.widths[MOE_ROLE_gemm2_in]);
    moe_ref_rows_free(source);
    moe_ref_rows_free(codes);
}
END_TEST

/* Make the token's choice of the last slot a tie with the next expert. */
START_TEST(other_ids_are_a_near_tie_only_where_logits_nearly_tie)
{
    const int k = 3;
    moe_rows_t *logits;
    moe_rows_t *ids;
    float *x;
    int32_t *id;
    int32_t other = -1;
    int32_t chosen[TINY_EXPERTS] = {0};

    open_court_of(false);
    logits = copy_of(MOE_ROLE_logits);
    ids = copy_of(MOE_ROLE_topk_ids);
    x = logits->codes;
    id = ids->codes;
    for (int s = 0; s < k; s++) {
        chosen[id[s]] = 1;
    }
    for (int32_t e = 0; e < TINY_EXPERTS && other < 0; e++) {
        other = chosen[e] ? -1 : e;
    }
    if (_i == 0) { /* the logits that the kernel says it had nearly tie */
        x[other] = x[id[k - 1]] - 1.5e-6f;
    }
    id[k - 1] = other;
    (void)judge(MOE_ROLE_topk_ids);
    ck_assert_int_eq(court.judge.verdict[MOE_ROLE_topk_ids].differ, 1);
    ck_assert_int_eq(court.judge.verdict[MOE_ROLE_topk_ids].near_ties,
                     _i == 0 ? 1 : 0);
    ck_assert(court.judge.verdict[MOE_ROLE_topk_ids].good == (_i == 0));
    close_court();
}
END_TEST

START_TEST(ids_and_weights_may_lie_in_any_order_of_columns)
{
    moe_rows_t *ids;
    moe_rows_t *weights;

    open_court();
    ids = copy_of(MOE_ROLE_topk_ids);
    weights = copy_of(MOE_ROLE_topk_weights);
    for (int64_t i = 0; i < TINY_TOKENS; i++) {
        int32_t *id = (int32_t *)ids->codes + 3 * i;
        float *w = (float *)weights->codes + 3 * i;
        int32_t keep = id[0];
        float kept = w[0];

        id[0] = id[2];
        id[2] = keep;
        w[0] = w[2];
        w[2] = kept;
    }
    ck_assert(judge(MOE_ROLE_topk_ids)->good);
    ck_assert(judge(MOE_ROLE_topk_weights)->good);
    ck_assert_int_eq(judge(MOE_ROLE_topk_weights)->max_ulp, 0);
    ((float *)weights->codes)[4] *= 1.001f; /* 2^23 / 1000 ulp of it, or half */
    ck_assert(!judge(MOE_ROLE_topk_weights)->good);
    ck_assert_int_ge(court.judge.verdict[MOE_ROLE_topk_weights].max_ulp, 8000);
    ck_assert_int_le(court.judge.verdict[MOE_ROLE_topk_weights].max_ulp, 17000);
    ck_assert_int_eq(court.judge.verdict[MOE_ROLE_topk_weights].worst.token, 1);
    close_court();
}
END_TEST

START_TEST(an_output_alone_has_a_weak_hard_bound_and_a_verdict)
{
    open_court();
    (void)copy_of(MOE_ROLE_output);
    ck_assert(judge(MOE_ROLE_output)->good);
    ck_assert_double_gt(court.judge.verdict[MOE_ROLE_output].weakness, 0.05);
    memset(court.copy[MOE_ROLE_output].codes, 0, 2 * TINY_HIDDEN);
    ck_assert(!judge(MOE_ROLE_output)->good);
    ck_assert_int_eq(court.judge.verdict[MOE_ROLE_output].worst.token, 0);
    close_court();
}
END_TEST

START_TEST(nan_and_infinity_are_counted_and_never_good)
{
    moe_rows_t *got;
    const moe_verdict_t *v;

    open_court();
    got = copy_of(MOE_ROLE_gemm2_out);
    ((uint16_t *)got->codes)[1] = 0x7fc0;
    ((uint16_t *)got->codes)[2] = 0xff80;
    v = judge(MOE_ROLE_gemm2_out);
    ck_assert_int_eq(v->nans, 1);
    ck_assert_int_eq(v->infinities, 1);
    ck_assert(!v->good);
    close_court();
}
END_TEST

/* NVFP4 places with their scales, and numbers that a router cannot take. */
START_TEST(what_is_no_number_is_never_good_and_ends_no_check)
{
    static const moe_role_t roles[] = {MOE_ROLE_logits, MOE_ROLE_dispatch,
                                       MOE_ROLE_expert_in, MOE_ROLE_gemm2_in};
    const moe_role_t role = roles[_i];
    moe_rows_t *got;
    const moe_verdict_t *v;

    open_court();
    got = copy_of(role);
    (void)copy_of(MOE_ROLE_gemm2_out);
    if (got->scales != NULL) {
        ((uint8_t *)got->scales)[1] = 0x7f;
    } else {
        ((uint32_t *)got->codes)[1] = 0x7fc00000;
    }
    v = judge(role);
    ck_assert(!v->good);
    ck_assert_int_gt(v->nans, 0);
    ck_assert_int_eq(v->near_ties, 0);
    ck_assert(court.judge.verdict[MOE_ROLE_gemm2_out].good);
    close_court();
}
END_TEST

/* Another act_out first, whose codes are not those of the second. */
START_TEST(a_judge_asked_again_starts_from_what_it_is_given_now)
{
    moe_rows_t *act;
    const moe_rows_t *mine;
    size_t bytes;

    open_court();
    act = copy_of(MOE_ROLE_act_out);
    (void)copy_of(MOE_ROLE_gemm2_out);
    mine = &court.truth.at[MOE_ROLE_act_out];
    bytes = (size_t)(act->rows * moe_rows_code_bytes(act));
    for (int64_t i = 0; i < act->rows * act->cols; i++) {
        ((uint16_t *)act->codes)[i] ^= 0x8000; /* every sign */
    }
    ck_assert(!judge(MOE_ROLE_act_out)->good);
    ck_assert(!court.judge.verdict[MOE_ROLE_gemm2_out].good);
    memcpy(act->codes, mine->codes, bytes);
    ck_assert(judge(MOE_ROLE_act_out)->good);
    ck_assert(court.judge.verdict[MOE_ROLE_gemm2_out].good);
    close_court();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("judge");
    TCase *tests = tcase_create("judge");

    tcase_add_loop_test(tests, each_tensor_of_the_reference_is_good_by_itself,
                        MOE_ROLE_hidden, MOE_ROLE_output + 1);
    tcase_add_loop_test(
        tests, a_number_one_step_too_far_is_beyond_the_hard_bound, 0, 5);
    tcase_add_test(tests, widths_hold_every_order_and_likely_ones_are_narrower);
    tcase_add_test(tests, a_wide_accumulator_is_wider_than_a_narrow_one);
    tcase_add_test(
        tests,
        a_code_next_to_a_midpoint_may_go_either_way_if_its_source_is_absent);
    tcase_add_loop_test(
        tests, other_ids_are_a_near_tie_only_where_logits_nearly_tie, 0, 2);
    tcase_add_test(tests, ids_and_weights_may_lie_in_any_order_of_columns);
    tcase_add_test(tests, an_output_alone_has_a_weak_hard_bound_and_a_verdict);
    tcase_add_test(tests, nan_and_infinity_are_counted_and_never_good);
    tcase_add_loop_test(
        tests, what_is_no_number_is_never_good_and_ends_no_check, 0, 4);
    tcase_add_test(tests, a_judge_asked_again_starts_from_what_it_is_given_now);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
