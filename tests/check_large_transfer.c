/* SPDX-License-Identifier: Apache-2.0 */
/* Much in one operation, in make check-full more than 2^31 bytes: rank 0 has
 * all of it, or each rank where they are summed, and rank 1 gets all. Seven
 * rows of a mebibyte stand for all: they are mapped again and again where a
 * rank sends, and where rank 0 gets the same rows as rank 1, so that rank 1's
 * result alone takes memory. */
#include "config.h"

#include "tests/mpi_support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROW   (INT64_C(1) << 20) /* bytes */
#define COLS  (ROW / 2)          /* bf16 */
#define KINDS 7
#define ROWS  2100 /* a row of a mebibyte: 2^31 bytes and 52 rows */
#define FEW   15

static const moe_op_t ops[] = {MOE_OP_alltoallv, MOE_OP_allgatherv,
                               MOE_OP_broadcast, MOE_OP_reducescatterv,
                               MOE_OP_allreduce};

static int64_t kind_of(int64_t row)
{
    return row * 5 % KINDS;
}

/* A normal number of each place and kind; its double has an exponent more. */
static uint16_t bits_of(int64_t kind, int64_t col, bool doubled)
{
    return (uint16_t)(0x0400 + (kind * 1009 + col * 31) % 0x3000 +
                      (doubled ? 0x80 : 0));
}

static void fill_row(int64_t kind, bool doubled, uint16_t *row)
{
    for (int64_t c = 0; c < COLS; c++) {
        row[c] = bits_of(kind, c, doubled);
    }
}

/* As many rows as asked for, in the memory of seven. */
static void *map_rows(int64_t rows)
{
    int fd = memfd_create("rows", MFD_CLOEXEC);
    char *at = mmap(NULL, (size_t)((rows + 1) * ROW), PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, KINDS * ROW), 0);
    ck_assert_ptr_ne(at, MAP_FAILED);
    for (int64_t i = 0; i < rows; i++) {
        ck_assert_ptr_ne(mmap(at + i * ROW, (size_t)ROW, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_FIXED, fd, kind_of(i) * ROW),
                         MAP_FAILED);
    }
    (void)close(fd);
    return at;
}

static moe_tensor_t mapped(int64_t rows)
{
    moe_tensor_t t = {.role = MOE_ROLE_combine,
                      .storage.format = MOE_FORMAT_bf16,
                      .dtype = MOE_DTYPE_bf16,
                      .ndim = 2,
                      .data = map_rows(rows),
                      .valid_rows = rows,
                      .row_stride = COLS};

    t.dim[0] = rows;
    t.dim[1] = COLS;
    return t;
}

static void unmap(moe_tensor_t *t)
{
    (void)munmap(t->data, (size_t)((t->dim[0] + 1) * ROW));
}

/* Every byte of every row. */
static void check_rows(const void *data, int64_t rows, bool doubled)
{
    uint16_t *expected = malloc((size_t)ROW);

    ck_assert_ptr_nonnull(expected);
    for (int64_t kind = 0; kind < KINDS; kind++) {
        fill_row(kind, doubled, expected);
        for (int64_t i = 0; i < rows; i++) {
            ck_assert_msg(kind_of(i) != kind ||
                              memcmp((const char *)data + i * ROW, expected,
                                     (size_t)ROW) == 0,
                          "row %d is not what was sent", (int)i);
        }
    }
    free(expected);
}

/* What the ranks give and get, as moe/backend.h says. */
typedef struct {
    int64_t in; /* rows of the tensors of this rank */
    int64_t out;
    int64_t send[2];
    int64_t recv[2];
} rows_t;

static rows_t rows_of(moe_op_t op, int64_t n)
{
    const bool first = test_rank == 0;

    switch ((int)op) {
    case MOE_OP_alltoallv:
        return first ? (rows_t){n, 0, {0, n}, {0, 0}}
                     : (rows_t){0, n, {0, 0}, {n, 0}};
    case MOE_OP_allgatherv:
        return first ? (rows_t){n, n, {n, n}, {n, 0}}
                     : (rows_t){0, n, {0, 0}, {n, 0}};
    case MOE_OP_broadcast:
        return first ? (rows_t){n, n, {n, n}, {n, 0}}
                     : (rows_t){0, n, {n, n}, {n, 0}};
    case MOE_OP_reducescatterv:
        return first ? (rows_t){n, 0, {0, n}, {0, 0}}
                     : (rows_t){n, n, {0, n}, {n, n}};
    default:
        return (rows_t){n, n, {n, n}, {n, n}};
    }
}

static void move(moe_op_t op, int64_t n)
{
    const bool sums = op == MOE_OP_reducescatterv || op == MOE_OP_allreduce;
    const rows_t rows = rows_of(op, n);
    moe_tensor_t in = mapped(rows.in);
    moe_tensor_t out = {0};
    moe_call_t call;
    test_run_t run;

    for (int64_t i = 0; i < rows.in && i < KINDS; i++) {
        fill_row(kind_of(i), false, (uint16_t *)in.data + i * COLS);
    }
    test_run_init(&run, MOE_NUMERICS_faithful, true, NULL);
    out = mapped(test_rank == 0 ? rows.out : 0);
    if (test_rank == 1) {
        unmap(&out);
        out.dim[0] = out.valid_rows = rows.out;
        ck_assert_int_eq(run.backend->alloc(run.backend, &out), MOE_OK);
    }
    call = test_call(&run, op, &in, &out, rows.send, rows.recv);
    call.root = op == MOE_OP_broadcast ? 0 : -1;
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    if (test_rank == 1) {
        check_rows(out.data, rows.out, sums);
        run.backend->free(run.backend, &out);
    } else {
        unmap(&out);
    }
    unmap(&in);
    test_run_fini(&run);
}

START_TEST(an_operation_moves_whole_rows_of_a_mebibyte)
{
    move(ops[_i], FEW);
}
END_TEST

START_TEST(an_operation_moves_more_bytes_than_an_int_counts)
{
    move(ops[_i], ROWS);
}
END_TEST

int main(void)
{
    const int n = (int)(sizeof(ops) / sizeof(ops[0]));
    Suite *suite = suite_create("large transfer");
    TCase *tc = tcase_create("rows");

    tcase_set_timeout(tc, 600);
    tcase_add_loop_test(tc, an_operation_moves_whole_rows_of_a_mebibyte, 0, n);
    if (moe_test_full()) {
        tcase_add_loop_test(
            tc, an_operation_moves_more_bytes_than_an_int_counts, 0, n);
    }
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
