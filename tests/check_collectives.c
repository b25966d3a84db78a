/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/mpi_support.h"

#include <stdlib.h>
#include <string.h>

#define COLS 8

/* Counts of a ragged exchange: zero rows for some, many for others. */
static int64_t rows_between(int s, int d)
{
    return (s * 5 + d * 3) % 4 * (s != d ? 1 : 2);
}

static int64_t rows_of(int rank)
{
    static const int64_t rows[] = {3, 0, 5, 1};

    return rows[rank % 4];
}

/* Content of an element: names its origin, row and column. */
static uint16_t mark(int origin, int64_t row, int64_t col)
{
    return (uint16_t)(origin * 4096 + row * 16 + col);
}

static void fill(moe_tensor_t *t, int origin)
{
    for (int64_t i = 0; i < t->dim[0] * COLS; i++) {
        ((uint16_t *)t->data)[i] = mark(origin, i / COLS, i % COLS);
    }
}

static void check_rows(const moe_tensor_t *t, int64_t at, int origin,
                       int64_t row, int64_t n)
{
    const uint16_t *got = (const uint16_t *)t->data + at * COLS;

    for (int64_t i = 0; i < n * COLS; i++) {
        ck_assert_uint_eq(got[i], mark(origin, row + i / COLS, i % COLS));
    }
}

static int64_t sum_of(const int64_t *rows)
{
    int64_t sum = 0;

    for (int i = 0; i < test_ranks; i++) {
        sum += rows[i];
    }
    return sum;
}

START_TEST(allgatherv_brings_the_rows_of_all_in_order)
{
    test_run_t run;
    int64_t send[64];
    int64_t recv[64];
    moe_tensor_t *in;
    moe_tensor_t *out;
    moe_call_t call;
    int64_t at = 0;

    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    for (int i = 0; i < test_ranks; i++) {
        send[i] = rows_of(test_rank);
        recv[i] = rows_of(i);
    }
    in = test_tensor(&run, MOE_FORMAT_bf16, rows_of(test_rank), COLS);
    out = test_tensor(&run, MOE_FORMAT_bf16, sum_of(recv), COLS);
    fill(in, test_rank);
    call = test_call(&run, MOE_OP_allgatherv, in, out, send, recv);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    for (int i = 0; i < test_ranks; i++) {
        check_rows(out, at, i, 0, recv[i]);
        at += recv[i];
    }
    test_tensor_free(&run, in);
    test_tensor_free(&run, out);
    test_run_fini(&run);
}
END_TEST

START_TEST(equal_gathers_and_exchanges_bring_equal_rows)
{
    test_run_t run;
    int64_t rows[64];
    moe_tensor_t *in;
    moe_tensor_t *out;
    moe_call_t call;

    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    for (int i = 0; i < test_ranks; i++) {
        rows[i] = 2;
    }
    in = test_tensor(&run, MOE_FORMAT_bf16, 2 * test_ranks, COLS);
    out = test_tensor(&run, MOE_FORMAT_bf16, 2 * test_ranks, COLS);
    fill(in, test_rank);
    call = test_call(&run, MOE_OP_allgather, in, out, rows, rows);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    for (int i = 0; i < test_ranks; i++) {
        check_rows(out, 2 * i, i, 0, 2);
    }
    call = test_call(&run, MOE_OP_alltoall, in, out, rows, rows);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    for (int i = 0; i < test_ranks; i++) {
        check_rows(out, 2 * i, i, 2 * test_rank, 2);
    }
    test_tensor_free(&run, in);
    test_tensor_free(&run, out);
    test_run_fini(&run);
}
END_TEST

START_TEST(alltoallv_brings_each_rank_its_rows)
{
    test_run_t run;
    int64_t send[64];
    int64_t recv[64];
    moe_tensor_t *in;
    moe_tensor_t *out;
    moe_call_t call;
    int64_t at = 0;

    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    for (int i = 0; i < test_ranks; i++) {
        send[i] = rows_between(test_rank, i);
        recv[i] = rows_between(i, test_rank);
    }
    in = test_tensor(&run, MOE_FORMAT_bf16, sum_of(send), COLS);
    out = test_tensor(&run, MOE_FORMAT_bf16, sum_of(recv), COLS);
    fill(in, test_rank);
    call = test_call(&run, MOE_OP_alltoallv, in, out, send, recv);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    for (int i = 0; i < test_ranks; i++) {
        int64_t first = 0;

        for (int d = 0; d < test_rank; d++) {
            first += rows_between(i, d);
        }
        check_rows(out, at, i, first, recv[i]);
        at += recv[i];
    }
    test_tensor_free(&run, in);
    test_tensor_free(&run, out);
    test_run_fini(&run);
}
END_TEST

