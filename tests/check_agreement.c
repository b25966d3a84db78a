/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/mpi_support.h"

#include <stdlib.h>
#include <string.h>

static int ranks[64];
static int64_t send_rows[64];
static int64_t recv_rows[64];

/* Rank s sends 10 s + d rows to rank d. */
static moe_intent_t intent_of(int64_t call)
{
    moe_intent_t intent = {.call = call,
                           .op = MOE_OP_alltoallv,
                           .stage = MOE_STAGE_finalize,
                           .group = MOE_GROUP_ep,
                           .dtype = MOE_DTYPE_bf16,
                           .row_bytes = 16,
                           .root = -1,
                           .n = test_ranks,
                           .me = test_rank,
                           .ranks = ranks,
                           .send_rows = send_rows,
                           .recv_rows = recv_rows};

    for (int i = 0; i < test_ranks; i++) {
        ranks[i] = i;
        send_rows[i] = 10 * test_rank + i;
        recv_rows[i] = 10 * i + test_rank;
    }
    return intent;
}

static moe_agreement_t *new_agreement(bool enabled)
{
    moe_agreement_t *a = NULL;

    moe_error_clear();
    ck_assert_int_eq(moe_agreement_create(test_world, enabled, &a), MOE_OK);
    moe_agreement_method(a, "probe");
    return a;
}

static void text_has(const char *part)
{
    ck_assert_msg(strstr(moe_error_text(), part) != NULL, "\"%s\" not in: %s",
                  part, moe_error_text());
}

START_TEST(the_same_call_is_agreed_upon)
{
    moe_agreement_t *a = new_agreement(true);
    double seconds = 0.0;

    for (int64_t call = 1; call < 20; call++) {
        moe_intent_t intent = intent_of(call);

        ck_assert_int_eq(moe_agreement_enter(a, &intent, &seconds), MOE_OK);
    }
    ck_assert(seconds > 0.0);
    ck_assert_int_eq(moe_agreement_finish(a, MOE_OK, "the end"), MOE_OK);
    ck_assert(!moe_agreement_speaks(a));
    moe_agreement_free(a);
}
END_TEST

START_TEST(counts_that_do_not_fit_name_both_ranks)
{
    moe_agreement_t *a = new_agreement(true);
    moe_intent_t intent = intent_of(1);

    if (test_rank == 1) {
        send_rows[0] += 1;
    }
    ck_assert_int_eq(moe_agreement_enter(a, &intent, NULL), MOE_ERR_DISAGREE);
    text_has("rank 1 sends 11 rows to rank 0, which expects 10");
    text_has("alltoallv");
    text_has("finalize");
    ck_assert_int_eq(moe_agreement_speaks(a), test_rank == 0);
    ck_assert(moe_agreement_complete(a));
    moe_agreement_free(a);
}
END_TEST

START_TEST(a_rank_ahead_of_the_others_is_named)
{
    moe_agreement_t *a = new_agreement(true);
    bool odd = test_rank == test_ranks - 1 && test_ranks > 2;
    moe_intent_t intent = intent_of(odd ? 2 : 1);

    if (test_ranks == 2) {
        moe_agreement_free(a);
        return;
    }
    ck_assert_int_eq(moe_agreement_enter(a, &intent, NULL), MOE_ERR_DISAGREE);
    text_has(test_ranks == 3 ? "rank 2 left out alltoallv (call 1"
                             : "rank 3 left out alltoallv (call 1");
    text_has("it is at alltoallv (call 2");
    text_has(test_ranks == 3 ? "ranks 0,1 entered" : "ranks 0,1,2 entered");
    moe_agreement_free(a);
}
END_TEST

START_TEST(another_operation_is_a_disagreement)
{
    moe_agreement_t *a = new_agreement(true);
    moe_intent_t intent = intent_of(1);

    if (test_rank == 1) {
        intent.op = MOE_OP_allreduce;
    }
    ck_assert_int_eq(moe_agreement_enter(a, &intent, NULL), MOE_ERR_DISAGREE);
    text_has("allreduce");
    text_has("alltoallv");
    moe_agreement_free(a);
}
END_TEST

