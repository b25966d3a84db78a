/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXIT_SKIPPED 77
#define PATHS        8

/* Skipped tests, counted by the processes of the tests. */
static int *skipped;
static pid_t suite_process;

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && strcmp(value, "1") == 0;
}

static int mpi_rank(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");

    return rank == NULL ? -1 : atoi(rank);
}

static const char *path_of(const char *folder, const char *name)
{
    static char paths[PATHS][4096];
    static unsigned next;
    char *path = paths[next++ % PATHS];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

const char *moe_test_source(const char *name)
{
    return path_of(MOESIM_SOURCE_DIR, name);
}

bool moe_test_full(void)
{
    return is_set("MOESIM_FULL");
}

/* The process of a test ends well, and its suite learns of the skip. */
static void skip(const char *path)
{
    fprintf(stderr, "skipped: no data file %s\n", path);
    if (skipped != NULL && getpid() != suite_process) {
        __atomic_add_fetch(skipped, 1, __ATOMIC_SEQ_CST);
        _exit(EXIT_SUCCESS);
    }
    exit(EXIT_SKIPPED);
}

const char *moe_test_data(const char *name)
{
    const char *folder = getenv("MOESIM_DATA");
    const char *path = folder != NULL
                           ? path_of(folder, name)
                           : path_of(MOESIM_SOURCE_DIR "/../shared/data", name);

    if (access(path, R_OK) == 0) {
        return path;
    }
    if (is_set("MOESIM_REQUIRE_DATA")) {
        fprintf(stderr, "failed: no data file %s\n", path);
        exit(EXIT_FAILURE);
    }
    skip(path);
    return NULL;
}

static void share_skipped(void)
{
    void *page = mmap(NULL, sizeof(*skipped), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    skipped = page == MAP_FAILED ? NULL : page;
    suite_process = getpid();
}

int moe_suite_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int rank = mpi_rank();
    int failed;
    int run;
    int n_skipped;

    share_skipped();
    if (rank >= 0) {
        srunner_set_fork_status(runner, CK_NOFORK);
    }
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    run = srunner_ntests_run(runner);
    n_skipped = skipped != NULL ? *skipped : 0;
    if (rank <= 0 || failed > 0) {
        srunner_print(runner, CK_NORMAL);
        printf("suite: %d passed, %d failed, %d skipped\n",
               run - failed - n_skipped, failed, n_skipped);
    }
    srunner_free(runner);
    if (failed > 0 || run == 0) {
        return EXIT_FAILURE;
    }
    return n_skipped > 0 ? EXIT_SKIPPED : EXIT_SUCCESS;
}
