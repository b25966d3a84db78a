/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact grouped matmul by each kernel of this processor against cblas_dgemm
 * on operands decoded beforehand, in one run: ratio = time of dgemm / time of
 * ours, first with all that it does, then from packed codes, the drawing of
 * the weights left out; of the portable kernel, blas, without decoding too.
 * Medians of REPEATS by turns, in CPU time of all threads: the machine may be
 * shared.
 */
#include "config.h"

#include "moe/fill.h"
#include "ref/matmul_nvfp4.h"
#include "ref/nvfp4_decode.h"

#include <cblas.h>
#include <limits.h>
#include <malloc.h>
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

static double median(double number[REPEATS])
{
    qsort(number, REPEATS, sizeof(*number), compare);
    return number[REPEATS / 2];
}

/* All that is measured works on. */
typedef struct {
    double *x;       /* [rows][K], of no meaning */
    double *w;       /* [FEATURES][K] */
    double *product; /* [rows][FEATURES] */
    moe_rows_t codes;
    moe_rows_t out;
} data_t;

static const moe_ref_weights_t weights = {
    .model = &model, .seed = 1, .weight = MOE_W13, .format = MOE_FORMAT_nvfp4};

static double time_dgemm(const data_t *d)
{
    const int k = (int)model.hidden;
    const double start = now_s();

    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)d->codes.rows,
                FEATURES, k, 1.0, d->x, k, d->w, k, 0.0, d->product, FEATURES);
    return now_s() - start;
}

static double time_exact(const char *kernel, const data_t *d)
{
    const int64_t offset[2] = {0, d->codes.rows};
    moe_ref_stats_t stats = {0};
    double start;

    if (setenv("MOESIM_KERNEL", kernel, 1) != 0) {
        perror("MOESIM_KERNEL");
        exit(EXIT_FAILURE);
    }
    start = now_s();
    if (moe_ref_grouped_matmul(&weights, &d->codes, offset, 1, &d->out,
                               &stats) != MOE_OK) {
        fprintf(stderr, "%s\n", moe_error_text());
        exit(EXIT_FAILURE);
    }
    return now_s() - start;
}

/* What the kernel blas draws and decodes: rows, and weights once a tile of
 * these, by panels and pieces. */
static double time_decode(const data_t *d)
{
    static uint8_t codes[FEATURES * MOE_NVFP4_PIECE / 2];
    static uint8_t scales[FEATURES * MOE_NVFP4_PIECE / MOE_NVFP4_BLOCK];
    static double value[FEATURES * MOE_NVFP4_PIECE];
    const moe_nvfp4_drawn_t drawn = {&weights, 0};
    const int64_t panel = d->codes.rows > moe_nvfp4_blas.few_rows
                              ? moe_nvfp4_blas.max_panel
                              : moe_nvfp4_blas.few_panel;
    const double start = now_s();

    for (int64_t i = 0; i < d->codes.rows; i++) {
        moe_nvfp4_decode((const uint8_t *)d->codes.codes + i * model.hidden / 2,
                         (const uint8_t *)d->codes.scales +
                             i * model.hidden / MOE_NVFP4_BLOCK,
                         model.hidden / MOE_NVFP4_BLOCK, value);
    }
    for (int64_t i = 0; i < d->codes.rows; i += moe_nvfp4_blas.max_rows) {
        for (int64_t row = 0; row < FEATURES; row += panel) {
            const int64_t n = FEATURES - row < panel ? FEATURES - row : panel;

            for (int64_t c = 0; c < model.hidden; c += MOE_NVFP4_PIECE) {
                moe_nvfp4_fetch_drawn(&drawn, row, n, c, MOE_NVFP4_PIECE, codes,
                                      scales);
                moe_nvfp4_decode(codes, scales,
                                 n * (MOE_NVFP4_PIECE / MOE_NVFP4_BLOCK),
                                 value);
            }
        }
    }
    return now_s() - start;
}

/* What the other kernels draw: all panels, once a tile of rows. */
static double time_draw(const moe_nvfp4_kernel_t *kernel, const data_t *d)
{
    static uint8_t codes[MOE_FILL_PANEL_ROWS * MOE_NVFP4_PIECE / 2];
    static uint8_t
        scales[MOE_FILL_PANEL_ROWS * MOE_NVFP4_PIECE / MOE_NVFP4_BLOCK];
    const moe_nvfp4_drawn_t drawn = {&weights, 0};
    const double start = now_s();

    for (int64_t i = 0; i < d->codes.rows; i += kernel->max_rows) {
        for (int64_t row = 0; row < FEATURES; row += MOE_FILL_PANEL_ROWS) {
            for (int64_t c = 0; c < model.hidden; c += MOE_NVFP4_PIECE) {
                moe_nvfp4_fetch_panel_drawn(&drawn, row, c, MOE_NVFP4_PIECE,
                                            codes, scales);
            }
        }
    }
    return now_s() - start;
}

