/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stamps of rows. In 32 columns: the 28 that a block leaves free hold the
 * number of the token as 23 digits of two bits, and 5 digits of check. The
 * number is first multiplied by an odd constant, so that neighbours differ
 * in many digits and are routed apart; then it repeats.
 */
#include "moe/grid.h"

enum {
    DIGITS = 23,
    CHECKS = 5,
    ALL = DIGITS + CHECKS,
    FREE = MOE_GRID_BLOCK - 2
};

#define MASK   ((UINT64_C(1) << (2 * DIGITS)) - 1)
#define SPREAD UINT64_C(0x2545f4914f6d) /* odd */
#define CHECK  UINT64_C(0x9e3779b97f4a7c15)

/* 1 / SPREAD modulo 2^64; each step doubles the bits that are right. */
static uint64_t gather(void)
{
    uint64_t x = SPREAD;

    for (int i = 0; i < 6; i++) {
        x *= 2 - SPREAD * x;
    }
    return x;
}

/* Digit i of a number and its check. */
static int digit(uint64_t number, int i)
{
    return (int)(i < DIGITS ? number >> (2 * i) & 3
                            : (number * CHECK) >> (54 + 2 * (i - DIGITS)) & 3);
}

void moe_stamp_write(int64_t token, int64_t n, int8_t *out)
{
    const uint64_t number = (uint64_t)token * SPREAD & MASK;

    for (int64_t c = 0; c < n; c++) {
        const int i = (int)(c % MOE_GRID_PERIOD);
        const int in_block = i % MOE_GRID_BLOCK;
        const int place = i / MOE_GRID_BLOCK * FREE + in_block - 2;

        out[c] = (int8_t)(in_block == 0   ? MOE_GRID_MAX
                          : in_block == 1 ? 1
                                          : digit(number, place));
    }
}

static bool is_zero(const double *row, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        if (!(row[c] >= 0.0 && row[c] <= 0.0)) {
            return false;
        }
    }
    return true;
}

/* The number that the first 32 columns hold; others are compared later. */
static uint64_t first_number(const double *row)
{
    uint64_t number = 0;

    for (int i = 0; i < DIGITS; i++) {
        const double x = row[i / FREE * MOE_GRID_BLOCK + 2 + i % FREE];

        number |= (uint64_t)(x > 0.0 && x < 4.0 ? x : 0.0) << (2 * i);
    }
    return number;
}

int64_t moe_stamp_read(const double *row, int64_t n)
{
    int8_t want[MOE_GRID_PERIOD];
    int64_t token;

    if (is_zero(row, n)) {
        return -1;
    }
    token = (int64_t)(first_number(row) * gather() & MASK);
    moe_stamp_write(token, MOE_GRID_PERIOD, want);
    for (int64_t c = 0; c < n; c++) {
        const double x = (double)want[c % MOE_GRID_PERIOD];

        if (!(row[c] >= x && row[c] <= x)) {
            return -2;
        }
    }
    return token;
}
