/* SPDX-License-Identifier: Apache-2.0 */
/* Rates, tiers and intervals of single operations, against closed forms. */
#include "tests/support.h"

#include "tests/hand_trace.h"
#include "tests/layers.h"

#include <string.h>

START_TEST(a_matmul_takes_the_larger_of_memory_and_arithmetic)
{
    const double flops = ldexp(1.0, 40);
    moe_hand_t t;

    moe_hand_begin(&t, 1);
    ck_assert_int_eq(moe_hand_matmul(&t, MOE_FORMAT_nvfp4, flops, 1 << 10),
                     MOE_OK);
    ck_assert_int_eq(moe_hand_matmul(&t, MOE_FORMAT_bf16, flops, 1 << 10),
                     MOE_OK);
    ck_assert_int_eq(moe_hand_matmul(&t, MOE_FORMAT_bf16, 1.0, 1 << 30),
                     MOE_OK);
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(t.result.parts.compute,
                            US * flops * (ldexp(1.0, -51) + ldexp(1.0, -49)),
                            1e-6);
    ck_assert_double_eq_tol(t.result.parts.memory, MEMORY(1 << 30), 1e-6);
    ck_assert_uint_eq(t.result.n_warnings, 0);
    moe_hand_end(&t);
}
END_TEST

START_TEST(a_missing_matrix_rate_is_replaced_by_a_wider_one_and_told)
{
    moe_hand_t t;

    moe_hand_begin(&t, 1);
    t.machine.flops[MOE_FORMAT_nvfp4].value = 0.0;
    ck_assert_int_eq(moe_hand_matmul(&t, MOE_FORMAT_nvfp4, 1e12, 8), MOE_OK);
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(t.result.parts.compute, 1e18 / ldexp(1.0, 50),
                            1e-6);
    ck_assert_uint_eq(t.result.n_warnings, 1);
    ck_assert_str_eq(t.result.warning[0],
                     "machine test has no matrix rate for nvfp4: its bytes are "
                     "stored and moved as nvfp4, decoded in the kernel at no "
                     "cost, and multiplied at the rate of fp8_1x128");
    moe_hand_end(&t);
}
END_TEST

START_TEST(no_narrower_rate_stands_for_a_wide_format)
{
    moe_hand_t t;

    moe_hand_begin(&t, 1);
    ck_assert_int_eq(moe_hand_matmul(&t, MOE_FORMAT_fp32, 1e12, 8),
                     MOE_ERR_RANGE);
    moe_hand_end(&t);
}
END_TEST

