/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/launch/supervise.h"
#include "sim/launch/supervise_parts.h"
#include "tests/support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEXT 8192

static char probe[] = MOESIM_BUILD_DIR "/tests/rank_probe";
static char folder[64];
static char pids[80];
static char said[80];

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void set_up(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/check-supervise-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(pids, sizeof(pids), "%s/pids", folder);
    (void)snprintf(said, sizeof(said), "%s/said", folder);
    /* sanitized ranks know leaks of Open MPI by its libraries */
    (void)setenv("ASAN_OPTIONS", "fast_unwind_on_malloc=0", 0);
}

/* The folder must hold nothing but our two files. */
static void tear_down(void)
{
    (void)unlink(pids);
    (void)unlink(said);
    ck_assert_msg(rmdir(folder) == 0, "%s: %s", folder, strerror(errno));
}

/* Supervise in a process of its own, what it says into a file. */
static pid_t start(const char *mode, int ranks)
{
    pid_t pid = fork();

    if (pid == 0) {
        char *argv[] = {probe, NULL, pids, NULL};
        const moe_supervise_t what = {.ranks = ranks,
                                      .program = probe,
                                      .argv = argv,
                                      .folder = folder,
                                      .quiet = true};
        int fd = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        argv[1] = strdup(mode);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
            _exit(99);
        }
        _exit(moe_supervise(&what));
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;

    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Seconds of a run in which nothing happens, on this machine as busy as it is;
 * known to every test. */
static double good_s;

static void measure_good(void)
{
    const double begin = now();

    set_up();
    ck_assert_int_eq(end_of(start("good", 3)), 0);
    good_s = now() - begin;
    tear_down();
}

static void read_said(char *text)
{
    FILE *file = fopen(said, "r");
    size_t n;

    ck_assert_ptr_nonnull(file);
    n = fread(text, 1, TEXT - 1, file);
    text[n] = '\0';
    (void)fclose(file);
}

/* True if a rank lives; the number of those that were started. */
static bool any_rank_lives(int *n_p)
{
    FILE *file = fopen(pids, "r");
    bool lives = false;
    long pid;

    *n_p = 0;
    while (file != NULL && fscanf(file, "%ld", &pid) == 1) {
        lives = lives || kill((pid_t)pid, 0) == 0;
        (*n_p)++;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return lives;
}

/* Ranks that were killed are gone when init has taken their status. */
static bool ranks_are_gone(int *n_p)
{
    const struct timespec t = {0, 20000000};

    for (int i = 0; i < 100 && any_rank_lives(n_p); i++) {
        (void)nanosleep(&t, NULL);
    }
    return !any_rank_lives(n_p);
}

static void wait_for_ranks(int ranks)
{
    int n = 0;

    for (int i = 0; i < 1000 && n < ranks; i++) {
        const struct timespec t = {0, 20000000};

        (void)nanosleep(&t, NULL);
        (void)any_rank_lives(&n);
    }
    ck_assert_int_eq(n, ranks);
}

static const struct {
    const char *mode;
    int exit_status;
    double seconds; /* at most, beside those of a good run */
    const char *text;
} cases[] = {
    {"good", 0, 20.0, ""},
    {"noise", 0, 20.0, ""},
    {"slow", 0, 40.0, ""},
    {"kill", 3, 10.0, "moesim: rank 1 died in stage probe of signal 9"},
    {"segv", 3, 10.0, "moesim: rank 1 died in stage probe"},
    {"exit", 3, 10.0, "moesim: rank 1 died in stage probe"},
    {"fail", 3, 10.0, "moesim: rank 1 failed in stage probe: no room at all"},
    {"input", 2, 10.0, "moesim: file:1:2: key: no such thing"},
    {"fail-alone", 3, 15.0, "rank 1 failed in stage probe: a full disk"},
    {"hang", 1, 15.0, "all ranks wait for each other"},
    {"stop", 3, 10.0,
     "moesim: rank 1 is stopped by a signal, and the others wait: "
     "ranks 0,2 in the start of MPI, rank 1 in stage stop"},
};

START_TEST(each_end_has_its_message_and_exit_status)
{
    double begin = now();
    char text[TEXT];
    int n;

    ck_assert_int_eq(end_of(start(cases[_i].mode, 3)), cases[_i].exit_status);
    ck_assert_msg(now() - begin < cases[_i].seconds + 2.0 * good_s,
                  "%s took %.1f s, a good run %.1f s", cases[_i].mode,
                  now() - begin, good_s);
    ck_assert(ranks_are_gone(&n));
    ck_assert_int_eq(n, 3);
    read_said(text);
    if (cases[_i].text[0] == '\0') {
        ck_assert_str_eq(text, "");
    } else {
        ck_assert_msg(strstr(text, cases[_i].text) != NULL, "%s", text);
        ck_assert_ptr_eq(strstr(text, "moesim: "), text);
        ck_assert_ptr_null(strstr(text + 1, "moesim: "));
    }
}
END_TEST

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

START_TEST(a_signal_ends_all_ranks)
{
    pid_t pid = start("long", 2);
    char text[TEXT];
    int n;

    wait_for_ranks(2);
    ck_assert_int_eq(kill(pid, signals[_i]), 0);
    ck_assert_int_eq(end_of(pid), 3);
    ck_assert(ranks_are_gone(&n));
    read_said(text);
    ck_assert_ptr_eq(strstr(text, "moesim: interrupted"), text);
    ck_assert_ptr_nonnull(strstr(text, "): rank"));
}
END_TEST

/* The process that another one started first. */
static pid_t child_of(pid_t pid)
{
    char path[80];
    long child = 0;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", (long)pid,
                   (long)pid);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld", &child), 1);
    (void)fclose(file);
    return (pid_t)child;
}

static const struct {
    int number;
    const char *text;
} of_mpirun[] = {
    {SIGTERM, "moesim: mpirun was asked to end by a signal (SIGTERM, SIGINT or "
              "SIGHUP), sent by somebody: rank"},
    {SIGSEGV, "moesim: mpirun died of signal 11 (Segmentation fault): rank"},
    {SIGABRT, "moesim: mpirun was sent signal 6 (Aborted), and sent it on to "
              "the ranks: rank"},
};

START_TEST(a_signal_to_mpirun_is_no_fault_of_a_rank)
{
    pid_t pid = start("long", 2);
    char text[TEXT];
    int n;

    wait_for_ranks(2);
    ck_assert_int_eq(kill(child_of(pid), of_mpirun[_i].number), 0);
    ck_assert_int_eq(end_of(pid), 3);
    ck_assert(ranks_are_gone(&n));
    read_said(text);
    ck_assert_msg(strstr(text, of_mpirun[_i].text) == text, "%s", text);
}
END_TEST

START_TEST(a_killed_supervisor_leaves_no_rank)
{
    pid_t pid = start("long", 2);
    double begin = now();
    int status;
    int n = 0;

    wait_for_ranks(2);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    while (any_rank_lives(&n) && now() - begin < 40.0) {
        const struct timespec t = {0, 50000000};

        (void)nanosleep(&t, NULL);
    }
    ck_assert(ranks_are_gone(&n));
    /* what nobody could remove */
    (void)snprintf(said, sizeof(said), "rm -rf %s/*", folder);
    ck_assert_int_eq(system(said), 0);
}
END_TEST

START_TEST(without_mpirun_the_message_says_so)
{
    char text[TEXT];

    ck_assert_int_eq(setenv("PATH", folder, 1), 0);
    ck_assert_int_eq(end_of(start("good", 2)), 3);
    read_said(text);
    ck_assert_ptr_nonnull(strstr(text, "moesim: mpirun was not found"));
}
END_TEST

START_TEST(an_mpirun_that_starts_nothing_is_quoted)
{
    char path[128];
    char text[TEXT];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/mpirun", folder);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("#!/bin/sh\necho 'there are \033[31mnot enough slots'\nexit 7\n",
          file);
    (void)fclose(file);
    ck_assert_int_eq(chmod(path, 0700), 0);
    ck_assert_int_eq(setenv("PATH", folder, 1), 0);
    ck_assert_int_eq(end_of(start("good", 2)), 3);
    (void)unlink(path);
    read_said(text);
    ck_assert_ptr_nonnull(strstr(text, "could not start 2 ranks"));
    ck_assert_ptr_nonnull(strstr(text, "not enough slots"));
    ck_assert_ptr_null(strchr(text, '\033'));
}
END_TEST

START_TEST(there_is_a_thread_for_every_rank)
{
    for (int ranks = 1; ranks < 300; ranks *= 2) {
        ck_assert_int_ge(moe_supervise_threads(ranks), 1);
    }
    ck_assert_int_eq(moe_supervise_threads(100000), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("supervise");
    TCase *tc = tcase_create("ends");

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, measure_good, NULL);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, each_end_has_its_message_and_exit_status, 0,
                        sizeof(cases) / sizeof(cases[0]));
    tcase_add_loop_test(tc, a_signal_ends_all_ranks, 0,
                        sizeof(signals) / sizeof(signals[0]));
    tcase_add_loop_test(tc, a_signal_to_mpirun_is_no_fault_of_a_rank, 0,
                        sizeof(of_mpirun) / sizeof(of_mpirun[0]));
    tcase_add_test(tc, a_killed_supervisor_leaves_no_rank);
    tcase_add_test(tc, without_mpirun_the_message_says_so);
    tcase_add_test(tc, an_mpirun_that_starts_nothing_is_quoted);
    tcase_add_test(tc, there_is_a_thread_for_every_rank);
    suite_add_tcase(suite, tc);
    return moe_suite_main(suite);
}
