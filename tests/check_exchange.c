/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that MPI refuses midway. */
#include "config.h"

#include "ref/mpi/comm.h"
#include "tests/mpi_support.h"

#include <string.h>
#include <time.h>

enum {
    LONG = 1 << 20, /* bytes: a message that waits for its receiver */
    NOBODY = 12345  /* no rank */
};

static char given[LONG];
static char taken[LONG];

/* Rank 1 sends two values in a row; the first would go to a receive that was
 * left behind. */
START_TEST(a_refused_exchange_leaves_no_receive_behind)
{
    const moe_message_t messages[] = {{1, 0, taken, 8}, {NOBODY, 1, given, 8}};

    memset(taken, 1, 8);
    moe_error_clear();
    if (test_rank == 0) {
        ck_assert_int_eq(moe_mpi_exchange(test_world->world, messages, 2),
                         MOE_ERR_MPI);
    }
    moe_error_clear();
    ck_assert_int_eq(moe_world_barrier(test_world), MOE_OK);
    for (int64_t i = 0; i < 2; i++) {
        int64_t value = i;

        if (test_rank == 1) {
            ck_assert_int_eq(moe_world_send(test_world, 0, &value, 8), MOE_OK);
        } else {
            ck_assert_int_eq(moe_world_recv(test_world, 1, &value, 8), MOE_OK);
            ck_assert_int_eq(value, i);
        }
    }
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(taken[i], 1);
    }
}
END_TEST

/* Rank 1 comes late; rank 0 writes into its buffer as soon as it may. */
START_TEST(a_refused_exchange_ends_after_its_sends)
{
    const moe_message_t sends[] = {{1, 1, given, LONG}, {NOBODY, 1, given, 8}};
    const moe_message_t receive = {0, 0, taken, LONG};
    const struct timespec late = {0, 100000000};

    memset(given, 1, LONG);
    memset(taken, 0, LONG);
    moe_error_clear();
    if (test_rank == 0) {
        ck_assert_int_eq(moe_mpi_exchange(test_world->world, sends, 2),
                         MOE_ERR_MPI);
        memset(given, 2, LONG);
    } else {
        (void)nanosleep(&late, NULL);
        ck_assert_int_eq(moe_mpi_exchange(test_world->world, &receive, 1),
                         MOE_OK);
        ck_assert_int_eq(memcmp(taken, given, LONG), 0);
    }
    moe_error_clear();
    ck_assert_int_eq(moe_world_barrier(test_world), MOE_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exchange");
    TCase *tc = tcase_create("refused");

    tcase_add_test(tc, a_refused_exchange_leaves_no_receive_behind);
    tcase_add_test(tc, a_refused_exchange_ends_after_its_sends);
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
