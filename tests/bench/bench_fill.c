/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drawing NVFP4 weights, by packed rows and by panels of 16 rows: codes a
 * second of CPU time. Medians of REPEATS; the output stays in cache.
 */
#include "config.h"

#include "moe/fill.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    REPEATS = 9,
    ROUNDS = 64, /* a repeat */
    COLS = 7168
};

static uint8_t out[MOE_FILL_PANEL_ROWS * COLS / 2];

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

static void draw_rows(int round)
{
    moe_fill_weight_codes(1, MOE_W13, round, 0, MOE_FILL_PANEL_ROWS, 0, COLS,
                          out);
}

static void draw_panel(int round)
{
    moe_fill_panel_codes(1, MOE_W13, round, 0, 0, COLS, out);
}

static void bench(const char *name, void (*draw)(int round))
{
    const double codes = (double)ROUNDS * MOE_FILL_PANEL_ROWS * COLS;
    double time_s[REPEATS];

    for (int i = 0; i < REPEATS; i++) {
        double start = now_s();

        for (int r = 0; r < ROUNDS; r++) {
            draw(r);
        }
        time_s[i] = now_s() - start;
    }
    qsort(time_s, REPEATS, sizeof(*time_s), compare);
    printf("%8s %8.2f G codes/s\n", name, codes / time_s[REPEATS / 2] * 1e-9);
}

int main(void)
{
    bench("rows", draw_rows);
    bench("panels", draw_panel);
    return EXIT_SUCCESS;
}
