/* SPDX-License-Identifier: Apache-2.0 */
/* Prices of traces made by hand, against closed forms. */
#include "tests/support.h"

#include "tests/hand_trace.h"
#include "tests/layers.h"

#include <string.h>

START_TEST(two_ranks_are_priced_as_by_hand)
{
    const int64_t rows[2] = {100, 900};
    moe_hand_t t;

    moe_hand_begin(&t, 2);
    moe_hand_local(&t, 0, 1 << 30, 0, 1);
    moe_hand_local(&t, 1, 1 << 28, 0, 1);
    moe_hand_gather(&t, rows, 4096, 1, 2);
    moe_hand_local(&t, 0, 1 << 20, 2, 3);
    moe_hand_local(&t, 1, 1 << 29, 2, 3);
    moe_hand_finish(&t);
    /* rank 0 comes last, rank 1 ends last; the busier one sends 900 rows */
    ck_assert_double_eq_tol(t.result.total.us,
                            LAUNCH + MEMORY(1 << 30) + COLLECTIVE + STEP +
                                PORT(900 * 4096) + LAUNCH + MEMORY(1 << 29),
                            1e-6);
    ck_assert_double_eq_tol(t.result.parts.launch, 2 * LAUNCH + COLLECTIVE,
                            1e-6);
    ck_assert_double_eq_tol(t.result.parts.latency, STEP, 1e-6);
    ck_assert_double_eq_tol(t.result.parts.bandwidth, PORT(900 * 4096), 1e-6);
    ck_assert_double_eq_tol(t.result.parts.memory,
                            MEMORY((1 << 30) + (1 << 29)), 1e-6);
    ck_assert_double_eq_tol(t.result.stage[MOE_STAGE_prepare].us,
                            COLLECTIVE + STEP + PORT(900 * 4096), 1e-6);
    ck_assert_double_eq_tol(
        t.result.rank[0].us,
        t.result.rank[1].us - MEMORY(1 << 29) + MEMORY(1 << 20), 1e-6);
    moe_hand_end(&t);
}
END_TEST

START_TEST(independent_work_overlaps_and_dependent_work_does_not)
{
    const int64_t rows[2] = {1 << 20, 1 << 20};
    double both[2];

    for (int dependent = 0; dependent < 2; dependent++) {
        moe_hand_t t;

        moe_hand_begin(&t, 2);
        moe_hand_gather(&t, rows, 1024, 1, 2);
        moe_hand_local(&t, 0, 1 << 30, dependent ? 2 : 1, 3);
        moe_hand_finish(&t);
        both[dependent] = t.result.total.us;
        moe_hand_end(&t);
    }
    ck_assert_double_eq_tol(both[0], COLLECTIVE + STEP + PORT(INT64_C(1) << 30),
                            1e-6);
    ck_assert_double_eq_tol(both[1],
                            both[0] + LAUNCH + MEMORY(INT64_C(1) << 30), 1e-6);
}
END_TEST

static double price_of_three(int bracket, int64_t row_bytes, int times)
{
    const int64_t rows[4] = {10, 0, 300, 20};
    moe_hand_t t;
    double us;

    moe_hand_begin(&t, 4);
    t.bracket = bracket;
    for (int i = 0; i < times; i++) {
        moe_hand_gather(&t, rows, row_bytes, 1 + i, 11 + i);
    }
    moe_hand_finish(&t);
    us = t.result.total.us;
    moe_hand_end(&t);
    return us;
}

START_TEST(a_batch_starts_once_and_adds_its_bytes)
{
    double one = price_of_three(0, 3 * 512, 1);

    ck_assert_double_eq_tol(price_of_three(7, 512, 3), one, 1e-9);
    ck_assert_double_eq_tol(price_of_three(0, 512, 3),
                            one + 2 * (COLLECTIVE + 3 * STEP), 1e-6);
}
END_TEST

/* Rank 0 sends some rows of 8 bytes to 1 and to 2, or gets them from both. */
static void exchange(moe_hand_t *t, int64_t rows, bool to_all)
{
    for (int rank = 0; rank < 3; rank++) {
        moe_trace_record_t r = moe_hand_record(t, MOE_OP_alltoallv, rank, 1, 2);
        const int64_t none[3] = {0, 0, 0};
        const int64_t one[3] = {rows, 0, 0};
        const int64_t both[3] = {0, rows, rows};
        const int64_t *away = rank == 0 ? both : none;
        const int64_t *home = rank == 0 ? none : one;

        r.call = ++t->call[rank];
        r.transfer = (moe_transfer_t){3,
                                      rank,
                                      moe_hand_ranks,
                                      to_all ? away : home,
                                      to_all ? home : away,
                                      8,
                                      1,
                                      -1,
                                      false,
                                      0,
                                      0};
        ck_assert_int_eq(moe_price_record(t->price, &r), MOE_OK);
    }
}

