/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact grouped matmul by each kernel of this processor against cblas_dgemm
 * on operands decoded beforehand, in one run: ratio = time of dgemm / time of
 * ours, drawing and decoding of the weights and rounding included. Medians of
 * REPEATS, in CPU time of all threads: the machine may be shared.
 */
#include "config.h"

#include "moe/fill.h"
#include "ref/matmul_nvfp4.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    REPEATS = 5,
    FEATURES = 1024 /* of DeepSeek-R1's 4096 or 7168, to be quick */
};

static const moe_model_t model = {
    .hidden = 7168, .intermediate = FEATURES / 2, .experts = 1};
static const int64_t rows[] = {1, 8, 16, 64, 256};

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double time_s[REPEATS])
{
    qsort(time_s, REPEATS, sizeof(*time_s), compare);
    return time_s[REPEATS / 2];
}

static double time_dgemm(int m, const double *x, const double *w, double *out)
{
    int k = (int)model.hidden;
    double time_s[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        double start = now_s();

        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, FEATURES, k,
                    1.0, x, k, w, k, 0.0, out, FEATURES);
        time_s[i] = now_s() - start;
    }
    return median(time_s);
}

/* 0 on error. */
static double time_exact(const moe_rows_t *x, const moe_rows_t *out)
{
    const moe_ref_weights_t weights = {.model = &model,
                                       .seed = 1,
                                       .weight = MOE_W13,
                                       .format = MOE_FORMAT_nvfp4};
    const int64_t offset[2] = {0, x->rows};
    double time_s[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        moe_ref_stats_t stats = {0};
        double start = now_s();

        if (moe_ref_grouped_matmul(&weights, x, offset, 1, out, &stats) !=
            MOE_OK) {
            return 0;
        }
        time_s[i] = now_s() - start;
    }
    return median(time_s);
}

/* One kernel; false on error. */
static bool bench_kernel(const char *name, double dgemm_s, const moe_rows_t *x,
                         const moe_rows_t *out)
{
    double work = (double)x->rows * (double)x->cols * (double)out->cols;
    double exact_s;

    if (setenv("MOESIM_KERNEL", name, 1) != 0) {
        perror("MOESIM_KERNEL");
        return false;
    }
    exact_s = time_exact(x, out);
    if (!(exact_s > 0)) {
        fprintf(stderr, "%s\n", moe_error_text());
        return false;
    }
    printf("%8lld %8s %12.2f %12.2f %10.2f %8.1f\n", (long long)x->rows, name,
           dgemm_s * 1e3, exact_s * 1e3, dgemm_s / exact_s,
           work / exact_s * 1e-9);
    return true;
}

static int bench(int64_t m, double *x, double *w, double *product,
                 moe_rows_t *codes, moe_rows_t *out)
{
    double dgemm_s = time_dgemm((int)m, x, w, product);
    const moe_nvfp4_kernel_t *kernel;

    codes->rows = m;
    out->rows = m;
    for (int i = 0; (kernel = moe_nvfp4_kernel_at(i)) != NULL; i++) {
        if (kernel->available() &&
            !bench_kernel(kernel->name, dgemm_s, codes, out)) {
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

int main(void)
{
    size_t most = 256;
    size_t k = (size_t)model.hidden;
    double *x = malloc(most * k * sizeof(*x));
    double *w = malloc(FEATURES * k * sizeof(*w));
    double *product = malloc(most * FEATURES * sizeof(*product));
    moe_rows_t codes = {.storage = {MOE_FORMAT_nvfp4, MOE_PROFILE_te_exact, 1},
                        .cols = model.hidden,
                        .codes = malloc(most * k / 2),
                        .scales = malloc(most * k / 16)};
    moe_rows_t out = {.storage = {.format = MOE_FORMAT_bf16},
                      .cols = FEATURES,
                      .codes = malloc(most * FEATURES * 2)};
    int status = EXIT_FAILURE;

    if (x == NULL || w == NULL || product == NULL || codes.codes == NULL ||
        codes.scales == NULL || out.codes == NULL) {
        fprintf(stderr, "no memory\n");
        goto done;
    }
    for (size_t i = 0; i < most * k; i++) {
        x[i] = (double)(i * 2654435761u >> 5 & 0xffff);
    }
    for (size_t i = 0; i < FEATURES * k; i++) {
        w[i] = (double)(i * 2246822519u >> 5 & 0xffff);
    }
    for (size_t i = 0; i < most * k / 2; i++) {
        ((uint8_t *)codes.codes)[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    memset(codes.scales, 0x45, most * k / 16);
    printf("K = %zu, N = %d, bf16 output\n%8s %8s %12s %12s %10s %8s\n", k,
           FEATURES, "rows", "kernel", "dgemm ms", "exact ms", "ratio",
           "GMAC/s");
    status = EXIT_SUCCESS;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (bench(rows[i], x, w, product, &codes, &out) != EXIT_SUCCESS) {
            status = EXIT_FAILURE;
        }
    }

done:
    free(x);
    free(w);
    free(product);
    free(codes.codes);
    free(codes.scales);
    free(out.codes);
    return status;
}
