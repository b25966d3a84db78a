/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/launch/supervise_parts.h"

#include "base/text.h"
#include "sim/launch/failure.h"
#include "sim/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 30

#define WHERE 512 /* bytes of where the ranks are */

/* How long mpirun may be dead unnoticed, gets to end its ranks, to start
 * them. */
#define MPIRUN_DIES_S   0.3
#define MPIRUN_ENDS_S   1.5
#define MPIRUN_STARTS_S 60.0

typedef struct {
    const moe_supervise_t *what;
    char *state_path;
    moe_runstate_t *state;
    moe_child_t child;
    moe_watch_t watch;
    moe_show_t show;
    bool ended; /* mpirun has, and was waited for */
    int wait_status;
    bool hurried;  /* mpirun was, to its end */
    bool nameless; /* the run state's file is */
    bool too_late; /* no rank ever came */
    moe_noise_t noise;
    char where[WHERE];             /* the ranks were, before they were ended */
    char hung[MOE_SUPERVISE_TEXT]; /* what is said of a hang */
    int hung_exit;
} job_t;

double moe_supervise_now(void)
{
    struct timespec t = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void tick(job_t *job)
{
    struct pollfd fd = {.fd = job->child.noise, .events = POLLIN};
    struct timespec t = {0, TICK_MS * 1000000L};

    if (poll(&fd, 1, TICK_MS) > 0) {
        moe_noise_listen(&job->noise, job->child.noise);
        if ((fd.revents & POLLHUP) != 0 && (fd.revents & POLLIN) == 0) {
            (void)nanosleep(&t, NULL);
        }
    }
    if (!job->ended &&
        waitpid(job->child.pid, &job->wait_status, WNOHANG) == job->child.pid) {
        job->ended = true;
    }
}

static bool is_late(job_t *job)
{
    job->too_late =
        moe_supervise_now() - job->watch.begin_s > MPIRUN_STARTS_S &&
        moe_watch_none_came(&job->watch);
    return job->too_late;
}

/* The file has its name only until all ranks have opened it. */
static void drop_name(job_t *job)
{
    if (!job->nameless && moe_watch_all_came(&job->watch)) {
        (void)unlink(job->state_path);
        job->nameless = true;
    }
}

/* Until mpirun ends, somebody asks for the end, or something is wrong. */
static void watch(job_t *job)
{
    while (!job->ended && moe_signals_asked() == 0) {
        if (moe_watch_look(&job->watch, moe_supervise_now()) || is_late(job)) {
            return;
        }
        moe_show_progress(&job->show, job->state);
        drop_name(job);
        tick(job);
    }
}

static bool any_lives(const job_t *job)
{
    for (int r = 0; r < job->watch.ranks; r++) {
        if (moe_watch_lives(&job->watch, r)) {
            return true;
        }
    }
    return false;
}

/* Let things end for some seconds; true if nothing is left. */
static bool let_end(job_t *job, double seconds)
{
    double end = moe_supervise_now() + seconds;

    while ((!job->ended || any_lives(job)) && moe_supervise_now() < end) {
        tick(job);
    }
    return job->ended && !any_lives(job);
}

/* End all that is left: mpirun first, which knows its ranks, then by force. */
static void end_all(job_t *job)
{
    /* after a rank's death mpirun ends by itself, and badly if hurried */
    if (!job->ended && job->watch.died < 0) {
        job->hurried = true;
        (void)kill(job->child.pid, SIGTERM);
        (void)kill(job->child.pid, SIGCONT); /* it may be stopped */
    }
    if (let_end(job, job->ended ? 0.3 : MPIRUN_ENDS_S)) {
        return;
    }
    for (int i = 0; i < 10; i++) {
        (void)moe_watch_kill(&job->watch);
        if (let_end(job, 0.3)) {
            return;
        }
        if (!job->ended && i > 1) {
            job->hurried = true;
            (void)kill(-job->child.pid, SIGKILL);
            (void)kill(job->child.pid, SIGKILL);
        }
    }
}

static int interrupted(const job_t *job)
{
    moe_failure_say("interrupted by signal %d (%s)%s%s", moe_signals_asked(),
                    strsignal(moe_signals_asked()),
                    job->where[0] != '\0' ? ": " : "", job->where);
    return moe_status_exit(MOE_ERR_INTERRUPTED);
}

/* mpirun's own end, when no rank says anything. */
static void print_end(const job_t *job)
{
    if (job->too_late) {
        moe_failure_say("mpirun started no rank in %.0f s", MPIRUN_STARTS_S);
    } else if (WIFSIGNALED(job->wait_status)) {
        moe_failure_say("mpirun died of signal %d (%s)%s%s",
                        WTERMSIG(job->wait_status),
                        strsignal(WTERMSIG(job->wait_status)),
                        job->where[0] != '\0' ? ": " : "", job->where);
    } else if (moe_watch_none_came(&job->watch)) {
        moe_failure_say("mpirun could not start %d rank%s (exit status %d)",
                        job->watch.ranks, job->watch.ranks == 1 ? "" : "s",
                        WEXITSTATUS(job->wait_status));
    } else {
        moe_failure_say("a rank ended without a message (mpirun's "
                        "exit status %d): %s",
                        WEXITSTATUS(job->wait_status), job->where);
    }
    moe_noise_print(&job->noise);
}

/* Somebody signalled mpirun, and it ended the ranks: they are not to blame. */
static bool print_signalled(const job_t *job)
{
    const int sent_on = moe_noise_sent_on(&job->noise);

    if (sent_on != 0 && !moe_watch_was_told(&job->watch)) {
        moe_failure_say("mpirun was sent signal %d (%s), and sent it on to the "
                        "ranks: %s",
                        sent_on, strsignal(sent_on), job->where);
        return true;
    }
    if (job->ended && WIFEXITED(job->wait_status) &&
        WEXITSTATUS(job->wait_status) != 0 &&
        moe_noise_is_silent(&job->noise) &&
        moe_watch_launcher_ended(&job->watch)) {
        moe_failure_say("mpirun was asked to end by a signal (SIGTERM, SIGINT "
                        "or SIGHUP), sent by somebody: %s",
                        job->where);
        return true;
    }
    return false;
}

static int print_hung(const job_t *job)
{
    moe_failure_say("%s", job->hung);
    if (job->watch.hang == MOE_HANG_start) {
        moe_noise_print(&job->noise);
    }
    return job->hung_exit;
}

static int verdict(job_t *job, bool mpirun_died)
{
    char text[MOE_SUPERVISE_TEXT];
    int exit_status;

    if (moe_signals_asked() != 0) {
        return interrupted(job);
    }
    if (job->ended && WIFEXITED(job->wait_status) &&
        WEXITSTATUS(job->wait_status) == 0 && moe_watch_all_good(&job->watch)) {
        return 0;
    }
    if (job->watch.hang != MOE_HANG_none) {
        return print_hung(job);
    }
    if (mpirun_died) {
        print_end(job);
        return 3;
    }
    if (print_signalled(job)) {
        return 3;
    }
    exit_status = moe_watch_verdict(&job->watch, moe_noise_signal(&job->noise),
                                    text, sizeof(text));
    if (text[0] != '\0') {
        moe_failure_say("%s", text);
        if (!moe_watch_was_told(&job->watch) && job->watch.died >= 0 &&
            moe_noise_signal(&job->noise) != SIGKILL) {
            moe_noise_print(&job->noise);
        }
    } else {
        print_end(job);
    }
    return exit_status;
}

static moe_status_t make_state(job_t *job)
{
    const char *folder = job->what->folder;
    static unsigned number;

    if (folder == NULL) {
        folder = getenv("TMPDIR");
    }
    if (folder == NULL || *folder == '\0') {
        folder = "/tmp";
    }
    job->state_path = moe_strdup_printf("%s/moesim-ranks-%ld-%u", folder,
                                        (long)getpid(), number++);
    if (job->state_path == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    }
    return moe_runstate_create(job->state_path, job->what->ranks, &job->state);
}

/* Ranks die with mpirun: was it that? It may also crash over a dead rank, of
 * which outlived_mpirun() knows. */
static bool has_mpirun_died(job_t *job)
{
    double end = moe_supervise_now() + MPIRUN_DIES_S;

    while (job->watch.died >= 0 && !job->ended && moe_supervise_now() < end) {
        tick(job);
    }
    return job->ended && WIFSIGNALED(job->wait_status) &&
           WTERMSIG(job->wait_status) != SIGSEGV &&
           WTERMSIG(job->wait_status) != SIGABRT;
}

/* Ranks that outlived mpirun are ours now: let go of the dead ones. True if
 * all did, and died of the SIGKILL that its end sends them. */
static bool outlived_mpirun(const job_t *job)
{
    bool all = true;

    for (int r = 0; r < job->watch.ranks; r++) {
        moe_rank_slot_t slot;
        int status = 0;

        moe_runstate_read(job->state, r, &slot);
        if (slot.pid > 0) {
            const bool ours = waitpid(slot.pid, &status, WNOHANG) == slot.pid;

            all = all && ours && WIFSIGNALED(status) &&
                  WTERMSIG(status) == SIGKILL;
        }
    }
    return all;
}

/* Where all are, before the end lets them move on. */
static void note_end(job_t *job)
{
    moe_show_where(job->state, job->where, sizeof(job->where));
    if (job->watch.hang != MOE_HANG_none) {
        job->hung_exit =
            moe_watch_verdict(&job->watch, 0, job->hung, sizeof(job->hung));
    }
}

static int run(job_t *job)
{
    bool mpirun_died;

    moe_watch_init(&job->watch, job->state);
    job->watch.launcher = job->child.pid;
    job->watch.agreed = job->what->agreed;
    (void)fcntl(job->child.noise, F_SETFL, O_NONBLOCK);
    moe_show_init(&job->show, job->what);
    watch(job);
    mpirun_died = has_mpirun_died(job);
    if (!mpirun_died && moe_signals_asked() == 0 &&
        job->watch.hang == MOE_HANG_none) {
        /* the last word of ranks that are gone with mpirun */
        (void)moe_watch_look(&job->watch, moe_supervise_now());
    }
    note_end(job);
    end_all(job);
    mpirun_died = (outlived_mpirun(job) && job->ended && !job->hurried &&
                   WIFSIGNALED(job->wait_status)) ||
                  mpirun_died;
    moe_noise_listen(&job->noise, job->child.noise);
    moe_show_end(&job->show);
    (void)close(job->child.noise);
    return verdict(job, mpirun_died);
}

int moe_supervise(const moe_supervise_t *what)
{
    job_t *job = calloc(1, sizeof(*job));
    moe_status_t status;
    int exit_status;

    if (job == NULL) {
        moe_failure_say("out of memory");
        return 3;
    }
    job->what = what;
    status = moe_launch_check_files();
    if (status == MOE_OK) {
        status = make_state(job);
    }
    moe_signals_catch();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (status == MOE_OK) {
        status = moe_supervise_start(what, job->state_path, &job->child);
    }
    if (status == MOE_OK) {
        exit_status = run(job);
    } else {
        moe_failure_say("%s", moe_error_text());
        exit_status = moe_status_exit(status);
    }
    moe_signals_release();
    moe_runstate_close(job->state);
    if (job->state != NULL && !job->nameless) {
        (void)unlink(job->state_path);
    }
    moe_supervise_forget();
    free(job->state_path);
    free(job);
    if (what->cleanup != NULL) {
        what->cleanup(what->cleanup_self);
    }
    return exit_status;
}
