/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a rank draws: probes that the linker (--wrap) puts before each function
 * of moe/fill.h, moe/fill_rows.h and moe/grid.h that makes rows of tokens or
 * of experts. They lie beneath moe/draw.h, so that no way around it is missed.
 */
#ifndef TESTS_DRAW_PROBE_H
#define TESTS_DRAW_PROBE_H

#include <stdint.h>

enum {
    DRAW_PROBE_EXPERTS = 64,
    DRAW_PROBE_WEIGHTS = 2 /* MOE_W13, MOE_W2 */
};

/** Pieces by weight and expert. */
typedef int64_t draw_probe_pieces_t[DRAW_PROBE_WEIGHTS][DRAW_PROBE_EXPERTS];

/** What this rank has drawn since it was last cleared. */
extern struct draw_probe {
    int64_t n_hidden; /* rows of hidden states */
    int64_t first;    /* lowest token of them, and one beyond the highest */
    int64_t end;
    int64_t n_unknown; /* pieces of a weight or an expert that is none */
    draw_probe_pieces_t n_weight;
    draw_probe_pieces_t n_bias;
} draw_probe;

void draw_probe_clear(void);

#endif
