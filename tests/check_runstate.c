/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/runstate.h"
#include "tests/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char path[64];
static moe_runstate_t *watcher;
static moe_runstate_t *rank;

static void set_up(void)
{
    moe_error_clear();
    (void)snprintf(path, sizeof(path), "/tmp/check-runstate-%ld",
                   (long)getpid());
    ck_assert_int_eq(moe_runstate_create(path, 3, &watcher), MOE_OK);
    ck_assert_int_eq(moe_runstate_open(path, 1, &rank), MOE_OK);
}

static void tear_down(void)
{
    moe_runstate_close(rank);
    moe_runstate_close(watcher);
    (void)unlink(path);
}

static moe_rank_slot_t slot_of(int number)
{
    moe_rank_slot_t slot;

    moe_runstate_read(watcher, number, &slot);
    return slot;
}

START_TEST(the_watcher_sees_what_a_rank_writes)
{
    ck_assert_int_eq(moe_runstate_ranks(watcher), 3);
    ck_assert_int_eq(slot_of(1).pid, (int)getpid());
    ck_assert_int_eq(slot_of(1).state, MOE_RANK_starting);
    ck_assert_int_eq(slot_of(0).state, MOE_RANK_absent);
    moe_runstate_stage(rank, "stage %s", "experts");
    moe_runstate_progress(rank, 3, 7, "experts");
    ck_assert_str_eq(slot_of(1).stage, "stage experts");
    ck_assert_str_eq(moe_runstate_where(rank), "stage experts");
    ck_assert_int_eq(slot_of(1).state, MOE_RANK_running);
    ck_assert_int_eq(slot_of(1).n_done, 3);
    ck_assert_int_eq(slot_of(1).n_total, 7);
    moe_runstate_wait(rank, 5, 1000, "allreduce");
    ck_assert_int_eq(slot_of(1).state, MOE_RANK_waiting);
    ck_assert_int_eq(slot_of(1).place, 5);
    ck_assert_int_eq(slot_of(1).wait_bytes, 1000);
    ck_assert_str_eq(slot_of(1).wait, "allreduce");
    moe_runstate_go(rank);
    ck_assert_int_eq(slot_of(1).state, MOE_RANK_running);
}
END_TEST

START_TEST(every_change_is_counted)
{
    uint64_t before = slot_of(1).changes;

    moe_runstate_go(rank);
    ck_assert_uint_gt(slot_of(1).changes, before);
}
END_TEST

START_TEST(the_first_failure_is_kept_and_final)
{
    moe_runstate_fail(rank, MOE_ERR_NOMEM, "first");
    moe_runstate_fail(rank, MOE_ERR_IO, "second");
    moe_runstate_go(rank);
    moe_runstate_done(rank, 0);
    ck_assert_int_eq(slot_of(1).state, MOE_RANK_failed);
    ck_assert_int_eq(slot_of(1).status, MOE_ERR_NOMEM);
    ck_assert_str_eq(slot_of(1).error, "first");
}
END_TEST

START_TEST(a_rank_that_is_done_waits_no_more)
{
    moe_runstate_done(rank, 0);
    moe_runstate_wait(rank, 1, 0, "the end of MPI");
    ck_assert_int_eq(slot_of(1).state, MOE_RANK_done);
}
END_TEST

START_TEST(long_texts_are_cut)
{
    char text[4096];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    moe_runstate_stage(rank, "%s", text);
    moe_runstate_fail(rank, MOE_ERR_IO, text);
    ck_assert_uint_eq(strlen(slot_of(1).stage), MOE_RUNSTATE_TEXT - 1);
    ck_assert_uint_eq(strlen(slot_of(1).error), MOE_RUNSTATE_ERROR - 1);
}
END_TEST

START_TEST(no_room_is_an_error_and_leaves_no_file)
{
    const struct rlimit small = {100, 100};
    moe_runstate_t *state = NULL;
    char other[80];

    (void)snprintf(other, sizeof(other), "%s-full", path);
    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(moe_runstate_create(other, 3, &state), MOE_ERR_IO);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), other));
    ck_assert_int_ne(access(other, F_OK), 0);
}
END_TEST

START_TEST(a_rank_without_a_slot_is_refused)
{
    moe_runstate_t *state = NULL;

    ck_assert_int_eq(moe_runstate_open(path, 3, &state), MOE_ERR_INPUT);
    ck_assert_int_eq(moe_runstate_open("/nowhere/x", 0, &state), MOE_ERR_IO);
    ck_assert_ptr_null(state);
}
END_TEST

START_TEST(nobody_watching_is_no_error)
{
    moe_runstate_stage(NULL, "x");
    moe_runstate_progress(NULL, 1, 2, "x");
    moe_runstate_wait(NULL, 1, 0, "x");
    moe_runstate_go(NULL);
    moe_runstate_fail(NULL, MOE_ERR_IO, "x");
    moe_runstate_done(NULL, 0);
    moe_runstate_ended(NULL, 15, true);
    moe_runstate_close(NULL);
    ck_assert_str_eq(moe_runstate_where(NULL), "");
}
END_TEST

START_TEST(every_state_has_a_text)
{
    ck_assert_uint_gt(strlen(moe_rank_state_text((moe_rank_state_t)_i)), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("runstate");
    TCase *tc = tcase_create("slots");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, the_watcher_sees_what_a_rank_writes);
    tcase_add_test(tc, every_change_is_counted);
    tcase_add_test(tc, the_first_failure_is_kept_and_final);
    tcase_add_test(tc, a_rank_that_is_done_waits_no_more);
    tcase_add_test(tc, long_texts_are_cut);
    tcase_add_test(tc, a_rank_without_a_slot_is_refused);
    tcase_add_test(tc, nobody_watching_is_no_error);
    tcase_add_test(tc, no_room_is_an_error_and_leaves_no_file);
    suite_add_tcase(suite, tc);
    tc = tcase_create("texts");
    tcase_add_loop_test(tc, every_state_has_a_text, 0, MOE_RANK_COUNT);
    suite_add_tcase(suite, tc);
    return moe_suite_main(suite);
}
