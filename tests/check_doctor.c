/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor's test of BLAS must notice a wrong one: here is a BLAS that is wrong
 * on demand, in front of the real one.
 */
#include "tests/support.h"

#include "sim/doctor/doctor.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

typedef enum {
    FAULT_none,
    FAULT_beta,    /* reads C although beta is 0 */
    FAULT_tail,    /* forgets the last term of an odd K */
    FAULT_edge,    /* last row, if M is not a multiple of 8 */
    FAULT_beyond,  /* writes behind a row of C */
    FAULT_swapped, /* ignores a transposed B */
    FAULT_float,   /* sgemm alone */
    FAULT_COUNT
} fault_t;

static fault_t fault;

/* One element of the product; strides of A and B by row and column. */
static double element(const double *a, int a_step, const double *b, int b_step,
                      int k)
{
    double sum = 0.0;
    int n = fault == FAULT_tail && k > 1 && k % 2 == 1 ? k - 1 : k;
    int p;

    for (p = 0; p < n; ++p) {
        sum += a[p * a_step] * b[p * b_step];
    }
    return sum;
}

void cblas_dgemm(const enum CBLAS_ORDER order,
                 const enum CBLAS_TRANSPOSE trans_a,
                 const enum CBLAS_TRANSPOSE trans_b, const int m, const int n,
                 const int k, const double alpha, const double *a,
                 const int lda, const double *b, const int ldb,
                 const double beta, double *c, const int ldc)
{
    bool ta = trans_a == CblasTrans;
    bool tb = trans_b == CblasTrans && fault != FAULT_swapped;
    int i;
    int j;

    ck_assert_int_eq(order, CblasRowMajor);
    for (i = 0; i < m; ++i) {
        for (j = 0; j < n; ++j) {
            double sum =
                alpha * element(ta ? a + i : a + i * lda, ta ? lda : 1,
                                tb ? b + j * ldb : b + j, tb ? 1 : ldb, k);

            if (fault == FAULT_edge && i == m - 1 && m % 8 != 0) {
                sum += 1.0;
            }
            if (fault == FAULT_beta) {
                sum += beta * c[i * ldc + j];
            }
            c[i * ldc + j] = sum;
        }
        if (fault == FAULT_beyond) {
            c[i * ldc + n] = 0.0;
        }
    }
}

void cblas_sgemm(const enum CBLAS_ORDER order,
                 const enum CBLAS_TRANSPOSE trans_a,
                 const enum CBLAS_TRANSPOSE trans_b, const int m, const int n,
                 const int k, const float alpha, const float *a, const int lda,
                 const float *b, const int ldb, const float beta, float *c,
                 const int ldc)
{
    bool ta = trans_a == CblasTrans;
    bool tb = trans_b == CblasTrans;
    int i;
    int j;
    int p;

    ck_assert_int_eq(order, CblasRowMajor);
    for (i = 0; i < m; ++i) {
        for (j = 0; j < n; ++j) {
            float sum = fault == FAULT_float ? 1.0f : 0.0f;

            for (p = 0; p < k; ++p) {
                sum += (ta ? a[p * lda + i] : a[i * lda + p]) *
                       (tb ? b[j * ldb + p] : b[p * ldb + j]);
            }
            c[i * ldc + j] = alpha * sum;
        }
    }
    (void)beta;
}

START_TEST(a_right_blas_is_right)
{
    char why[256] = "";

    fault = FAULT_none;
    ck_assert_int_gt(moe_blas_test(why, sizeof(why)), 10000);
    ck_assert_str_eq(why, "");
}
END_TEST

START_TEST(every_fault_is_noticed_and_told)
{
    int f;

    for (f = FAULT_none + 1; f < FAULT_COUNT; ++f) {
        char why[256] = "";

        fault = (fault_t)f;
        ck_assert_msg(moe_blas_test(why, sizeof(why)) < 0, "fault %d", f);
        ck_assert_ptr_nonnull(strstr(why, "plain loops say"));
        ck_assert_int_eq(strncmp(why, f == FAULT_float ? "sgemm" : "dgemm", 5),
                         0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("doctor");
    TCase *tcase = tcase_create("blas");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_right_blas_is_right);
    tcase_add_test(tcase, every_fault_is_noticed_and_told);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