START_TEST(broadcast_brings_the_roots_rows)
{
    for (int root = 0; root < test_ranks; root++) {
        test_run_t run;
        int64_t send[64];
        int64_t recv[64] = {0};
        moe_tensor_t *in;
        moe_tensor_t *out;
        moe_call_t call;

        test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
        for (int i = 0; i < test_ranks; i++) {
            send[i] = 5;
        }
        recv[root] = 5;
        in = test_tensor(&run, MOE_FORMAT_bf16, 5, COLS);
        out = test_tensor(&run, MOE_FORMAT_bf16, 5, COLS);
        fill(in, test_rank);
        call = test_call(&run, MOE_OP_broadcast, in, out, send, recv);
        call.root = root;
        ck_assert_int_eq(test_do(&run, &call), MOE_OK);
        check_rows(out, 0, root, 0, 5);
        test_tensor_free(&run, in);
        test_tensor_free(&run, out);
        test_run_fini(&run);
    }
}
END_TEST

/* --- faults ----------------------------------------------------------------
 */

static moe_status_t two_gathers(test_run_t *run)
{
    int64_t rows[64];
    moe_tensor_t *in = test_tensor(run, MOE_FORMAT_bf16, 2, COLS);
    moe_tensor_t *out = test_tensor(run, MOE_FORMAT_bf16, 2 * test_ranks, COLS);
    moe_status_t status = MOE_OK;

    for (int i = 0; i < test_ranks; i++) {
        rows[i] = 2;
    }
    for (int i = 0; status == MOE_OK && i < 2; i++) {
        moe_call_t call =
            test_call(run, MOE_OP_allgatherv, in, out, rows, rows);

        status = test_do(run, &call);
    }
    status = moe_agreement_finish(run->agreement, status, "the end");
    test_tensor_free(run, in);
    test_tensor_free(run, out);
    return status;
}

static const struct {
    const char *given;
    const char *text;
} faults[] = {
    {"count-mismatch@0", "rank 0 sends 1 rows to rank 0, which expects 2"},
    {"skip-collective@0", "call 2"},
    {"skip-collective@0:last", "the end"},
};

START_TEST(faults_are_noticed)
{
    test_run_t run;

    if (test_ranks == 1) {
        return;
    }
    test_run_init(&run, MOE_NUMERICS_exact, true, faults[_i].given);
    ck_assert_int_eq(two_gathers(&run), MOE_ERR_DISAGREE);
    ck_assert_msg(strstr(moe_error_text(), faults[_i].text) != NULL, "%s",
                  moe_error_text());
    ck_assert_int_eq(run.injection.fired, test_rank == 0);
    moe_error_clear();
    test_run_fini(&run);
}
END_TEST

START_TEST(without_faults_there_is_nothing_to_notice)
{
    test_run_t run;

    for (int verify = 0; verify < 2; verify++) {
        test_run_init(&run, MOE_NUMERICS_exact, verify == 1, NULL);
        ck_assert_int_eq(two_gathers(&run), MOE_OK);
        ck_assert_int_eq(moe_ledger_count(run.ledger), 2);
        test_run_fini(&run);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("collectives");
    TCase *tc = tcase_create("movers");

    tcase_add_test(tc, allgatherv_brings_the_rows_of_all_in_order);
    tcase_add_test(tc, equal_gathers_and_exchanges_bring_equal_rows);
    tcase_add_test(tc, alltoallv_brings_each_rank_its_rows);
    tcase_add_test(tc, broadcast_brings_the_roots_rows);
    suite_add_tcase(suite, tc);
    tc = tcase_create("faults");
    tcase_add_loop_test(tc, faults_are_noticed, 0,
                        sizeof(faults) / sizeof(faults[0]));
    tcase_add_test(tc, without_faults_there_is_nothing_to_notice);
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
