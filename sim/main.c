/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/version.h"
#include "sim/options/command.h"
#include "sim/launch/failure.h"
#include "sim/launch/launch.h"
#include "sim/launch/memory.h"
#include "sim/op/op.h"
#include "sim/options/options.h"
#include "sim/report/head.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* True for what needs no ranks: of a launcher's, the first does it all. */
static bool is_for_one(const moe_command_t *command)
{
    return command->help || command->version ||
           (command->verb != MOE_VERB_run && moe_verb_is_shown(command->verb));
}

/* A file that cannot be written is told before the work is done. */
static int run_verb(const moe_command_t *command)
{
    moe_status_t status = moe_report_may_write_json(command);

    return status == MOE_OK ? moe_command_run(command)
                            : moe_command_failed(NULL, status);
}

static void help(moe_verb_t verb)
{
    moe_options_help(stdout, verb);
    if (verb == MOE_VERB_op) {
        moe_tool_help(stdout);
    }
}

static int run(int argc, char **argv, moe_diag_t *diag)
{
    moe_command_t command;
    moe_status_t status;
    int exit_status = 0;

    status = moe_command_parse(argc, argv, diag, &command);
    if (moe_launch_rank() > 0 && status == MOE_OK && is_for_one(&command)) {
        moe_command_fini(&command);
        return 0;
    }
    if (status != MOE_OK) {
        exit_status = moe_command_failed(diag, status);
    } else if (command.help) {
        help(command.verb);
    } else if (command.version) {
        printf("moesim %s\n", PACKAGE_VERSION);
    } else {
        exit_status = run_verb(&command);
    }
    if (exit_status != 0) {
        moe_failure_write(&command, exit_status);
    }
    moe_command_fini(&command);
    return exit_status;
}

/* True if stdout is a pipe that nobody reads any more. */
static bool reader_left(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

/* A reader that went away (moesim ... | head) is no error; a full disk is. */
static int close_stdout(int exit_status)
{
    bool failed = ferror(stdout) != 0;

    errno = 0;
    if (fflush(stdout) != 0) {
        failed = true;
    }
    if (failed && !reader_left() && exit_status == 0) {
        fprintf(stderr, "moesim: cannot write to stdout: %s\n",
                strerror(errno != 0 ? errno : EIO));
        return 3;
    }
    return exit_status;
}

int main(int argc, char **argv)
{
    moe_diag_t *diag;
    int exit_status;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file too large is a write's error */
    if (moe_memory_allows_blas() != MOE_OK) {
        fprintf(stderr, "moesim: %s\n", moe_error_text());
        _exit(3); /* exit() would wait for its threads */
    }
    diag = moe_diag_create();
    if (diag == NULL) {
        fputs("moesim: out of memory\n", stderr);
        return 3;
    }
    exit_status = run(argc, argv, diag);
    moe_diag_free(diag);
    return close_stdout(exit_status);
}