START_TEST(a_rank_that_is_done_too_early_is_named)
{
    moe_agreement_t *a = new_agreement(true);
    moe_intent_t intent = intent_of(1);
    moe_status_t status;

    if (test_rank == 1) {
        status = moe_agreement_finish(a, MOE_OK, "the end");
    } else {
        status = moe_agreement_enter(a, &intent, NULL);
    }
    ck_assert_int_eq(status, MOE_ERR_DISAGREE);
    text_has("the end");
    text_has("alltoallv");
    /* broken for good, and without anybody to wait for */
    ck_assert_int_eq(moe_agreement_enter(a, &intent, NULL), MOE_ERR_DISAGREE);
    ck_assert_int_eq(moe_agreement_finish(a, MOE_OK, "x"), MOE_ERR_DISAGREE);
    moe_agreement_free(a);
}
END_TEST

START_TEST(a_failure_tells_its_message_to_all)
{
    moe_agreement_t *a = new_agreement(true);
    moe_intent_t intent = intent_of(1);
    moe_status_t status;

    if (test_rank == 1) {
        status = moe_fail(MOE_ERR_NOMEM, "no room for %d rows", 7);
        status = moe_agreement_finish(a, status, "");
        ck_assert_int_eq(status, MOE_ERR_NOMEM);
    } else {
        status = moe_agreement_enter(a, &intent, NULL);
        ck_assert_int_eq(status, MOE_ERR_PEER);
        text_has("rank 1: no room for 7 rows");
        ck_assert_int_eq(moe_agreement_finish(a, status, ""), MOE_ERR_PEER);
    }
    ck_assert_int_eq(moe_agreement_speaks(a), test_rank == 1);
    ck_assert(moe_agreement_complete(a));
    moe_agreement_free(a);
}
END_TEST

/* A rank that goes by a call and then trips over what it did not get. */
START_TEST(a_failure_after_a_call_left_out_is_a_disagreement)
{
    moe_agreement_t *a = new_agreement(true);
    moe_intent_t intent = intent_of(1);
    moe_status_t status;

    if (test_rank == 1) {
        moe_agreement_passed(a, &intent);
        status = moe_fail(MOE_ERR_CHECK, "rows of zeros");
        status = moe_agreement_finish(a, status, "");
    } else {
        status = moe_agreement_enter(a, &intent, NULL);
    }
    ck_assert_int_eq(status, MOE_ERR_DISAGREE);
    text_has("rank 1 left out ");
    text_has("rows of 16 bytes; rank 0 sends "); /* counts of each side */
    text_has("it is at a failure after call 1 of probe (alltoallv, stage "
             "finalize; rank 1 sends ");
    moe_agreement_free(a);
}
END_TEST

START_TEST(switched_off_only_ends_are_agreed_upon)
{
    moe_agreement_t *a = new_agreement(false);
    moe_intent_t intent = intent_of(test_rank + 1);
    moe_status_t status = MOE_OK;

    ck_assert_int_eq(moe_agreement_enter(a, &intent, NULL), MOE_OK);
    ck_assert(!(moe_agreement_seconds(a) > 0.0));
    moe_agreement_method(a, "next");
    if (test_rank == 1) {
        status = moe_fail(MOE_ERR_IO, "a full disk");
    }
    status = moe_agreement_finish(a, status, "the end");
    ck_assert_int_eq(status, test_rank == 1 ? MOE_ERR_IO : MOE_ERR_PEER);
    moe_agreement_free(a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agreement");
    TCase *tc = tcase_create("calls");

    tcase_add_test(tc, the_same_call_is_agreed_upon);
    tcase_add_test(tc, counts_that_do_not_fit_name_both_ranks);
    tcase_add_test(tc, a_rank_ahead_of_the_others_is_named);
    tcase_add_test(tc, another_operation_is_a_disagreement);
    tcase_add_test(tc, a_rank_that_is_done_too_early_is_named);
    tcase_add_test(tc, a_failure_tells_its_message_to_all);
    tcase_add_test(tc, a_failure_after_a_call_left_out_is_a_disagreement);
    tcase_add_test(tc, switched_off_only_ends_are_agreed_upon);
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
