/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the Check suites share: how a suite runs, and where public data are.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "config.h"

#ifndef HAVE_CHECK
#error "make check needs the Check library (Debian: apt-get install check)"
#endif

#include <check.h>
#include <stdbool.h>

/* Check writes to a file for each assertion that holds: most of what loops over
 * elements take. These tell those that fail alone; of a crash, the test instead
 * of the last assertion before it. */
#undef ck_assert
#undef ck_assert_msg
#define ck_assert(expr) ck_assert_msg(expr, "Assertion '%s' failed", #expr)
#define ck_assert_msg(expr, ...)                                               \
    do {                                                                       \
        if (!(expr)) {                                                         \
            ck_abort_msg(__VA_ARGS__);                                         \
        }                                                                      \
    } while (0)

/**
 * Run a suite and end it.
 *
 * Each test runs in a process of its own, except under mpirun (Open MPI and
 * fork do not mix) or with CK_FORK=no. Under mpirun rank 0 prints, other
 * ranks only if something failed. Ends with the line
 * "suite: N passed, N failed, N skipped".
 *
 * @param[in] suite  Taken.
 * @return exit status of the test program: 0, 1, or 77 if tests were skipped
 *         for lack of data and no other failed.
 */
int moe_suite_main(Suite *suite);

/**
 * Path of a public data file: $MOESIM_DATA/name, else
 * <source tree>/../shared/data/name.
 *
 * If there is none, the calling test is skipped, or fails if
 * MOESIM_REQUIRE_DATA is 1. Under mpirun call it in main() before MPI_Init().
 *
 * @return valid until the eighth next call.
 */
const char *moe_test_data(const char *name);

/** Path of a file of the source tree, as "tests/fixtures/x"; likewise. */
const char *moe_test_source(const char *name);

/** True in make check-full. */
bool moe_test_full(void);

#endif
