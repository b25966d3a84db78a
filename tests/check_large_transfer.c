/* SPDX-License-Identifier: Apache-2.0 */
/* Much in one call, in make check-full more than 2^31 bytes: rank 0 sends all,
 * rank 1 gets all. The send buffer maps seven pages of a mebibyte again and
 * again, so that only the receiver takes memory. */
#include "config.h"

#include "tests/mpi_support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROW   (INT64_C(1) << 20) /* bytes */
#define KINDS 7
#define ROWS  2100 /* a row of a mebibyte: 2^31 bytes and 52 rows */
#define FEW   20

static int64_t kind_of(int64_t row)
{
    return row * 5 % KINDS;
}

static char *map_rows(int64_t rows)
{
    int fd = memfd_create("rows", MFD_CLOEXEC);
    char *at = mmap(NULL, (size_t)(rows * ROW), PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, KINDS * ROW), 0);
    ck_assert_ptr_ne(at, MAP_FAILED);
    for (int64_t i = 0; i < rows; i++) {
        ck_assert_ptr_ne(mmap(at + i * ROW, (size_t)ROW, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_FIXED, fd, kind_of(i) * ROW),
                         MAP_FAILED);
        memset(at + i * ROW, (int)kind_of(i) + 1, (size_t)ROW);
    }
    (void)close(fd);
    return at;
}

static void check_rows(const char *data, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        ck_assert_int_eq(data[i * ROW], kind_of(i) + 1);
        ck_assert_int_eq(data[i * ROW + ROW - 1], kind_of(i) + 1);
    }
}

static void move(int64_t rows)
{
    int64_t send[64] = {0};
    int64_t recv[64] = {0};
    moe_tensor_t in = {.storage.format = MOE_FORMAT_bf16,
                       .dtype = MOE_DTYPE_bf16};
    moe_tensor_t *out;
    moe_call_t call;
    test_run_t run;

    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    in.dim[1] = ROW / 2;
    if (test_rank == 0) {
        send[1] = rows;
        in.dim[0] = in.valid_rows = rows;
    } else if (test_rank == 1) {
        recv[0] = rows;
    }
    in.data = map_rows(test_rank == 0 ? rows : 1);
    out = test_tensor(&run, MOE_FORMAT_bf16, recv[0], ROW / 2);
    call = test_call(&run, MOE_OP_alltoallv, &in, out, send, recv);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    if (test_rank == 1) {
        check_rows(out->data, rows);
    }
    (void)munmap(in.data, (size_t)((test_rank == 0 ? rows : 1) * ROW));
    test_tensor_free(&run, out);
    test_run_fini(&run);
}

START_TEST(one_call_moves_rows_of_a_mebibyte)
{
    move(FEW);
}
END_TEST

START_TEST(one_call_moves_more_than_an_int_counts)
{
    move(ROWS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("large transfer");
    TCase *tc = tcase_create("rows");

    tcase_add_test(tc, one_call_moves_rows_of_a_mebibyte);
    if (moe_test_full()) {
        tcase_add_test(tc, one_call_moves_more_than_an_int_counts);
    }
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
