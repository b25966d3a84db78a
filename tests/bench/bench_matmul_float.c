/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact grouped matmul of bf16 rows and bf16 weights against cblas_dgemm on
 * operands decoded beforehand, in one run: ratio = time of dgemm / time of
 * ours less that of decoding alone; checks and what is done again are in ours.
 * Medians of REPEATS rounds, in which both take turns, in CPU time of all
 * threads: the machine may be shared. COLUMNS outputs of each matmul are
 * computed.
 */
#include "config.h"

#include "ref/formats.h"
#include "ref/matmul.h"

#include <cblas.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    REPEATS = 9,
    MEDIAN = REPEATS / 2,
    COLUMNS = 1536, /* of outputs, to be quick */
    EXPERTS = 4,
    MOST_ROWS = 512,
    MOST_K = 14336
};

static const struct {
    const char *name;
    int64_t k;
} shapes[] = {
    {"DeepSeek-R1 W13", 7168}, {"DeepSeek-R1 W2", 2048}, {"Mixtral W13", 4096},
    {"Mixtral W2", 14336},     {"Qwen3-30B W13", 2048},  {"Qwen3-30B W2", 768},
};

/* First rows of the experts; the last line is skewed. */
static const int64_t groups[][EXPERTS + 1] = {
    {0, 64, 64, 64, 64},
    {0, 256, 256, 256, 256},
    {0, 250, 346, 410, 418},
};

/* All that is measured works on. */
typedef struct {
    uint16_t *x; /* [MOST_ROWS][K] */
    uint16_t *w; /* [COLUMNS][K], of every expert */
    double *a;   /* the same decoded */
    double *b;
    double *c; /* [MOST_ROWS][COLUMNS] */
    double row[MOST_K];
    void *out;
    int64_t k;
    const int64_t *offset;
    moe_format_t format;
    moe_ref_stats_t stats;
} data_t;

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

static moe_rows_t rows_of(uint16_t *codes, int64_t n, int64_t k)
{
    return (moe_rows_t){.storage = {.format = MOE_FORMAT_bf16},
                        .rows = n,
                        .cols = k,
                        .codes = codes};
}

static void run_dgemm(data_t *d)
{
    for (int e = 0; e < EXPERTS; e++) {
        const int64_t first = d->offset[e];
        const int n = (int)(d->offset[e + 1] - first);

        if (n > 0) {
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, COLUMNS,
                        (int)d->k, 1.0, d->a + first * d->k, (int)d->k, d->b,
                        (int)d->k, 0.0, d->c + first * COLUMNS, COLUMNS);
        }
    }
}

/* The cheapest way: row by row, each into the same memory. */
static void decode(const uint16_t *codes, int64_t rows, data_t *d)
{
    for (int64_t i = 0; i < rows; i++) {
        moe_bf16_values(codes + i * d->k, d->k, d->row);
    }
}

/* What ours does of it: every operand once. */
static void run_decode(data_t *d)
{
    for (int e = 0; e < EXPERTS; e++) {
        if (d->offset[e + 1] > d->offset[e]) {
            decode(d->w, COLUMNS, d);
        }
    }
    decode(d->x, d->offset[EXPERTS], d);
}

static void run_exact(data_t *d)
{
    const moe_rows_t w = rows_of(d->w, COLUMNS, d->k);
    const moe_rows_t given[EXPERTS] = {w, w, w, w};
    const moe_ref_weights_t weights = {.format = MOE_FORMAT_bf16,
                                       .given = given};
    const moe_rows_t x = rows_of(d->x, d->offset[EXPERTS], d->k);
    const moe_rows_t out = {.storage = {.format = d->format},
                            .rows = x.rows,
                            .cols = COLUMNS,
                            .codes = d->out};

    d->stats = (moe_ref_stats_t){0, 0, 0};
    if (moe_ref_grouped_matmul(&weights, &x, d->offset, EXPERTS, &out,
                               &d->stats) != MOE_OK) {
        (void)fprintf(stderr, "bench_matmul_float: %s\n", moe_error_text());
        exit(EXIT_FAILURE);
    }
}

