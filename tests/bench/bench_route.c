/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing of 65,536 tokens over 256 experts, and correctly rounded logits
 * against cblas_dgemm on operands decoded beforehand (ratio = time of dgemm /
 * time of ours). Medians of REPEATS in CPU time of all threads: the machine may
 * be shared. Then the routing by PyTorch or numpy (tests/numpy_route.py);
 * PYTHON names the interpreter.
 */
#include "config.h"

#include "moe/fill.h"
#include "ref/logits.h"
#include "ref/route.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    REPEATS = 5,
    TOKENS = 65536, /* routed */
    ROWS = 512,     /* of logits */
    HIDDEN = 7168,
    EXPERTS = 256
};

static const moe_model_t model = {.experts = EXPERTS,
                                  .topk = 8,
                                  .n_group = 8,
                                  .topk_group = 4,
                                  .score = MOE_SCORE_sigmoid,
                                  .bias = true,
                                  .renormalize = true,
                                  .routed_scaling = 2.5f};

/* All that is measured works on. */
typedef struct {
    uint16_t *x;      /* [ROWS][HIDDEN] */
    uint16_t *router; /* [EXPERTS][HIDDEN] */
    double *a, *b;    /* the same decoded */
    double *c;
    float *logits; /* [TOKENS][EXPERTS] */
    float bias[EXPERTS];
    int32_t *ids;
    float *weights;
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

static void run_route(data_t *d)
{
    int64_t bad[2];

    (void)moe_ref_route(&model, d->logits, d->bias, TOKENS, d->ids, d->weights,
                        &d->stats, bad);
}

static void run_logits(data_t *d)
{
    const moe_rows_t rows = {.storage = {.format = MOE_FORMAT_bf16},
                             .rows = ROWS,
                             .cols = HIDDEN,
                             .codes = d->x};

    (void)moe_ref_logits(&rows, d->router, EXPERTS, d->logits, &d->stats);
}

static void run_dgemm(data_t *d)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, ROWS, EXPERTS, HIDDEN,
                1.0, d->a, HIDDEN, d->b, HIDDEN, 0.0, d->c, EXPERTS);
}

static double median_s(void (*run)(data_t *), data_t *d)
{
    double time[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        double start = now_s();

        d->stats = (moe_ref_stats_t){0, 0, 0};
        run(d);
        time[i] = now_s() - start;
    }
    qsort(time, REPEATS, sizeof(time[0]), compare);
    return time[REPEATS / 2];
}

/* Median seconds of the other way; 0 if it cannot be had. */
static double other_s(char name[16])
{
    const char *python = getenv("PYTHON");
    char command[1024];
    double seconds = 0;
    FILE *pipe;

    (void)snprintf(command, sizeof(command), "%s '%s/tests/numpy_route.py'",
                   python != NULL ? python : "python3", MOESIM_SOURCE_DIR);
    pipe = popen(command, "r");
    if (pipe != NULL && fscanf(pipe, "%15s %lf", name, &seconds) != 2) {
        seconds = 0;
    }
    return pipe != NULL && pclose(pipe) == 0 ? seconds : 0;
}

static void print_routing(const data_t *d, double route_s)
{
    char name[16];
    double seconds = other_s(name);

    (void)printf("routing %d tokens: %.1f ms, %lld of %lld scores by MPFR\n",
                 TOKENS, route_s * 1e3, (long long)d->stats.redone_exact,
                 (long long)d->stats.elements);
    if (seconds > 0) {
        (void)printf("the same by %s: %.1f ms, %.1f times ours\n", name,
                     seconds * 1e3, seconds / route_s);
    } else {
        (void)printf("no PyTorch and no numpy here: no ratio to them\n");
    }
}

static void decode(const uint16_t *bits, int64_t n, double *out)
{
    const moe_rows_t rows = {.storage = {.format = MOE_FORMAT_bf16},
                             .rows = 1,
                             .cols = n,
                             .codes = (void *)(uintptr_t)bits};

    moe_rows_values(&rows, 0, 0, n, out);
}

static bool init(data_t *d)
{
    d->x = calloc((size_t)ROWS * HIDDEN, sizeof(*d->x));
    d->router = calloc((size_t)EXPERTS * HIDDEN, sizeof(*d->router));
    d->a = calloc((size_t)ROWS * HIDDEN, sizeof(*d->a));
    d->b = calloc((size_t)EXPERTS * HIDDEN, sizeof(*d->b));
    d->c = calloc((size_t)ROWS * EXPERTS, sizeof(*d->c));
    d->logits = calloc((size_t)TOKENS * EXPERTS, sizeof(*d->logits));
    d->ids = calloc((size_t)TOKENS * 8, sizeof(*d->ids));
    d->weights = calloc((size_t)TOKENS * 8, sizeof(*d->weights));
    return d->x != NULL && d->router != NULL && d->a != NULL && d->b != NULL &&
           d->c != NULL && d->logits != NULL && d->ids != NULL &&
           d->weights != NULL;
}

int main(void)
{
    static data_t d;
    double gemm_s, logits_s, route_s;

    if (!init(&d)) {
        (void)fprintf(stderr, "bench_route: no memory\n");
        return 3;
    }
    moe_fill_hidden(7667, HIDDEN, 0, ROWS, d.x);
    moe_fill_router(7667, EXPERTS, HIDDEN, d.router);
    moe_fill_bias(7667, EXPERTS, d.bias);
    decode(d.x, (int64_t)ROWS * HIDDEN, d.a);
    decode(d.router, (int64_t)EXPERTS * HIDDEN, d.b);
    gemm_s = median_s(run_dgemm, &d);
    logits_s = median_s(run_logits, &d);
    (void)printf("logits %d x %d x %d: %.1f ms, dgemm %.1f ms, ratio %.2f; "
                 "redone %lld by two-sums, %lld by MPFR\n",
                 ROWS, EXPERTS, HIDDEN, logits_s * 1e3, gemm_s * 1e3,
                 gemm_s / logits_s, (long long)d.stats.redone_sum2,
                 (long long)d.stats.redone_exact);
    for (int64_t i = ROWS * EXPERTS; i < (int64_t)TOKENS * EXPERTS; i++) {
        uint64_t r = (uint64_t)i * 0x9e3779b97f4a7c15u;

        d.logits[i] = (float)(int32_t)(r >> 32) * 0x1p-30f;
    }
    route_s = median_s(run_route, &d);
    print_routing(&d, route_s);
    return 0;
}
