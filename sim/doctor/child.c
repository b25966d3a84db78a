/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60

extern char **environ;

/* In the child: stdout to the pipe, then this program again. Only functions
 * that are safe between fork and exec; the environment was made before. */
static _Noreturn void become(char *const *argv, char **environment, int to)
{
    (void)signal(SIGPIPE, SIG_DFL);
    if (dup2(to, STDOUT_FILENO) >= 0) {
        (void)execve("/proc/self/exe", argv, environment);
    }
    _exit(127);
}

/* The environment with one variable set, which is kept. */
static char **with_variable(char *variable)
{
    char **environment;
    size_t name = variable != NULL ? strcspn(variable, "=") + 1 : 0;
    size_t n = 0;
    size_t kept = 0;
    size_t i;

    while (environ[n] != NULL) {
        ++n;
    }
    environment = calloc(n + 2, sizeof(*environment));
    if (environment == NULL) {
        return NULL;
    }
    for (i = 0; i < n; ++i) {
        if (name == 0 || strncmp(environ[i], variable, name) != 0) {
            environment[kept++] = environ[i];
        }
    }
    environment[kept] = variable; /* or NULL, the end */
    return environment;
}

/* All that comes until the other side closes, as far as there is room.
 * False if it takes too long. */
static bool read_all(int from, char *out, size_t size)
{
    time_t end = time(NULL) + PATIENCE_S;
    size_t used = 0;

    for (;;) {
        struct pollfd ready = {.fd = from, .events = POLLIN};
        char piece[256];
        ssize_t n;

        if (time(NULL) > end) {
            return false;
        }
        if (poll(&ready, 1, 1000) <= 0) {
            continue;
        }
        n = read(from, piece, sizeof(piece));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return true;
        }
        for (ssize_t i = 0; i < n && used + 1 < size; ++i) {
            out[used++] = piece[i];
            out[used] = '\0';
        }
    }
}

static int end_of(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int moe_doctor_child(char *const *argv, char *variable, char *out, size_t size)
{
    char **environment = with_variable(variable);
    int ends[2] = {-1, -1};
    int status = -1;
    pid_t child = -1;

    out[0] = '\0';
    if (environment != NULL && pipe(ends) == 0) {
        (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        (void)fflush(stdout);
        child = fork();
        if (child == 0) {
            become(argv, environment, ends[1]);
        }
        (void)close(ends[1]);
        if (child > 0) {
            if (!read_all(ends[0], out, size)) {
                (void)kill(child, SIGKILL);
                (void)end_of(child);
            } else {
                status = end_of(child);
            }
        }
        (void)close(ends[0]);
    }
    free(environment);
    return status;
}
