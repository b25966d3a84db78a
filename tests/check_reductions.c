/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/reductions.h"

#include <math.h>
#include <string.h>

static int64_t rows_of(int rank)
{
    static const int64_t rows[] = {3, 0, 5, 1};

    return rows[rank % 4];
}

static int64_t sum_of(const int64_t *rows)
{
    int64_t sum = 0;

    for (int i = 0; i < test_ranks; i++) {
        sum += rows[i];
    }
    return sum;
}

static float value_of(uint16_t bits)
{
    uint32_t word = (uint32_t)bits << 16;
    float value;

    memcpy(&value, &word, sizeof(value));
    return value;
}

uint16_t round_bf16(double value)
{
    double step;
    int exponent;
    float rounded;
    uint32_t word;

    if (fabs(value) <= 0.0) {
        return 0;
    }
    (void)frexp(value, &exponent);
    step = ldexp(1.0, exponent - 8);
    rounded = (float)(nearbyint(value / step) * step);
    memcpy(&word, &rounded, sizeof(word));
    return (uint16_t)(word >> 16);
}

/* A partial value that any rank can make; sums of them round. */
static uint16_t partial(int rank, int64_t row, int64_t col)
{
    int64_t x = (rank * 7919 + row * 104729 + col * 1299709) % 2039 - 1019;

    return round_bf16(ldexp((double)x, (int)(x % 5)));
}

static void fill_partial(moe_tensor_t *t)
{
    for (int64_t i = 0; i < t->dim[0] * COLS; i++) {
        ((uint16_t *)t->data)[i] = partial(test_rank, i / COLS, i % COLS);
    }
}

static uint16_t folded(int64_t row, int64_t col, bool exact)
{
    double sum = (double)value_of(partial(0, row, col));

    for (int r = 1; r < test_ranks; r++) {
        sum += (double)value_of(partial(r, row, col));
        if (!exact) {
            sum = (double)value_of(round_bf16(sum));
        }
    }
    return round_bf16(sum);
}

static void check_reduced(const moe_tensor_t *t, int64_t row, bool exact)
{
    for (int64_t i = 0; i < t->dim[0] * COLS; i++) {
        ck_assert_uint_eq(((const uint16_t *)t->data)[i],
                          folded(row + i / COLS, i % COLS, exact));
    }
}

static void reduce_plain(moe_numerics_t numerics)
{
    bool exact = numerics == MOE_NUMERICS_exact;
    test_run_t run;
    int64_t each[64];
    int64_t own[64];
    int64_t total[64];
    int64_t first = 0;
    moe_tensor_t *in;
    moe_tensor_t *out;
    moe_call_t call;

    test_run_init(&run, numerics, true, NULL);
    for (int i = 0; i < test_ranks; i++) {
        each[i] = rows_of(i);
        own[i] = rows_of(test_rank);
        first += i < test_rank ? rows_of(i) : 0;
    }
    in = test_tensor(&run, MOE_FORMAT_bf16, sum_of(each), COLS);
    fill_partial(in);
    out = test_tensor(&run, MOE_FORMAT_bf16, rows_of(test_rank), COLS);
    call = test_call(&run, MOE_OP_reducescatterv, in, out, each, own);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    check_reduced(out, first, exact);
    test_tensor_free(&run, out);

    for (int i = 0; i < test_ranks; i++) {
        total[i] = in->dim[0];
    }
    out = test_tensor(&run, MOE_FORMAT_bf16, in->dim[0], COLS);
    call = test_call(&run, MOE_OP_allreduce, in, out, total, total);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    check_reduced(out, 0, exact);
    test_tensor_free(&run, out);
    test_tensor_free(&run, in);
    test_run_fini(&run);
}

START_TEST(faithful_reductions_fold_in_rank_order)
{
    reduce_plain(MOE_NUMERICS_faithful);
}
END_TEST

START_TEST(exact_reductions_round_once)
{
    reduce_plain(MOE_NUMERICS_exact);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reductions");
    TCase *tc = tcase_create("rows");

    tcase_add_test(tc, faithful_reductions_fold_in_rank_order);
    tcase_add_test(tc, exact_reductions_round_once);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, unrounded_sums());
    return moe_mpi_suite_main(suite);
}