static double time_s(void (*run)(data_t *), data_t *d)
{
    double start = now_s();

    run(d);
    return now_s() - start;
}

static void bench(const char *name, data_t *d)
{
    double dgemm[REPEATS], exact[REPEATS], decode[REPEATS], ratio[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        dgemm[i] = time_s(run_dgemm, d);
        exact[i] = time_s(run_exact, d);
        decode[i] = time_s(run_decode, d);
        ratio[i] = dgemm[i] / (exact[i] - decode[i]);
    }
    qsort(dgemm, REPEATS, sizeof(double), compare);
    qsort(exact, REPEATS, sizeof(double), compare);
    qsort(decode, REPEATS, sizeof(double), compare);
    qsort(ratio, REPEATS, sizeof(double), compare);
    (void)printf("%-16s %6lld %5s %9.1f %9.1f %9.1f %6.2f %8.3f %% %lld\n",
                 name, (long long)d->offset[EXPERTS],
                 moe_format_name(d->format), dgemm[MEDIAN] * 1e3,
                 exact[MEDIAN] * 1e3, decode[MEDIAN] * 1e3, ratio[MEDIAN],
                 100.0 * (double)d->stats.redone_sum2 /
                     (double)d->stats.elements,
                 (long long)d->stats.redone_exact);
    (void)fflush(stdout);
}

/* Normal numbers, near enough; their bf16 exponents spread as real ones do. */
static void fill_normal(uint64_t seed, int64_t n, uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = -6.0;

        for (int j = 0; j < 12; j++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            sum += (double)(seed >> 32) * 0x1p-32;
        }
        out[i] = (uint16_t)moe_round_f64(MOE_FORMAT_bf16, sum);
    }
}

static void bench_shape(const char *name, data_t *d)
{
    const moe_rows_t w = rows_of(d->w, COLUMNS, d->k);

    fill_normal(1, MOST_ROWS * d->k, d->x);
    fill_normal(2, COLUMNS * d->k, d->w);
    for (int64_t i = 0; i < COLUMNS; i++) {
        moe_rows_values(&w, i, 0, d->k, d->b + i * d->k);
    }
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        d->offset = groups[g];
        d->format = MOE_FORMAT_bf16;
        bench(name, d);
        d->format = MOE_FORMAT_fp32;
        bench(name, d);
    }
}

/* Memory that was freed is used again, not given back: dgemm's too has been
 * touched before. */
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, INT_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, INT_MAX);
}

int main(int argc, char **argv)
{
    const size_t most = (size_t)MOST_ROWS * MOST_K;
    const size_t weights = (size_t)COLUMNS * MOST_K;
    data_t d = {.x = malloc(most * sizeof(*d.x)),
                .w = malloc(weights * sizeof(*d.w)),
                .a = calloc(most, sizeof(*d.a)),
                .b = malloc(weights * sizeof(*d.b)),
                .c = malloc((size_t)MOST_ROWS * COLUMNS * sizeof(*d.c)),
                .out = malloc((size_t)MOST_ROWS * COLUMNS * sizeof(float))};
    int status = EXIT_SUCCESS;

    keep_memory();
    if (d.x == NULL || d.w == NULL || d.a == NULL || d.b == NULL ||
        d.c == NULL || d.out == NULL) {
        (void)fprintf(stderr, "bench_matmul_float: no memory\n");
        status = EXIT_FAILURE;
    } else {
        (void)printf("%-16s %6s %5s %9s %9s %9s %6s %10s %s\n", "matmul",
                     "rows", "out", "dgemm ms", "ours ms", "decode ms", "ratio",
                     "two-sums", "MPFR");
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            if (argc > 1 && atoi(argv[1]) != (int)i) {
                continue;
            }
            d.k = shapes[i].k;
            bench_shape(shapes[i].name, &d);
        }
    }
    free(d.x);
    free(d.w);
    free(d.a);
    free(d.b);
    free(d.c);
    free(d.out);
    return status;
}