static void print(const char *what, const data_t *d, double dgemm_s,
                  double exact_s, double ratio)
{
    const double work =
        (double)d->codes.rows * (double)d->codes.cols * FEATURES;

    printf("%8lld %14s %12.2f %12.2f %10.2f %8.1f\n", (long long)d->codes.rows,
           what, dgemm_s * 1e3, exact_s * 1e3, ratio, work / exact_s * 1e-9);
}

/* One kernel and dgemm by turns. */
static void bench_kernel(const moe_nvfp4_kernel_t *kernel, const data_t *d)
{
    double dgemm[REPEATS], exact[REPEATS], apart[REPEATS], ratio[REPEATS],
        ratio_apart[REPEATS];
    const bool is_blas = kernel == &moe_nvfp4_blas;
    char packed[32];

    for (int i = 0; i < REPEATS; i++) {
        dgemm[i] = time_dgemm(d);
        exact[i] = time_exact(kernel->name, d);
        apart[i] = exact[i] - (is_blas ? time_decode(d) : time_draw(kernel, d));
        ratio[i] = dgemm[i] / exact[i];
        ratio_apart[i] = dgemm[i] / apart[i];
    }
    (void)snprintf(packed, sizeof(packed), "%s, %s", kernel->name,
                   is_blas ? "decoded" : "packed");
    print(kernel->name, d, median(dgemm), median(exact), median(ratio));
    print(packed, d, median(dgemm), median(apart), median(ratio_apart));
    (void)fflush(stdout);
}

static void bench(int64_t m, data_t *d)
{
    const moe_nvfp4_kernel_t *kernel;

    d->codes.rows = m;
    d->out.rows = m;
    for (int i = 0; (kernel = moe_nvfp4_kernel_at(i)) != NULL; i++) {
        if (kernel->available()) {
            bench_kernel(kernel, d);
        }
    }
}

/* Memory that was freed is used again, not given back: dgemm's too has been
 * touched before. */
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, INT_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

/* Numbers of no meaning. */
static void fill(data_t *d, size_t most, size_t k)
{
    for (size_t i = 0; i < most * k; i++) {
        d->x[i] = (double)(i * 2654435761u >> 5 & 0xffff);
    }
    for (size_t i = 0; i < FEATURES * k; i++) {
        d->w[i] = (double)(i * 2246822519u >> 5 & 0xffff);
    }
    for (size_t i = 0; i < most * k / 2; i++) {
        ((uint8_t *)d->codes.codes)[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    memset(d->codes.scales, 0x45, most * k / 16);
}

int main(void)
{
    const size_t most = 256;
    const size_t k = (size_t)model.hidden;
    data_t d = {
        .x = malloc(most * k * sizeof(double)),
        .w = malloc(FEATURES * k * sizeof(double)),
        .product = malloc(most * FEATURES * sizeof(double)),
        .codes = {.storage = {MOE_FORMAT_nvfp4, MOE_PROFILE_te_exact, 1},
                  .cols = model.hidden,
                  .codes = malloc(most * k / 2),
                  .scales = malloc(most * k / 16)},
        .out = {.storage = {.format = MOE_FORMAT_bf16},
                .cols = FEATURES,
                .codes = malloc(most * FEATURES * 2)}};
    int status = EXIT_FAILURE;

    keep_memory();
    if (d.x == NULL || d.w == NULL || d.product == NULL ||
        d.codes.codes == NULL || d.codes.scales == NULL ||
        d.out.codes == NULL) {
        fprintf(stderr, "no memory\n");
        goto done;
    }
    fill(&d, most, k);
    printf("K = %zu, N = %d, bf16 output\n%8s %14s %12s %12s %10s %8s\n", k,
           FEATURES, "rows", "kernel", "dgemm ms", "exact ms", "ratio",
           "GMAC/s");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bench(rows[i], &d);
    }
    status = EXIT_SUCCESS;

done:
    free(d.x);
    free(d.w);
    free(d.product);
    free(d.codes.codes);
    free(d.codes.scales);
    free(d.out.codes);
    return status;
}
