/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * NVFP4 sums by integers alone: what the kernels of one processor share.
 *
 * A panel is 16 rows of weights, interleaved so that a vector holds 8 codes
 * of each. Its codes become 12 + twice the value, 0 to 24, for dot products
 * of unsigned by signed bytes; those start at -12 times the sum of the codes
 * of x. The dot product of a block is at most 16 x 144 = 2304, times the
 * scale of the weights at most 528,482,304 < 2^31, times the scale of x
 * exact in int64.
 */
#ifndef REF_MATMUL_NVFP4_INT_H
#define REF_MATMUL_NVFP4_INT_H

#include "ref/matmul_nvfp4.h"

enum {
    MOE_INT_BIAS = 12, /* added to twice the value of a weight */
    MOE_INT_BLOCKS = MOE_NVFP4_PIECE / MOE_NVFP4_BLOCK
};

/** A block of a row of x. */
typedef struct {
    int32_t codes[4]; /* bytes: columns 0, 2, 4, 6; 1, 3, 5, 7; 8, 10, ... */
    int32_t start;    /* -12 x the sum of the codes */
    int32_t scale;    /* in units of 2^-9 */
} moe_int_block_t;

/** A piece of a panel of weights, with the same blocks of rows of x. */
typedef struct {
    const uint8_t *codes;     /* [2 x blocks][16 rows][4 bytes] */
    const int32_t *units;     /* [blocks][16 rows] scales in units of 2^-9 */
    int64_t blocks;           /* of the piece */
    const moe_int_block_t *x; /* [blocks][stride] from the first row on */
    int64_t stride;           /* rows of x from a block to the next */
    int64_t n;                /* rows of x to sum */
    int64_t *sums;            /* [n][16] */
} moe_int_piece_t;

/** The inner loops of a kernel. */
typedef struct {
    /** Scales [blocks / 4][16 rows][4 bytes], blocks rounded up to 4, to
     * units; no NaN. */
    void (*decode)(const uint8_t *scales, int64_t blocks, int32_t *units);

    /** Add what the piece gives to sums. */
    void (*add)(const moe_int_piece_t *piece);
} moe_int_loops_t;

/** As in moe_nvfp4_kernel_t. */
int64_t moe_int_work_bytes(int64_t n, int64_t rows, int64_t k);
void moe_int_prepare(const moe_nvfp4_tile_t *tile, void *work);
void moe_int_sum(const moe_int_loops_t *loops, const moe_nvfp4_tile_t *tile,
                 void *work, int64_t *sums);

enum {
    MOE_INT_MAX_ROWS = 128,
    MOE_INT_MAX_PANEL = 64
};

#endif
