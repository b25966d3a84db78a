/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAS against plain loops. Values are whole numbers small enough for every
 * sum to be exact in float, so that any difference is a fault.
 */
#include "sim/doctor/doctor.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MAX  300
#define PAD       3       /* columns of C that BLAS must leave alone */
#define UNTOUCHED 12345.0 /* what they hold */

/* Operands in both storage orders: A [M][K], B [K][N], C [M][N + PAD]. */
typedef struct {
    double *a;
    double *a_t;
    double *b;
    double *b_t;
    double *want;
    double *got;
    float *fa;
    float *fb;
    float *fgot;
} bench_t;

static void bench_fini(bench_t *x)
{
    free(x->a);
    free(x->a_t);
    free(x->b);
    free(x->b_t);
    free(x->want);
    free(x->got);
    free(x->fa);
    free(x->fb);
    free(x->fgot);
}

static bool bench_init(bench_t *x)
{
    size_t n = (size_t)SIDE_MAX * (SIDE_MAX + PAD);

    memset(x, 0, sizeof(*x));
    x->a = calloc(n, sizeof(double));
    x->a_t = calloc(n, sizeof(double));
    x->b = calloc(n, sizeof(double));
    x->b_t = calloc(n, sizeof(double));
    x->want = calloc(n, sizeof(double));
    x->got = calloc(n, sizeof(double));
    x->fa = calloc(n, sizeof(float));
    x->fb = calloc(n, sizeof(float));
    x->fgot = calloc(n, sizeof(float));
    return x->a != NULL && x->a_t != NULL && x->b != NULL && x->b_t != NULL &&
           x->want != NULL && x->got != NULL && x->fa != NULL &&
           x->fb != NULL && x->fgot != NULL;
}

/* Whole numbers in [-8, 8], a different one at nearly every place. */
static double value(size_t row, size_t col, size_t salt)
{
    size_t x = (row * 2654435761u + col * 40503u + salt * 977u) >> 3;

    return (double)(x % 17) - 8.0;
}

static void fill(bench_t *x, size_t m, size_t n, size_t k)
{
    size_t i;
    size_t j;
    size_t p;

    for (i = 0; i < m; ++i) {
        for (p = 0; p < k; ++p) {
            x->a[i * k + p] = x->a_t[p * m + i] = value(i, p, m + n + k);
        }
    }
    for (p = 0; p < k; ++p) {
        for (j = 0; j < n; ++j) {
            x->b[p * n + j] = x->b_t[j * k + p] = value(p, j, m * n + k);
        }
    }
    memset(x->want, 0, m * n * sizeof(*x->want));
    for (i = 0; i < m; ++i) {
        for (p = 0; p < k; ++p) {
            for (j = 0; j < n; ++j) {
                x->want[i * n + j] += x->a[i * k + p] * x->b[p * n + j];
            }
        }
    }
}

static bool differs(double a, double b)
{
    return !(a <= b && a >= b); /* NaN differs from all */
}

/* A transpose as BLAS names it, and its operand's row length. */
typedef struct {
    bool a;
    bool b;
} trans_t;

static void multiply(bench_t *x, const int d[3], trans_t t, bool is_float)
{
    CBLAS_TRANSPOSE ta = t.a ? CblasTrans : CblasNoTrans;
    CBLAS_TRANSPOSE tb = t.b ? CblasTrans : CblasNoTrans;
    const double *a = t.a ? x->a_t : x->a;
    const double *b = t.b ? x->b_t : x->b;
    int lda = t.a ? d[0] : d[2];
    int ldb = t.b ? d[2] : d[1];
    int ldc = d[1] + PAD;
    int i;

    for (i = 0; i < d[0] * ldc; ++i) {
        x->got[i] = i % ldc < d[1] ? (double)NAN : UNTOUCHED;
        x->fgot[i] = (float)x->got[i];
    }
    if (!is_float) {
        cblas_dgemm(CblasRowMajor, ta, tb, d[0], d[1], d[2], 1.0, a, lda, b,
                    ldb, 0.0, x->got, ldc);
        return;
    }
    for (i = 0; i < d[0] * d[2]; ++i) {
        x->fa[i] = (float)a[i];
    }
    for (i = 0; i < d[2] * d[1]; ++i) {
        x->fb[i] = (float)b[i];
    }
    cblas_sgemm(CblasRowMajor, ta, tb, d[0], d[1], d[2], 1.0f, x->fa, lda,
                x->fb, ldb, 0.0f, x->fgot, ldc);
}

static bool compare(const bench_t *x, const int d[3], trans_t t, bool is_float,
                    char *why, size_t size)
{
    int ldc = d[1] + PAD;
    int i;

    for (i = 0; i < d[0] * ldc; ++i) {
        int row = i / ldc;
        int col = i % ldc;
        double got = is_float ? (double)x->fgot[i] : x->got[i];
        double want = col < d[1] ? x->want[row * d[1] + col] : UNTOUCHED;

        if (differs(got, want)) {
            (void)snprintf(why, size,
                           "%s of %d x %d x %d%s%s: element (%d, %d) is %g, "
                           "plain loops say %g",
                           is_float ? "sgemm" : "dgemm", d[0], d[1], d[2],
                           t.a ? ", A transposed" : "",
                           t.b ? ", B transposed" : "", row, col, got, want);
            return false;
        }
    }
    return true;
}

/* All transposes and both types of one shape; number of products, or -1. */
static long test_shape(bench_t *x, const int d[3], char *why, size_t size)
{
    long n = 0;
    int bits;

    fill(x, (size_t)d[0], (size_t)d[1], (size_t)d[2]);
    for (bits = 0; bits < 8; ++bits) {
        trans_t t = {(bits & 1) != 0, (bits & 2) != 0};
        bool is_float = (bits & 4) != 0;

        multiply(x, d, t, is_float);
        if (!compare(x, d, t, is_float, why, size)) {
            return -1;
        }
        ++n;
    }
    return n;
}

long moe_blas_test(char *why, size_t size)
{
    /* Around the sizes of vectors and tiles of kernels, and beyond them. */
    static const int side[] = {1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64};
    static const int large[][3] = {{100, 100, 100}, {300, 300, 300},
                                   {1, 300, 257},   {299, 1, 256},
                                   {65, 129, 300},  {128, 16, 300}};
    enum {
        N = sizeof(side) / sizeof(side[0])
    };
    bench_t x;
    long total = 0;
    long n = 0;
    size_t i;

    if (!bench_init(&x)) {
        bench_fini(&x);
        (void)snprintf(why, size, "out of memory");
        return -1;
    }
    for (i = 0; i < (size_t)N * N * N && n >= 0; ++i) {
        const int d[3] = {side[i % N], side[i / N % N], side[i / N / N]};

        n = test_shape(&x, d, why, size);
        total += n;
    }
    for (i = 0; i < sizeof(large) / sizeof(large[0]) && n >= 0; ++i) {
        n = test_shape(&x, large[i], why, size);
        total += n;
    }
    bench_fini(&x);
    return n < 0 ? -1 : total;
}
