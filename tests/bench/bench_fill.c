/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drawing NVFP4 weights, by packed rows and by panels of 16 rows: codes a
 * second of CPU time; then the words alone, by each version of the generator
 * that this processor has. Medians of REPEATS; the output stays in cache.
 */
#include "config.h"

#include "base/philox_lanes.h"
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

enum {
    TOGETHER = 8,   /* times 16 counters a call, as moe/fill.c has */
    CALL_CODES = 32 /* of a counter's four words */
};

static union {
    uint32_t calls[TOGETHER][MOE_PHILOX_LANES][4];
    uint32_t rows[TOGETHER][4][MOE_PHILOX_LANES];
} words;

/* As many codes as draw_rows(). */
static int calls_of_a_round(void)
{
    return MOE_FILL_PANEL_ROWS * COLS /
           (CALL_CODES * MOE_PHILOX_LANES * TOGETHER);
}

static void draw_by_calls(moe_philox_calls_func_t *draw, int round)
{
    for (int i = 0; i < calls_of_a_round(); i++) {
        const uint32_t counter[4] = {(uint32_t)round, (uint32_t)i, 0, 0};

        draw(1, 2, counter, TOGETHER, words.calls);
    }
}

static void draw_by_rows(moe_philox_rows_func_t *draw, int round)
{
    for (int i = 0; i < calls_of_a_round(); i++) {
        const uint32_t counter[4] = {(uint32_t)round, (uint32_t)i, 0, 0};

        draw(1, 2, counter, TOGETHER, words.rows);
    }
}

static void rows_plain(int round)
{
    draw_by_calls(moe_philox_calls_plain, round);
}

static void panels_plain(int round)
{
    draw_by_rows(moe_philox_rows_plain, round);
}

static void rows_avx2(int round)
{
    draw_by_calls(moe_philox_calls_avx2, round);
}

static void panels_avx2(int round)
{
    draw_by_rows(moe_philox_rows_avx2, round);
}

static void rows_avx512(int round)
{
    draw_by_calls(moe_philox_calls_avx512, round);
}

static void panels_avx512(int round)
{
    draw_by_rows(moe_philox_rows_avx512, round);
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
    printf("%16s %8.2f G codes/s\n", name, codes / time_s[REPEATS / 2] * 1e-9);
}

int main(void)
{
    bench("rows", draw_rows);
    bench("panels", draw_panel);
    bench("rows, plain", rows_plain);
    bench("panels, plain", panels_plain);
    if (moe_philox_has_avx2()) {
        bench("rows, avx2", rows_avx2);
        bench("panels, avx2", panels_avx2);
    }
    if (moe_philox_has_avx512()) {
        bench("rows, avx512", rows_avx512);
        bench("panels, avx512", panels_avx512);
    }
    return EXIT_SUCCESS;
}
