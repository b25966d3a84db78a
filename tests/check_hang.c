/* SPDX-License-Identifier: Apache-2.0 */
/* Hangs that are no rank's call: of the start and the end of MPI, of ranks or
 * an mpirun that are stopped; and what mpirun says of an end. */
#include "config.h"

#include "sim/launch/supervise_parts.h"
#include "tests/support.h"
#include "tests/watched.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Two ranks that wait for 1 GB in one place. */
static void begin_transfer(moe_watch_t *watch)
{
    watched_begin();
    for (int r = 0; r < 2; r++) {
        moe_runstate_wait(watched_rank[r], 7, 1000000000, "allreduce");
    }
    moe_watch_init(watch, watched);
    ck_assert(!moe_watch_look(watch, 1e5));
}

/* Two ranks of which the second is a process of its own, stopped. */
static pid_t begin_stopped(moe_watch_t *watch)
{
    char path[80];
    int status;
    pid_t pid;

    (void)snprintf(path, sizeof(path), "%s/state", watched_folder);
    ck_assert_int_eq(moe_runstate_create(path, 2, &watched), MOE_OK);
    ck_assert_int_eq(moe_runstate_open(path, 0, &watched_rank[0]), MOE_OK);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        ck_assert_int_eq(moe_runstate_open(path, 1, &watched_rank[1]), MOE_OK);
        moe_runstate_stage(watched_rank[1], "stage experts");
        (void)raise(SIGSTOP);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    (void)unlink(path);
    moe_runstate_stage(watched_rank[0], "stage combine");
    moe_watch_init(watch, watched);
    watch->agreed = true;
    return pid;
}

static void end_stopped(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    moe_runstate_close(watched_rank[0]);
    moe_runstate_close(watched);
}

START_TEST(a_stopped_rank_is_waited_for_no_longer_than_others_wait)
{
    char text[512];
    moe_watch_t watch;
    const pid_t pid = begin_stopped(&watch);

    /* nobody waits for it */
    ck_assert(!moe_watch_look(&watch, 1e5));
    ck_assert(!moe_watch_look(&watch, 1e5 + 1000.0));
    moe_runstate_wait(watched_rank[0], 7, 1000000000, "allreduce");
    ck_assert(!moe_watch_look(&watch, 2e5));
    ck_assert(!moe_watch_look(&watch, 2e5 + 6.5));
    ck_assert(moe_watch_look(&watch, 2e5 + 7.5));
    ck_assert_int_eq(moe_watch_verdict(&watch, 0, text, sizeof(text)), 3);
    ck_assert_str_eq(text, "rank 1 is stopped by a signal, and the others "
                           "wait: rank 0 in stage combine, rank 1 in stage "
                           "experts");
    end_stopped(pid);
}
END_TEST

/* The stopped process is mpirun here: it has no slot. */
START_TEST(a_stopped_mpirun_is_told_where_ranks_need_it)
{
    const int64_t places[] = {MOE_PLACE_MPI_STARTS, MOE_PLACE_MPI_ENDS};
    char text[512];
    moe_watch_t watch;
    const pid_t pid = begin_stopped(&watch);

    moe_runstate_close(watched_rank[0]);
    moe_runstate_close(watched);
    begin_transfer(&watch);
    watch.agreed = true;
    watch.launcher = pid;
    ck_assert(!moe_watch_look(&watch, 1e5 + 390.0));
    for (int r = 0; r < 2; r++) {
        moe_runstate_stage(watched_rank[r], "a stage");
        moe_runstate_wait(watched_rank[r], places[_i], 0, "MPI");
    }
    ck_assert(!moe_watch_look(&watch, 2e5));
    ck_assert(!moe_watch_look(&watch, 2e5 + 6.5));
    ck_assert(moe_watch_look(&watch, 2e5 + 7.5));
    ck_assert_int_eq(moe_watch_verdict(&watch, 0, text, sizeof(text)), 3);
    ck_assert_str_eq(text, "mpirun is stopped by a signal, and the others "
                           "wait: ranks 0-1 in a stage");
    moe_runstate_close(watched_rank[1]);
    end_stopped(pid);
}
END_TEST

START_TEST(a_start_of_mpi_in_which_nothing_changes_is_ended)
{
    char path[80];
    char text[512];
    moe_watch_t watch;

    (void)snprintf(path, sizeof(path), "%s/state", watched_folder);
    ck_assert_int_eq(moe_runstate_create(path, 3, &watched), MOE_OK);
    moe_watch_init(&watch, watched);
    ck_assert(!moe_watch_look(&watch, 1e5));
    ck_assert(!moe_watch_look(&watch, 1e5 + 50.0));
    for (int r = 0; r < 2; r++) {
        ck_assert_int_eq(moe_runstate_open(path, r, &watched_rank[r]), MOE_OK);
        moe_runstate_stage(watched_rank[r], "the start of MPI");
        moe_runstate_wait(watched_rank[r], MOE_PLACE_MPI_STARTS, 0, "MPI");
    }
    (void)unlink(path);
    ck_assert(!moe_watch_look(&watch, 2e5));
    ck_assert(!moe_watch_look(&watch, 2e5 + 59.5));
    ck_assert(moe_watch_look(&watch, 2e5 + 61.0));
    ck_assert_int_eq(moe_watch_verdict(&watch, 0, text, sizeof(text)), 3);
    ck_assert_str_eq(text, "MPI does not start: 2 of 3 ranks came, and wait "
                           "for each other or for mpirun: ranks 0-1 in the "
                           "start of MPI");
    watched_end();
}
END_TEST

