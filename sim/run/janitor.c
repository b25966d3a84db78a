/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The other ranks end with rank 0, but not in the same moment. */
#define OTHERS_END_NS 300000000L

/* Seen by both processes. */
typedef struct {
    atomic_bool on; /* after the rest was written */
    int made;
    char folder[PATH_MAX];
} page_t;

struct moe_janitor {
    page_t *page;
    int alive; /* write end of a pipe that ends with this process */
};

/* Without the streams, for whose end a launcher waits. */
static void leave_launcher(int alive)
{
    int nothing = open("/dev/null", O_RDWR);

    (void)setsid();
    for (int fd = 0; fd < 3 && nothing >= 0; fd++) {
        (void)dup2(nothing, fd);
    }
    for (int fd = 3; fd < 1024; fd++) {
        if (fd != alive) {
            (void)close(fd);
        }
    }
}

static _Noreturn void be_janitor(const page_t *page, int alive)
{
    const struct timespec others_end = {0, OTHERS_END_NS};
    char byte;
    ssize_t n;

    leave_launcher(alive);
    do {
        n = read(alive, &byte, 1);
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (atomic_load(&page->on)) {
        (void)nanosleep(&others_end, NULL);
        moe_report_claim_abandon_dead(page->folder, page->made);
    }
    _exit(0);
}

/* Fork; the janitor's process does not return. False if there is none. */
static bool start(page_t *page, int *alive_p)
{
    int pipes[2];
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC) != 0) {
        return false;
    }
    pid = fork();
    if (pid == 0) {
        (void)close(pipes[1]);
        be_janitor(page, pipes[0]);
    }
    (void)close(pipes[0]);
    if (pid < 0) {
        (void)close(pipes[1]);
        return false;
    }
    *alive_p = pipes[1];
    return true;
}

moe_janitor_t *moe_janitor_start(void)
{
    moe_janitor_t *janitor = calloc(1, sizeof(*janitor));
    void *page = mmap(NULL, sizeof(page_t), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (janitor == NULL || page == MAP_FAILED ||
        !start(page, &janitor->alive)) {
        if (page != MAP_FAILED) {
            (void)munmap(page, sizeof(page_t));
        }
        free(janitor);
        return NULL;
    }
    janitor->page = page;
    return janitor;
}

void moe_janitor_watch(moe_janitor_t *janitor, const moe_report_claim_t *claim)
{
    if (janitor != NULL && realpath(moe_report_claim_folder(claim),
                                    janitor->page->folder) != NULL) {
        janitor->page->made = moe_report_claim_made(claim);
        atomic_store(&janitor->page->on, true);
    }
}

void moe_janitor_dismiss(moe_janitor_t *janitor)
{
    if (janitor != NULL) {
        atomic_store(&janitor->page->on, false);
        (void)close(janitor->alive);
        (void)munmap(janitor->page, sizeof(page_t));
        free(janitor);
    }
}
