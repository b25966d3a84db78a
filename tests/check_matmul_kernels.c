/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles whose weights are decoded in the cache, by each kernel of the
 * processor: the bits of cblas_dgemm, and what MPFR says. */
#include "config.h"

#include "ref/dot.h"
#include "ref/gemm.h"
#include "ref/matmul.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPERTS = 4,
    ROWS = 131,
    K = 2048 + 128 + 72, /* two pieces of fp32, the last of 128 cut */
    N = 203,             /* two panels, no whole number of any kernel's rows */
    JUDGED = 97          /* one element of so many */
};

static const int64_t offset[EXPERTS + 1] = {0, 70, 71, 71, ROWS};
static const char *const names[] = {"vnni", "avx2", "blas"};

static uint16_t x[ROWS * K];
static uint16_t w[EXPERTS * N * K];
static uint32_t first[ROWS * N];
static uint32_t again[ROWS * N];

static void draw(uint64_t seed, uint16_t *codes, int64_t rows)
{
    for (int64_t i = 0; i < rows * K; i++) {
        /* every fifth row has wide exponents, and no fp32 squares */
        const int low = i / K % 5 == 0 ? -100 : -6;

        codes[i] = (uint16_t)moe_round_f64(MOE_FORMAT_bf16,
                                           judge_number(&seed, 24, low, 2));
    }
}

static moe_rows_t rows_of(uint16_t *codes, int64_t n)
{
    return (moe_rows_t){.storage = {.format = MOE_FORMAT_bf16},
                        .rows = n,
                        .cols = K,
                        .codes = codes};
}

static void multiply(const char *kernel, moe_format_t format, uint32_t *out)
{
    moe_rows_t given[EXPERTS];
    const moe_ref_weights_t weights = {.format = MOE_FORMAT_bf16,
                                       .given = given};
    const moe_rows_t rows = rows_of(x, ROWS);
    const moe_rows_t to = {
        .storage = {.format = format}, .rows = ROWS, .cols = N, .codes = out};
    moe_ref_stats_t stats = {0, 0, 0};

    for (int e = 0; e < EXPERTS; e++) {
        given[e] = rows_of(w + (int64_t)e * N * K, N);
    }
    ck_assert_int_eq(setenv("MOESIM_KERNEL", kernel, 1), 0);
    ck_assert_int_eq(
        moe_ref_grouped_matmul(&weights, &rows, offset, EXPERTS, &to, &stats),
        MOE_OK);
    ck_assert_int_eq(stats.elements, ROWS * N);
    ck_assert_int_eq(unsetenv("MOESIM_KERNEL"), 0);
}

static double judged(int64_t e, int64_t i, int64_t j, moe_format_t format)
{
    const moe_rows_t a = rows_of(x, ROWS);
    const moe_rows_t b = rows_of(w + e * N * K, N);
    mpfr_t sum, term;
    double value;

    mpfr_inits2(JUDGE_BITS, sum, term, (mpfr_ptr)0);
    mpfr_set_zero(sum, 1);
    for (int64_t k = 0; k < K; k++) {
        mpfr_set_d(term, moe_rows_value(&a, i, k), MPFR_RNDN);
        mpfr_mul_d(term, term, moe_rows_value(&b, j, k), MPFR_RNDN);
        mpfr_add(sum, sum, term, MPFR_RNDN);
    }
    value = judge_round(sum, format);
    mpfr_clears(sum, term, (mpfr_ptr)0);
    return value;
}

static void assert_judged(moe_format_t format)
{
    for (int64_t e = 0; e < EXPERTS; e++) {
        for (int64_t at = offset[e] * N; at < offset[e + 1] * N; at += JUDGED) {
            ck_assert_double_eq(
                moe_float_value(format, moe_float_load(format, first, at)),
                judged(e, at / N, at % N, format));
        }
    }
}

static const moe_format_t outs[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                    MOE_FORMAT_fp32};

