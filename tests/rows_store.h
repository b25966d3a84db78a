/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows in static memory for tests, and random values to fill them.
 */
#ifndef TESTS_ROWS_STORE_H
#define TESTS_ROWS_STORE_H

#include "ref/formats.h"
#include "ref/rows.h"

#include <stdint.h>

enum {
    COLS = 384,
    ROWS = 40,
    BLOCK = 16,
    GROUP = 128
};

/* Rows in static memory. */
typedef struct {
    moe_rows_t rows;
    uint32_t codes[ROWS * COLS];
    float scales[ROWS * COLS / BLOCK];
} store_t;

/** Make s hold rows x cols, with the format's default profile. */
static inline const moe_rows_t *store(store_t *s, moe_format_t format,
                                      float global, int64_t rows, int64_t cols)
{
    s->rows = (moe_rows_t){.storage = {.format = format,
                                       .profile = moe_profile_default(format),
                                       .global_scale = global},
                           .rows = rows,
                           .cols = cols,
                           .codes = s->codes,
                           .scales = s->scales};
    return &s->rows;
}

/** Random words (xorshift64). */
static inline uint32_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

/** Random rows of a float format; each block has its own exponent. */
static inline void fill(const moe_rows_t *rows, uint64_t seed)
{
    uint64_t state = 88172645463325252u + seed;
    uint32_t low = 0;

    for (int64_t i = 0; i < rows->rows * rows->cols; i++) {
        uint32_t u = draw(&state);
        float x;

        if (i % BLOCK == 0) {
            low = 115 + draw(&state) % 16; /* exponents -12..3, biased */
        }
        x = moe_f32_of_bits((u & 0x807fffff) | (low + u % 5) << 23);
        moe_float_store(rows->storage.format, rows->codes, i,
                        moe_round_f64(rows->storage.format, (double)x));
    }
}

#endif
