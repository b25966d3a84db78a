/* SPDX-License-Identifier: Apache-2.0 */
/* A second BLAS for tests: cblas_dgemm that sums backwards. A program that
 * links it calls this one, and so shows that results do not depend on the
 * order of a BLAS. Only what the matmuls use: row-major, A and B transposed,
 * alpha 1, beta 0. */
#include <cblas.h>
#include <stdlib.h>

void cblas_dgemm(OPENBLAS_CONST enum CBLAS_ORDER order,
                 OPENBLAS_CONST enum CBLAS_TRANSPOSE trans_a,
                 OPENBLAS_CONST enum CBLAS_TRANSPOSE trans_b,
                 OPENBLAS_CONST blasint m, OPENBLAS_CONST blasint n,
                 OPENBLAS_CONST blasint k, OPENBLAS_CONST double alpha,
                 OPENBLAS_CONST double *a, OPENBLAS_CONST blasint lda,
                 OPENBLAS_CONST double *b, OPENBLAS_CONST blasint ldb,
                 OPENBLAS_CONST double beta, double *c,
                 OPENBLAS_CONST blasint ldc)
{
    if (order != CblasRowMajor || trans_a != CblasNoTrans ||
        trans_b != CblasTrans || alpha < 1.0 || alpha > 1.0 || beta < 0.0 ||
        beta > 0.0) {
        abort();
    }
    for (long i = 0; i < m; i++) {
        for (long j = 0; j < n; j++) {
            double sum = 0.0;

            for (long l = k - 1; l >= 0; l--) {
                sum += a[i * lda + l] * b[j * ldb + l];
            }
            c[i * ldc + j] = sum;
        }
    }
}
