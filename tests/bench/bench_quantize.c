/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVFP4 from bf16 by te-exact and back, on one core, against memcpy in the
 * same run: bytes read and written a second of the thread's own time, which
 * others on the core take no part of. Medians of REPEATS. Then numpy
 * and ml_dtypes (tests/numpy_nvfp4.py) on a part of the same size of numbers;
 * PYTHON names the interpreter.
 */
#include "config.h"

#include "ref/moeref.h"
#include "ref/nvfp4_encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    REPEATS = 3,
    COLS = 8192,
    ROWS = 16384, /* 256 MiB of bf16 */
    BLOCK = 16
};

#define ELEMENTS ((size_t)ROWS * COLS)
#define GLOBAL   (2688.0f / 5.3f)

/* All that is measured works on. */
typedef struct {
    const moe_nvfp4_encoder_t *version;
    uint16_t *x;
    uint16_t *y; /* copied, decoded */
    float *wide;
    uint8_t *codes;
    uint8_t *scales;
} data_t;

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double median_s(void (*run)(data_t *), data_t *d)
{
    double time[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        double start = now_s();

        run(d);
        time[i] = now_s() - start;
    }
    qsort(time, REPEATS, sizeof(time[0]), compare);
    return time[REPEATS / 2];
}

static void run_memcpy(data_t *d)
{
    memcpy(d->y, d->x, ELEMENTS * sizeof(*d->x));
    __asm__ volatile("" ::"r"(d->y) : "memory"); /* it is used */
}

static void run_encode(data_t *d)
{
    d->version->encode(d->x, ELEMENTS / BLOCK, GLOBAL, d->codes, d->scales);
}

static void run_decode(data_t *d)
{
    (void)moeref_nvfp4_dequantize_bf16(d->codes, d->scales, ROWS, COLS, GLOBAL,
                                       d->y);
}

static void run_decode_float(data_t *d)
{
    (void)moeref_nvfp4_dequantize(d->codes, d->scales, ROWS, COLS, GLOBAL,
                                  d->wide);
}

/* Signs, digits and exponents over 20 binades. */
static void fill(uint16_t *x)
{
    uint64_t r = 1;

    for (size_t i = 0; i < ELEMENTS; i++) {
        int down;

        r ^= r << 13;
        r ^= r >> 7;
        r ^= r << 17;
        down = __builtin_clz((uint32_t)r | 1u << 12);
        x[i] = (uint16_t)((r >> 40 & 0x807f) | (uint64_t)(129 - down) << 7);
    }
}

static int init(data_t *d)
{
    d->x = malloc(ELEMENTS * sizeof(*d->x));
    d->y = malloc(ELEMENTS * sizeof(*d->y));
    d->wide = malloc(ELEMENTS * sizeof(*d->wide));
    d->codes = malloc(ELEMENTS / 2);
    d->scales = malloc(ELEMENTS / BLOCK);
    return d->x != NULL && d->y != NULL && d->wide != NULL &&
           d->codes != NULL && d->scales != NULL;
}

/* Bytes a second of numpy; 0 if it cannot be had. */
static double numpy_speed(void)
{
    const char *python = getenv("PYTHON");
    char command[1024];
    double speed = 0;
    FILE *pipe;

    (void)snprintf(command, sizeof(command), "%s '%s/tests/numpy_nvfp4.py'",
                   python != NULL ? python : "python3", MOESIM_SOURCE_DIR);
    pipe = popen(command, "r");
    if (pipe != NULL && fscanf(pipe, "%lf", &speed) != 1) {
        speed = 0;
    }
    return pipe != NULL && pclose(pipe) == 0 ? speed : 0;
}

static void print(const char *name, double bytes, double seconds, double copy)
{
    double speed = bytes / seconds;

    (void)printf("%-18s %7.2f GB/s  %5.2f of memcpy\n", name, speed * 1e-9,
                 speed / copy);
}

int main(void)
{
    static data_t d;
    const double packed = (double)ELEMENTS * (0.5 + 1.0 / BLOCK);
    const double half = (double)ELEMENTS * sizeof(*d.x);
    double copy, best = 0, numpy;

    if (!init(&d)) {
        (void)fprintf(stderr, "bench_quantize: no memory\n");
        return 3;
    }
    fill(d.x);
    run_memcpy(&d); /* the pages are there */
    copy = 2 * half / median_s(run_memcpy, &d);
    print("memcpy", copy, 1, copy);
    for (int i = 0; (d.version = moe_nvfp4_encoder_at(i)) != NULL; i++) {
        if (d.version->available()) {
            double seconds;
            char name[32];

            (void)snprintf(name, sizeof(name), "quantise %s", d.version->name);
            seconds = median_s(run_encode, &d);
            print(name, half + packed, seconds, copy);
            best = best > 0 ? best : (half + packed) / seconds;
        }
    }
    print("decode to bf16", half + packed, median_s(run_decode, &d), copy);
    print("decode to float", 2 * half + packed, median_s(run_decode_float, &d),
          copy);
    numpy = numpy_speed();
    if (numpy > 0) {
        print("quantise numpy", numpy, 1, copy);
        (void)printf("the best is %.0f times numpy and ml_dtypes\n",
                     best / numpy);
    } else {
        (void)printf("no numpy and ml_dtypes here: no ratio to them\n");
    }
    return 0;
}
