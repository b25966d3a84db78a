/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor makes of the states of ranks; no rank is started. */
#include "config.h"

#include "sim/launch/launch.h"
#include "sim/launch/supervise_parts.h"
#include "tests/support.h"
#include "tests/watched.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(progress_never_shows_a_count_without_its_noun)
{
    moe_show_t show = {.on = true};
    char line[256];

    watched_begin();
    moe_show_line(&show, watched, 1e5, line, sizeof(line));
    ck_assert_str_eq(line, "stage of rank 0");
    moe_runstate_progress(watched_rank[0], 4, 100, "experts");
    moe_show_line(&show, watched, 1e5, line, sizeof(line));
    ck_assert_str_eq(line, "  4 % of the experts: stage of rank 1");
    moe_runstate_progress(watched_rank[1], 40, 50, "oracle's tokens");
    moe_show_line(&show, watched, 1e5, line, sizeof(line));
    ck_assert_str_eq(line, "  4 % of the experts: stage of rank 0");
    watched_end();
}
END_TEST

START_TEST(time_left_is_told_once_it_means_something)
{
    moe_show_t show = {.on = true};
    char line[256];

    watched_begin();
    moe_runstate_progress(watched_rank[0], 0, 1000, "experts");
    moe_show_line(&show, watched, 1e5, line, sizeof(line));
    ck_assert_ptr_null(strstr(line, "left"));
    moe_runstate_progress(watched_rank[0], 500, 1000, "experts");
    moe_show_line(&show, watched, 1e5 + 0.5, line, sizeof(line));
    ck_assert_ptr_null(strstr(line, "left"));
    moe_runstate_progress(watched_rank[0], 10, 1000, "experts");
    moe_show_line(&show, watched, 1e5 + 10.0, line, sizeof(line));
    ck_assert_ptr_null(strstr(line, "left"));
    moe_runstate_progress(watched_rank[0], 250, 1000, "experts");
    moe_show_line(&show, watched, 1e5 + 10.0, line, sizeof(line));
    ck_assert_ptr_nonnull(strstr(line, "25 % of the experts, 30 s left of this "
                                       "step: "));
    moe_runstate_progress(watched_rank[0], 30, 40, "rows");
    moe_show_line(&show, watched, 1e5 + 20.0, line, sizeof(line));
    ck_assert_str_eq(line, " 75 % of the rows: stage of rank 1");
    watched_end();
}
END_TEST

START_TEST(it_is_said_where_all_ranks_are)
{
    static char many[600];
    moe_runstate_t *state;
    char path[80];
    char text[60];

    watched_begin();
    moe_show_where(watched, many, sizeof(many));
    ck_assert_str_eq(many,
                     "rank 0 in stage of rank 0, rank 1 in stage of rank 1");
    watched_end();
    (void)snprintf(path, sizeof(path), "%s/state", watched_folder);
    ck_assert_int_eq(moe_runstate_create(path, 6, &state), MOE_OK);
    moe_show_where(state, text, sizeof(text));
    ck_assert_str_eq(text, "");
    for (int r = 0; r < 6; r++) {
        moe_runstate_t *own;

        ck_assert_int_eq(moe_runstate_open(path, r, &own), MOE_OK);
        if (r != 3) {
            moe_runstate_stage(own, "stage experts");
        }
        moe_runstate_close(own);
    }
    moe_show_where(state, text, sizeof(text));
    ck_assert_str_eq(text,
                     "ranks 0-2,4-5 in stage experts, rank 3 in its start");
    moe_show_where(state, text, 20);
    ck_assert_str_eq(text, "ranks 0-2,4-5 in...");
    moe_runstate_close(state);
    (void)unlink(path);
}
END_TEST

/* Two ranks that wait for 1 GB in one place; they are this process. */
static void begin_transfer(moe_watch_t *watch)
{
    watched_begin();
    for (int r = 0; r < 2; r++) {
        moe_runstate_wait(watched_rank[r], 7, 1000000000, "allreduce");
    }
    moe_watch_init(watch, watched);
    ck_assert(!moe_watch_look(watch, 1e5));
}