START_TEST(a_batch_is_as_slow_as_its_busiest_member_either_way)
{
    for (int to_all = 0; to_all < 2; to_all++) {
        moe_hand_t t;

        moe_hand_begin(&t, 3);
        t.bracket = 1;
        exchange(&t, 1 << 20, to_all != 0);
        exchange(&t, 1 << 21, to_all != 0);
        moe_hand_finish(&t);
        ck_assert_double_eq_tol(t.result.total.us,
                                COLLECTIVE + STEP + PORT(6 << 23), 1e-6);
        moe_hand_end(&t);
    }
}
END_TEST

START_TEST(a_fused_bracket_is_one_kernel)
{
    const int64_t rows[2] = {64, 64};
    moe_hand_t t;

    moe_hand_begin(&t, 2);
    t.bracket = 1;
    t.fused = true;
    moe_hand_local(&t, 0, 1 << 24, 1, 2);
    moe_hand_local(&t, 1, 1 << 24, 1, 2);
    moe_hand_gather(&t, rows, 4096, 2, 3);
    moe_hand_local(&t, 0, 1 << 24, 3, 4);
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(
        t.result.total.us,
        MEMORY(1 << 25) + COLLECTIVE + STEP + PORT(64 * 4096), 1e-6);
    ck_assert_uint_eq(t.result.n_events, 2);
    moe_hand_end(&t);
    moe_hand_begin(&t, 1);
    t.bracket = 1;
    t.fused = true;
    moe_hand_local(&t, 0, 1 << 24, 1, 2);
    moe_hand_local(&t, 0, 1 << 24, 2, 3);
    moe_hand_finish(&t);
    ck_assert_double_eq_tol(t.result.total.us, MEMORY(1 << 25) + LAUNCH, 1e-6);
    moe_hand_end(&t);
}
END_TEST

START_TEST(an_operation_without_rows_costs_nothing)
{
    const int64_t rows[3] = {0, 0, 0};
    moe_hand_t t;

    moe_hand_begin(&t, 3);
    moe_hand_local(&t, 1, 0, 1, 2);
    moe_hand_gather(&t, rows, 4096, 2, 3);
    moe_hand_finish(&t);
    ck_assert_double_eq(t.result.total.us, 0.0);
    ck_assert_double_eq(t.result.total.high_us, 0.0);
    moe_hand_end(&t);
}
END_TEST

/* Price of a plan that learns a number from others, then does some work. */
static double price_of_agreement(moe_agree_kind_t kind, int64_t numbers)
{
    const int64_t rows[4] = {numbers, numbers, numbers, numbers};
    moe_hand_t t;
    double us;

    moe_hand_begin(&t, 4);
    for (int rank = 0; rank < 4; rank++) {
        moe_trace_record_t r = moe_hand_record(&t, MOE_OP_agree, rank, 0, 0);

        r.agree_kind = kind;
        r.call = numbers > 0;
        r.transfer = (moe_transfer_t){4, rank, moe_hand_ranks, rows, rows, 4,
                                      4, -1,   false,          0,    0};
        ck_assert_int_eq(moe_price_record(t.price, &r), MOE_OK);
        moe_hand_local(&t, rank, 1 << 20, 0, 1);
    }
    moe_hand_finish(&t);
    us = t.result.total.us;
    moe_hand_end(&t);
    return us;
}

START_TEST(what_a_plan_learns_by_a_collective_holds_all_that_follows)
{
    double work = LAUNCH + MEMORY(1 << 20);

    ck_assert_double_eq_tol(price_of_agreement(MOE_AGREE_host, 0), work, 1e-6);
    ck_assert_double_eq_tol(price_of_agreement(MOE_AGREE_allgather, 2),
                            work + COLLECTIVE + 3 * STEP + PORT(24), 1e-6);
    ck_assert_double_eq_tol(price_of_agreement(MOE_AGREE_allreduce_max, 4),
                            work + COLLECTIVE + 6 * STEP + PORT(24), 1e-6);
    ck_assert_double_eq_tol(price_of_agreement(MOE_AGREE_alltoall, 2),
                            work + COLLECTIVE + STEP + PORT(24), 1e-6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("price");
    TCase *tcase = tcase_create("price");

    tcase_add_test(tcase, two_ranks_are_priced_as_by_hand);
    tcase_add_test(tcase,
                   independent_work_overlaps_and_dependent_work_does_not);
    tcase_add_test(tcase, a_batch_starts_once_and_adds_its_bytes);
    tcase_add_test(tcase, a_batch_is_as_slow_as_its_busiest_member_either_way);
    tcase_add_test(tcase, a_fused_bracket_is_one_kernel);
    tcase_add_test(tcase, an_operation_without_rows_costs_nothing);
    tcase_add_test(tcase,
                   what_a_plan_learns_by_a_collective_holds_all_that_follows);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
