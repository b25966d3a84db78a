/* SPDX-License-Identifier: Apache-2.0 */
/* Unrounded sums over two all-to-alls, and over an all-reduce: terms that two
 * numbers cannot hold go along, whatever the cut of the rows. */
#include "config.h"

#include "tests/mpi_support.h"

#include <stdlib.h>

enum {
    COLS = 8,
    SLOTS = 4,
    TOKENS = 6
};

/* A tie of bf16 between two large numbers that cancel, pushed up or down by a
 * trifle that is beyond 106 bits. */
static double term_of(int64_t token, int slot, int64_t col)
{
    switch ((slot + (int)token) % SLOTS) {
    case 0:
        return 0x1p120;
    case 1:
        return 1.0 + 0x1p-8;
    case 2:
        return (col + token) % 2 == 0 ? 0x1p-100 : -0x1p-100;
    default:
        return -0x1p120;
    }
}

static uint16_t want(int64_t token, int64_t col)
{
    return (col + token) % 2 == 0 ? 0x3f81 : 0x3f80;
}

/* A tensor as the front-ends would make it. */
static moe_tensor_t *make(test_run_t *run, moe_role_t role, int64_t rows,
                          bool kept)
{
    moe_tensor_t *t = calloc(1, sizeof(*t));

    ck_assert_ptr_nonnull(t);
    t->role = role;
    t->storage.format = MOE_FORMAT_bf16;
    t->dtype = MOE_DTYPE_bf16;
    t->dim[0] = t->valid_rows = rows;
    t->dim[1] = COLS;
    t->carried_exact = t->kept = kept;
    if (role != MOE_ROLE_index) {
        ck_assert_int_eq(run->backend->alloc(run->backend, t), MOE_OK);
    }
    return t;
}

static void run_local(test_run_t *run, moe_op_t op, moe_tensor_t *in,
                      moe_tensor_t *index, moe_tensor_t *out)
{
    moe_call_t call = {.op = op, .n_in = index != NULL ? 2 : 1, .n_out = 1};
    moe_trace_record_t record = {0};

    call.in[0] = in;
    call.in[1] = index;
    call.out[0] = out;
    ck_assert_int_eq(run->backend->run(run->backend, &call, &record), MOE_OK);
}

/* Sums of TOKENS tokens of this rank, times sign, kept. */
static moe_tensor_t *new_sums(test_run_t *run, double sign)
{
    moe_tensor_t *ids = test_tensor(run, MOE_FORMAT_i32, TOKENS, SLOTS);
    moe_tensor_t *rows =
        test_tensor(run, MOE_FORMAT_fp32, TOKENS * SLOTS, COLS);
    moe_tensor_t *kept = make(run, MOE_ROLE_combine, TOKENS * SLOTS, true);
    moe_tensor_t *index = make(run, MOE_ROLE_index, TOKENS * SLOTS, false);
    moe_tensor_t *sums = make(run, MOE_ROLE_combine, TOKENS, true);
    int64_t counts[SLOTS] = {TOKENS, TOKENS, TOKENS, TOKENS};

    for (int64_t i = 0; i < TOKENS * SLOTS; i++) {
        ((int32_t *)ids->data)[i] = (int32_t)(i % SLOTS);
        for (int64_t c = 0; c < COLS; c++) {
            ((float *)rows->data)[i * COLS + c] =
                (float)(sign * term_of(i % TOKENS, (int)(i / TOKENS), c));
        }
    }
    index->index = MOE_INDEX_pairs;
    index->n_experts = SLOTS;
    index->rows_per_expert = counts;
    index->source[0] = ids;
    ck_assert_int_eq(run->backend->alloc(run->backend, index), MOE_OK);
    run_local(run, MOE_OP_convert, rows, NULL, kept);
    run_local(run, MOE_OP_sort_rows, ids, NULL, index);
    run_local(run, MOE_OP_weighted_sum, kept, index, sums);
    test_tensor_free(run, ids);
    test_tensor_free(run, rows);
    test_tensor_free(run, kept);
    test_tensor_free(run, index);
    return sums;
}

static moe_tensor_t *hop(test_run_t *run, moe_tensor_t *in, const int64_t *send,
                         const int64_t *recv)
{
    int64_t rows = 0;
    moe_tensor_t *out;
    moe_call_t call;

    for (int i = 0; i < test_ranks; i++) {
        rows += recv[i];
    }
    out = make(run, MOE_ROLE_combine, rows, true);
    call = test_call(run, MOE_OP_alltoallv, in, out, send, recv);
    ck_assert_int_eq(test_do(run, &call), MOE_OK);
    test_tensor_free(run, in);
    return out;
}

START_TEST(terms_go_along_over_two_hops)
{
    int64_t send[64];
    int64_t recv[64];
    moe_tensor_t *rounded;
    moe_tensor_t *t;
    test_run_t run;

    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    /* ragged: rank s sends more to the ranks after it */
    for (int i = 0; i < test_ranks; i++) {
        moe_range_t to =
            moe_layout_part(TOKENS, test_ranks, (i + test_rank) % test_ranks);
        moe_range_t from =
            moe_layout_part(TOKENS, test_ranks, (test_rank + i) % test_ranks);

        send[i] = to.end - to.begin;
        recv[i] = from.end - from.begin;
    }
    t = hop(&run, new_sums(&run, 1.0), send, recv);
    t = hop(&run, t, recv, send);
    ck_assert_int_eq(t->dim[0], TOKENS);
    rounded = make(&run, MOE_ROLE_output, TOKENS, false);
    run_local(&run, MOE_OP_convert, t, NULL, rounded);
    for (int64_t i = 0; i < TOKENS * COLS; i++) {
        ck_assert_uint_eq(((const uint16_t *)rounded->data)[i],
                          want(i / COLS, i % COLS));
    }
    ck_assert_int_ge(moe_ref_backend_stats(run.backend)->redone_exact, TOKENS);
    test_tensor_free(&run, t);
    test_tensor_free(&run, rounded);
    test_run_fini(&run);
}
END_TEST

/* Every second rank takes away what the one before it adds: once the sums of a
 * rank are left, or twice, which is one more in the exponent. */
START_TEST(terms_go_along_over_an_all_reduce)
{
    const bool twice = test_ranks % 2 == 0;
    int64_t rows[64];
    moe_tensor_t *out;
    moe_tensor_t *in;
    moe_tensor_t *rounded;
    moe_call_t call;
    test_run_t run;

    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    for (int i = 0; i < test_ranks; i++) {
        rows[i] = TOKENS;
    }
    in = new_sums(&run, test_rank == 0 || test_rank % 2 != 0 ? 1.0 : -1.0);
    out = make(&run, MOE_ROLE_combine, TOKENS, true);
    call = test_call(&run, MOE_OP_allreduce, in, out, rows, rows);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    rounded = make(&run, MOE_ROLE_output, TOKENS, false);
    run_local(&run, MOE_OP_convert, out, NULL, rounded);
    for (int64_t i = 0; i < TOKENS * COLS; i++) {
        ck_assert_uint_eq(((const uint16_t *)rounded->data)[i],
                          want(i / COLS, i % COLS) + (twice ? 0x80u : 0u));
    }
    test_tensor_free(&run, in);
    test_tensor_free(&run, out);
    test_tensor_free(&run, rounded);
    test_run_fini(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hops");
    TCase *tc = tcase_create("two hops");

    tcase_add_test(tc, terms_go_along_over_two_hops);
    tcase_add_test(tc, terms_go_along_over_an_all_reduce);
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
