/* SPDX-License-Identifier: Apache-2.0 */
/* Data built so that float64 alone is wrong, and what happens if the bound
 * that says so is broken: the same file with the bound taken out. */
#include "config.h"

#include "ref/matmul.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <string.h>

#define EXACT_UNITS         0x1p900
#define moe_float_supports  broken_supports
#define moe_float_workspace broken_workspace
#define moe_float_matmul    broken_matmul
#define decide              broken_decide /* clones share no name */
#define decide_bare         broken_decide_bare
#define add_parts           broken_add_parts
#define store_fp32          broken_store_fp32
#define store_bf16          broken_store_bf16
#include "ref/matmul_float.c"
#undef moe_float_matmul
#undef decide
#undef decide_bare
#undef add_parts
#undef store_fp32
#undef store_bf16

enum {
    K = 96,
    N = 16
};

static uint16_t x[K];
static uint16_t w[N * K];
static uint32_t good[N];
static uint32_t bad[N];

static uint16_t bf16(double value)
{
    return (uint16_t)moe_round_f64(MOE_FORMAT_bf16, value);
}

/* Output j: 2^56 - 2^56 around (1 + 2^-7) + j 2^-24: the exact sum is near a
 * tie of bf16 and is lost where 2^56 is added first. */
static void build(void)
{
    for (int k = 0; k < K; k++) {
        x[k] = bf16(1.0);
    }
    for (int j = 0; j < N; j++) {
        uint16_t *row = w + j * K;

        memset(row, 0, K * sizeof(*row));
        row[0] = bf16(0x1p56);
        row[7] = bf16(1.0 + 0x1p-7);
        row[19] = bf16(0x1p-8);
        row[40] = bf16(j % 2 == 0 ? 0x1p-30 : -0x1p-30);
        row[K - 1] = bf16(-0x1p56);
    }
}

START_TEST(breaking_the_bound_is_seen)
{
    const moe_rows_t rows = {.storage = {.format = MOE_FORMAT_bf16},
                             .rows = 1,
                             .cols = K,
                             .codes = x};
    const moe_rows_t given = {.storage = {.format = MOE_FORMAT_bf16},
                              .rows = N,
                              .cols = K,
                              .codes = w};
    const moe_ref_weights_t weights = {.format = MOE_FORMAT_bf16,
                                       .given = &given};
    const int64_t offset[2] = {0, 1};
    const moe_format_t formats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp32};
    moe_ref_stats_t stats = {0, 0, 0};
    moe_ref_stats_t broken = {0, 0, 0};

    build();
    for (int f = 0; f < 2; f++) {
        moe_rows_t out = {.storage = {.format = formats[f]},
                          .rows = 1,
                          .cols = N,
                          .codes = good};
        int wrong = 0;

        ck_assert_int_eq(
            moe_ref_grouped_matmul(&weights, &rows, offset, 1, &out, &stats),
            MOE_OK);
        out.codes = bad;
        ck_assert_int_eq(
            broken_matmul(&weights, &rows, offset, 1, &out, &broken), MOE_OK);
        for (int j = 0; j < N; j++) {
            double a[K], b[K];
            uint32_t code = moe_float_load(formats[f], good, j);

            for (int k = 0; k < K; k++) {
                a[k] = (double)moe_bf16_to_f32(x[k]);
                b[k] = (double)moe_bf16_to_f32(w[j * K + k]);
            }
            ck_assert_double_eq(moe_float_value(formats[f], code),
                                judge_sum(a, b, K, formats[f]));
            wrong += code != moe_float_load(formats[f], bad, j);
        }
        ck_assert_int_ge(wrong, N / 2);
    }
    ck_assert_int_gt(stats.redone_sum2, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matmul_bound");
    TCase *tests = tcase_create("bound");

    tcase_add_test(tests, breaking_the_bound_is_seen);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
