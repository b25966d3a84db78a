/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/mpi_support.h"

#include <stdlib.h>
#include <string.h>

/* Sizes that differ, rank 0 has none. */
static int64_t size_of(int rank)
{
    return (int64_t)rank * 70001;
}

static char byte_of(int rank, int64_t i)
{
    return (char)(rank * 31 + i % 97);
}

static char *bytes_of(int rank)
{
    char *data = malloc((size_t)size_of(rank) + 1);

    ck_assert_ptr_nonnull(data);
    for (int64_t i = 0; i < size_of(rank); i++) {
        data[i] = byte_of(rank, i);
    }
    return data;
}

static void check_blobs(const moe_blob_t *all)
{
    for (int r = 0; r < test_ranks; r++) {
        char *want = bytes_of(r);

        ck_assert_int_eq(all[r].size, size_of(r));
        ck_assert_int_eq(memcmp(all[r].data, want, (size_t)size_of(r)), 0);
        free(want);
    }
}

START_TEST(every_rank_gets_every_ranks_bytes)
{
    char *own = bytes_of(test_rank);
    moe_blob_t *all = NULL;

    ck_assert_int_eq(moe_world_share(test_world, own, size_of(test_rank), &all),
                     MOE_OK);
    check_blobs(all);
    moe_blobs_free(all);
    free(own);
}
END_TEST

START_TEST(the_root_alone_gathers)
{
    for (int root = 0; root < test_ranks; root++) {
        char *own = bytes_of(test_rank);
        moe_blob_t *all = NULL;

        ck_assert_int_eq(
            moe_world_gather(test_world, root, own, size_of(test_rank), &all),
            MOE_OK);
        if (test_rank == root) {
            check_blobs(all);
        } else {
            ck_assert_ptr_null(all);
        }
        moe_blobs_free(all);
        free(own);
    }
}
END_TEST

START_TEST(bytes_of_the_root_reach_all)
{
    for (int root = 0; root < test_ranks; root++) {
        char data[1000];

        for (int i = 0; i < 1000; i++) {
            data[i] = test_rank == root ? byte_of(root, i) : 0;
        }
        ck_assert_int_eq(moe_world_spread(test_world, root, data, 1000),
                         MOE_OK);
        for (int i = 0; i < 1000; i++) {
            ck_assert_int_eq(data[i], byte_of(root, i));
        }
    }
}
END_TEST

START_TEST(a_message_reaches_the_next_rank)
{
    int64_t value = -1;

    for (int r = 0; r + 1 < test_ranks; r++) {
        int64_t sent = 1000 + r;

        if (test_rank == r) {
            ck_assert_int_eq(moe_world_send(test_world, r + 1, &sent, 8),
                             MOE_OK);
        } else if (test_rank == r + 1) {
            ck_assert_int_eq(moe_world_recv(test_world, r, &value, 8), MOE_OK);
        }
    }
    ck_assert_int_eq(value, test_rank == 0 ? -1 : 999 + test_rank);
    ck_assert_int_eq(moe_world_barrier(test_world), MOE_OK);
}
END_TEST

START_TEST(a_layout_of_other_size_is_refused)
{
    moe_layout_t layout = {test_ranks + 1, 1, 1, 1};

    moe_error_clear();
    ck_assert_int_eq(moe_world_set_layout(test_world, &layout), MOE_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "--ranks"));
    moe_error_clear();
}
END_TEST

/* Lines of a ledger, in order of sequence number, then rank. */
START_TEST(the_ledger_is_merged_by_number_then_rank)
{
    test_run_t run;
    moe_tensor_t *t;
    int64_t rows[64];
    FILE *file = NULL;

    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    t = test_tensor(&run, MOE_FORMAT_bf16, 2, 8);
    for (int i = 0; i < test_ranks; i++) {
        rows[i] = 2;
    }
    for (int i = 0; i < 3; i++) {
        moe_call_t call = test_call(&run, MOE_OP_allreduce, t, t, rows, rows);

        ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    }
    ck_assert_int_eq(moe_ledger_count(run.ledger), 3);
    if (test_rank == 0) {
        file = tmpfile();
        ck_assert_ptr_nonnull(file);
    }
    ck_assert_int_eq(moe_ledger_write(run.ledger, test_world, file), MOE_OK);
    if (test_rank == 0) {
        char line[4096];
        int n = 0;

        rewind(file);
        while (fgets(line, sizeof(line), file) != NULL) {
            long long seq;
            int rank;

            ck_assert_int_eq(
                sscanf(line, "{\"seq\":%lld,\"rank\":%d,", &seq, &rank), 2);
            ck_assert_int_eq(seq, n / test_ranks + 1);
            ck_assert_int_eq(rank, n % test_ranks);
            ck_assert_ptr_nonnull(strstr(line, "\"op\":\"allreduce\""));
            n++;
        }
        ck_assert_int_eq(n, 3 * test_ranks);
        (void)fclose(file);
    }
    test_tensor_free(&run, t);
    test_run_fini(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("world");
    TCase *tc = tcase_create("messages");

    tcase_add_test(tc, every_rank_gets_every_ranks_bytes);
    tcase_add_test(tc, the_root_alone_gathers);
    tcase_add_test(tc, bytes_of_the_root_reach_all);
    tcase_add_test(tc, a_message_reaches_the_next_rank);
    tcase_add_test(tc, a_layout_of_other_size_is_refused);
    tcase_add_test(tc, the_ledger_is_merged_by_number_then_rank);
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