START_TEST(each_kernel_gives_the_exact_sum_rounded_once)
{
    const moe_format_t format = outs[_i];

    draw(1, x, ROWS);
    draw(2, w, EXPERTS * N);
    multiply(names[0], format, first);
    assert_judged(format);
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        memset(again, 0xa5, sizeof(again));
        multiply(names[i], format, again);
        ck_assert_msg(memcmp(first, again,
                             (size_t)(ROWS * N) *
                                 (format == MOE_FORMAT_fp32 ? 4 : 2)) == 0,
                      "%s is not %s", names[i], names[0]);
    }
}
END_TEST

START_TEST(the_kernel_is_the_best_that_is_permitted)
{
    const moe_gemm_kernel_t *best = moe_gemm_kernel();

    ck_assert(best == NULL || best->available());
    ck_assert(!moe_gemm_avx512.available() || best == &moe_gemm_avx512);
    ck_assert_int_eq(setenv("MOESIM_KERNEL", "blas", 1), 0);
    ck_assert_ptr_null(moe_gemm_kernel());
    ck_assert_int_eq(setenv("MOESIM_KERNEL", "avx2", 1), 0);
    ck_assert_ptr_eq(moe_gemm_kernel(),
                     moe_gemm_avx2.available() ? &moe_gemm_avx2 : NULL);
    ck_assert_int_eq(unsetenv("MOESIM_KERNEL"), 0);
}
END_TEST

START_TEST(panels_hold_every_row_and_stay_within_their_room)
{
    const moe_gemm_kernel_t *all[] = {&moe_gemm_avx512, &moe_gemm_avx2};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int64_t most = 0;

        for (int64_t n = 1; n <= 512; n++) {
            const moe_gemm_panels_t p = moe_gemm_panels(all[i], n);
            const int64_t rows = p.panels * p.rows;

            most = rows > most ? rows : most;
            ck_assert_int_le(p.registers, all[i]->most);
            ck_assert_int_ge(rows, n);
            ck_assert_int_le(most, moe_gemm_padded(all[i], n));
        }
    }
}
END_TEST

/* The norm from codes is from above, and next to that from values. */
START_TEST(facts_of_bf16_rows_are_those_of_their_values)
{
    static double values[K];
    double norm, least, want, want_least;

    draw(3, x, 2);
    for (int64_t n = 0; n < K; n += 37) {
        const uint16_t *row = x + K; /* the first has wide exponents */

        for (int64_t i = 0; i < n; i++) {
            values[i] = (double)moe_bf16_to_f32(row[i]);
        }
        moe_dot_facts(values, n, &want, &want_least);
        ck_assert(moe_dot_facts_bf16(row, n, &norm, &least));
        ck_assert(least == want_least);
        ck_assert_double_ge(norm * (1.0 + 0x1p-40), want);
        ck_assert_double_le(norm, want * (1.0 + 0x1p-15));
    }
    ck_assert(!moe_dot_facts_bf16(x, K, &norm, &least));
    x[K + 5] = 0x7f80;
    ck_assert(!moe_dot_facts_bf16(x + K, K, &norm, &least));
    x[K + 5] = 0x7fc0;
    ck_assert(!moe_dot_facts_bf16(x + K, K, &norm, &least));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matmul_kernels");
    TCase *tests = tcase_create("kernels");

#ifdef HAVE_OPENBLAS
    openblas_set_num_threads(1); /* else BLAS has it all */
#endif
    tcase_add_loop_test(tests, each_kernel_gives_the_exact_sum_rounded_once, 0,
                        (int)(sizeof(outs) / sizeof(outs[0])));
    tcase_add_test(tests, the_kernel_is_the_best_that_is_permitted);
    tcase_add_test(tests, panels_hold_every_row_and_stay_within_their_room);
    tcase_add_test(tests, facts_of_bf16_rows_are_those_of_their_values);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