START_TEST(a_group_is_carried_by_the_smallest_tier_that_holds_it)
{
    int64_t rows[RANKS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    moe_hand_t t;

    moe_hand_begin(&t, 16);
    moe_hand_gather(&t, rows, 1 << 20, 1, 2);
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(t.result.total.us,
                            COLLECTIVE + 15 * OUTER_STEP + OUTER(15 << 20),
                            1e-6);
    moe_hand_end(&t);
    moe_hand_begin(&t, 8);
    moe_hand_gather(&t, rows, 1 << 20, 1, 2);
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(t.result.total.us,
                            COLLECTIVE + 7 * STEP + PORT(7 << 20), 1e-6);
    moe_hand_end(&t);
}
END_TEST

START_TEST(a_part_of_a_full_mesh_has_only_its_own_links)
{
    const int64_t rows[3] = {1, 1, 1};
    moe_hand_t t;

    moe_hand_begin(&t, 3);
    strcpy(t.machine.tier[0].topology, "full_mesh");
    moe_hand_gather(&t, rows, 1 << 20, 1, 2);
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(t.result.parts.bandwidth, PORT(2 << 20) * 7.0 / 2.0,
                            1e-6);
    moe_hand_end(&t);
}
END_TEST

START_TEST(a_machine_too_small_for_a_group_is_refused)
{
    int ranks[2] = {0, 5000};
    int64_t rows[2] = {1, 1};
    moe_trace_record_t r = {.op = MOE_OP_allgatherv,
                            .transfer = {.n = 2,
                                         .me = 0,
                                         .ranks = ranks,
                                         .send_rows = rows,
                                         .recv_rows = rows,
                                         .row_bytes = 8,
                                         .root = -1}};
    moe_hand_t t;

    moe_hand_begin(&t, 1);
    ck_assert_int_eq(moe_price_record(t.price, &r), MOE_ERR_RANGE);
    moe_hand_end(&t);
}
END_TEST

/* Errors of one constant add linearly, those of two as squares. */
START_TEST(intervals_add_as_documented)
{
    moe_hand_t t;

    moe_hand_begin(&t, 1);
    for (int i = 0; i < 4; i++) {
        moe_hand_local(&t, 0, 1 << 30, 1 + i, 2 + i);
    }
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(t.result.total.high_us - t.result.total.us,
                            sqrt(pow(4 * LAUNCH * 0.5, 2) +
                                 pow(4 * MEMORY(1 << 30) * 0.125, 2) +
                                 pow(4 * MEMORY(1 << 30) * 0.25, 2)),
                            1e-6);
    ck_assert_double_eq_tol(t.result.total.us - t.result.total.low_us,
                            sqrt(pow(4 * LAUNCH * 0.5 / 1.5, 2) +
                                 pow(4 * MEMORY(1 << 30) * 0.125 / 1.125, 2) +
                                 pow(4 * MEMORY(1 << 30) * 0.25 / 1.25, 2)),
                            1e-6);
    ck_assert_uint_eq(t.result.n_constants, 3);
    ck_assert_str_eq(t.result.constant[0].name, "hbm_bytes_per_s");
    ck_assert_str_eq(t.result.constant[1].name, "memory_efficiency");
    ck_assert_str_eq(t.result.constant[2].name, "launch_s");
    moe_hand_end(&t);
}
END_TEST

/* Start, step and port of one fit err together: 1/2, 1/2 and 1/4 of them. */
START_TEST(constants_of_one_fit_add_linearly)
{
    const int64_t rows[2] = {1 << 20, 1 << 20};
    double port = PORT(INT64_C(1) << 30);
    moe_hand_t t;

    moe_hand_begin(&t, 2);
    t.machine.collective_s.kind = MOE_PROVENANCE_fitted;
    t.machine.tier[0].latency_s.kind = MOE_PROVENANCE_fitted;
    t.machine.tier[0].bw_bytes_per_s.kind = MOE_PROVENANCE_fitted;
    moe_hand_gather(&t, rows, 1024, 1, 2);
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(t.result.total.high_us - t.result.total.us,
                            (COLLECTIVE + STEP) * 0.5 + port * 0.25, 1e-6);
    ck_assert_double_eq_tol(t.result.total.us - t.result.total.low_us,
                            (COLLECTIVE + STEP) / 3.0 + port / 5.0, 1e-6);
    moe_hand_end(&t);
}
END_TEST

/* A pair is one doubling beyond a source that measured single ranks. */
START_TEST(beyond_the_groups_of_its_source_a_constant_is_less_certain)
{
    const int64_t rows[2] = {1 << 20, 1 << 20};
    double port = PORT(INT64_C(1) << 30);
    moe_time_t within = {0};
    moe_hand_t t;

    for (int beyond = 0; beyond < 2; beyond++) {
        moe_hand_begin(&t, 2);
        t.machine.collective_s.kind = MOE_PROVENANCE_fitted;
        t.machine.tier[0].latency_s.kind = MOE_PROVENANCE_fitted;
        t.machine.tier[0].bw_bytes_per_s.kind = MOE_PROVENANCE_fitted;
        t.machine.tier[0].latency_s.ranks = beyond != 0 ? 1 : 2;
        moe_hand_gather(&t, rows, 1024, 1, 2);
        moe_hand_finish(&t);
        ck_assert_double_eq_tol(
            t.result.total.high_us - t.result.total.us,
            (COLLECTIVE + (1 + beyond) * STEP) * 0.5 + port * 0.25, 1e-6);
        ck_assert_uint_eq(t.result.n_warnings, (size_t)beyond);
        if (beyond != 0) {
            ck_assert_double_eq_tol(t.result.total.us, within.us, 1e-9);
            ck_assert_double_lt(t.result.total.low_us, within.low_us);
            ck_assert_ptr_nonnull(strstr(t.result.warning[0],
                                         "is known for groups of up to 1 rank "
                                         "and taken for one of 2"));
        }
        within = t.result.total;
        moe_hand_end(&t);
    }
}
END_TEST

START_TEST(a_machine_that_cannot_be_computed_with_is_refused)
{
    static const double bad[] = {0.0, -1.0, (double)NAN, HUGE_VAL};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        moe_price_t *price = NULL;
        moe_machine_t m = moe_test_machine();

        m.tier[1].bw_bytes_per_s.value = bad[i];
        moe_error_clear();
        ck_assert_int_eq(moe_price_create(&m, 2, &price), MOE_ERR_RANGE);
        ck_assert_ptr_null(price);
        ck_assert_ptr_nonnull(
            strstr(moe_error_text(), "tiers.outer.bw_bytes_per_s"));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cost");
    TCase *tcase = tcase_create("cost");

    tcase_add_test(tcase, a_matmul_takes_the_larger_of_memory_and_arithmetic);
    tcase_add_test(tcase,
                   a_missing_matrix_rate_is_replaced_by_a_wider_one_and_told);
    tcase_add_test(tcase, no_narrower_rate_stands_for_a_wide_format);
    tcase_add_test(tcase,
                   a_group_is_carried_by_the_smallest_tier_that_holds_it);
    tcase_add_test(tcase, a_part_of_a_full_mesh_has_only_its_own_links);
    tcase_add_test(tcase, a_machine_too_small_for_a_group_is_refused);
    tcase_add_test(tcase, intervals_add_as_documented);
    tcase_add_test(tcase, constants_of_one_fit_add_linearly);
    tcase_add_test(tcase,
                   beyond_the_groups_of_its_source_a_constant_is_less_certain);
    tcase_add_test(tcase, a_machine_that_cannot_be_computed_with_is_refused);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