START_TEST(ranks_that_wait_are_ended_in_time_however_much_they_move)
{
    char text[512];
    moe_watch_t watch;

    begin_transfer(&watch);
    ck_assert(!moe_watch_look(&watch, 1e5 + 5.0));
    ck_assert(moe_watch_look(&watch, 1e5 + 8.5));
    ck_assert_int_eq(moe_watch_verdict(&watch, 0, text, sizeof(text)), 1);
    ck_assert_ptr_nonnull(strstr(text, "rank 1 waits in allreduce in stage"));
    watched_end();
}
END_TEST

/* As mpirun asks the others when one has failed, however late they are. */
START_TEST(a_rank_that_closed_its_state_may_still_be_asked_to_end)
{
    moe_runstate_t *state;
    moe_rank_slot_t slot;
    char path[80];
    int status;
    pid_t pid;

    (void)snprintf(path, sizeof(path), "%s/state", watched_folder);
    ck_assert_int_eq(moe_runstate_create(path, 1, &state), MOE_OK);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        moe_runstate_t *own = NULL;
        const bool begun = setenv(MOE_RUNSTATE_ENV, path, 1) == 0 &&
                           setenv("OMPI_COMM_WORLD_RANK", "0", 1) == 0 &&
                           moe_launch_begin(&own) == MOE_OK;

        if (begun && _i != 0) {
            moe_launch_close(own);
        }
        (void)raise(SIGTERM);
        _exit(1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    moe_runstate_read(state, 0, &slot);
    moe_runstate_close(state);
    (void)unlink(path);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 128 + SIGTERM);
    ck_assert((slot.ended != 0) == (_i == 0));
}
END_TEST

START_TEST(ranks_in_a_call_that_they_agreed_on_may_be_slow)
{
    moe_watch_t watch;

    begin_transfer(&watch);
    watch.agreed = true;
    ck_assert(!moe_watch_look(&watch, 1e5 + 390.0));
    ck_assert(moe_watch_look(&watch, 1e5 + 410.0));
    moe_runstate_go(watched_rank[1]);
    moe_runstate_wait(watched_rank[1], 8, 1000, "allreduce");
    ck_assert(!moe_watch_look(&watch, 2e5));
    ck_assert(!moe_watch_look(&watch, 2e5 + 5.0));
    ck_assert(moe_watch_look(&watch, 2e5 + 8.5));
    watched_end();
}
END_TEST

START_TEST(ranks_that_go_on_are_not_ended)
{
    moe_watch_t watch;

    begin_transfer(&watch);
    for (int i = 1; i < 4; i++) {
        moe_runstate_go(watched_rank[1]);
        moe_runstate_wait(watched_rank[1], 7, 1000000000, "allreduce");
        ck_assert(!moe_watch_look(&watch, 1e5 + 5.0 * i));
    }
    moe_runstate_go(watched_rank[0]);
    ck_assert(!moe_watch_look(&watch, 1e5 + 1000.0));
    watched_end();
}
END_TEST

START_TEST(ranks_that_data_reach_are_not_ended)
{
    enum {
        BYTES = 16 << 20
    };
    moe_watch_t watch;

    begin_transfer(&watch);
    for (int i = 1; i < 4; i++) {
        char *arrives = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert_ptr_ne(arrives, MAP_FAILED);
        memset(arrives, 1, BYTES);
        ck_assert(!moe_watch_look(&watch, 1e5 + 5.0 * i));
    }
    ck_assert(moe_watch_look(&watch, 1e5 + 24.0));
    watched_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tc = tcase_create("states");

    tcase_add_checked_fixture(tc, watched_set_up, watched_tear_down);
    tcase_add_test(tc, progress_never_shows_a_count_without_its_noun);
    tcase_add_test(tc, time_left_is_told_once_it_means_something);
    tcase_add_test(tc, it_is_said_where_all_ranks_are);
    tcase_add_test(tc,
                   ranks_that_wait_are_ended_in_time_however_much_they_move);
    tcase_add_loop_test(
        tc, a_rank_that_closed_its_state_may_still_be_asked_to_end, 0, 2);
    tcase_add_test(tc, ranks_in_a_call_that_they_agreed_on_may_be_slow);
    tcase_add_test(tc, ranks_that_go_on_are_not_ended);
    tcase_add_test(tc, ranks_that_data_reach_are_not_ended);
    suite_add_tcase(suite, tc);
    return moe_suite_main(suite);
}