START_TEST(a_start_of_many_ranks_on_few_cores_may_take_long)
{
    enum {
        MANY = 100
    };
    char path[80];
    moe_watch_t watch;

    (void)snprintf(path, sizeof(path), "%s/state", watched_folder);
    ck_assert_int_eq(moe_runstate_create(path, MANY, &watched), MOE_OK);
    for (int r = 0; r < 2; r++) {
        ck_assert_int_eq(moe_runstate_open(path, r, &watched_rank[r]), MOE_OK);
        moe_runstate_wait(watched_rank[r], MOE_PLACE_MPI_STARTS, 0, "MPI");
    }
    (void)unlink(path);
    moe_watch_init(&watch, watched);
    watch.cores = 2;
    ck_assert(!moe_watch_look(&watch, 1e5));
    ck_assert(!moe_watch_look(&watch, 1e5 + 90.0));
    ck_assert(moe_watch_look(&watch, 1e5 + 170.0));
    watch.cores = MANY;
    ck_assert(moe_watch_look(&watch, 1e5 + 65.0));
    watched_end();
}
END_TEST

static const struct {
    const char *text;
    int signal;
    int sent_on;
    bool silent;
} noises[] = {
    {"", 0, 0, true},
    {"what a rank says\n", 0, 0, true},
    {"----------\nPrimary job  terminated normally\n", 0, 0, false},
    {"----------\nrank 0 with PID 0 exited on signal 9 (Killed)\n", 9, 0,
     false},
    {"mpirun: Forwarding signal 6 to job\n----------\n"
     "rank 0 with PID 0 exited on signal 6 (Aborted)\n",
     6, 6, false},
    {"mpirun: Forwarding signal 10 to job\n----------\n"
     "rank 0 with PID 0 exited on signal 11 (Segmentation fault)\n",
     11, 0, false},
};

START_TEST(what_mpirun_says_of_an_end_is_understood)
{
    static moe_noise_t noise;
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(write(ends[1], noises[_i].text, strlen(noises[_i].text)),
                     0);
    (void)close(ends[1]);
    moe_noise_listen(&noise, ends[0]);
    (void)close(ends[0]);
    ck_assert_int_eq(moe_noise_signal(&noise), noises[_i].signal);
    ck_assert_int_eq(moe_noise_sent_on(&noise), noises[_i].sent_on);
    ck_assert_int_eq(moe_noise_is_silent(&noise), noises[_i].silent);
}
END_TEST

START_TEST(ranks_that_are_done_may_not_linger_for_ever)
{
    char text[512];
    moe_watch_t watch;

    watched_begin();
    moe_watch_init(&watch, watched);
    moe_runstate_done(watched_rank[0], 0);
    ck_assert(!moe_watch_look(&watch, 1e5));
    ck_assert(!moe_watch_look(&watch, 1e5 + 1000.0));
    moe_runstate_done(watched_rank[1], 0);
    ck_assert(!moe_watch_look(&watch, 2e5));
    ck_assert(!moe_watch_look(&watch, 2e5 + 20.0));
    ck_assert(moe_watch_look(&watch, 2e5 + 90.0));
    ck_assert_int_eq(moe_watch_verdict(&watch, 0, text, sizeof(text)), 3);
    ck_assert_ptr_nonnull(strstr(text, "all ranks are done, and MPI does not"));
    watched_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hang");
    TCase *tc = tcase_create("states");

    tcase_add_checked_fixture(tc, watched_set_up, watched_tear_down);
    tcase_add_test(tc, a_stopped_rank_is_waited_for_no_longer_than_others_wait);
    tcase_add_loop_test(tc, a_stopped_mpirun_is_told_where_ranks_need_it, 0, 2);
    tcase_add_test(tc, a_start_of_mpi_in_which_nothing_changes_is_ended);
    tcase_add_test(tc, a_start_of_many_ranks_on_few_cores_may_take_long);
    tcase_add_loop_test(tc, what_mpirun_says_of_an_end_is_understood, 0,
                        sizeof(noises) / sizeof(noises[0]));
    tcase_add_test(tc, ranks_that_are_done_may_not_linger_for_ever);
    suite_add_tcase(suite, tc);
    return moe_suite_main(suite);
}
