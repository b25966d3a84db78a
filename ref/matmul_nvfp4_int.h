/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * NVFP4 sums by integers alone: what the kernels of one processor share.
 *
 * A panel is 16 rows of weights, interleaved so that a vector holds 4 codes
 * of each. Its codes become 12 + twice the value, 0 to 24, for dot products
 * of unsigned by signed bytes; those start at -12 times the sum of the codes
 * of x. The dot product of a block is at most 16 x 144 = 2304.
 *
 * The scales of a row in a piece of columns, in units of 2^-9, are divided by
 * the greatest power of two that leaves them integers. Mostly their products
 * then are so small that the dot products times them, summed over the piece,
 * fit int32: the narrow sums. Else a dot product times the scale of the
 * weights, at most 528,482,304 < 2^31, is multiplied by that of x to int64:
 * the wide sums.
 */
#ifndef REF_MATMUL_NVFP4_INT_H
#define REF_MATMUL_NVFP4_INT_H

#include "ref/matmul_nvfp4.h"

enum {
    MOE_INT_BIAS = 12,  /* added to twice the value of a weight */
    MOE_INT_DOT = 2304, /* a dot product at most */
    MOE_INT_BLOCKS = MOE_NVFP4_PIECE / MOE_NVFP4_BLOCK,
    MOE_INT_ROWS = MOE_FILL_PANEL_ROWS, /* of a panel */
    MOE_INT_WORDS = 4 * MOE_INT_ROWS    /* bytes of a word of all rows */
};

/** A block of a row of x. */
typedef struct {
    int32_t codes[4]; /* bytes: columns 0, 2, 4, 6; 1, 3, 5, 7; 8, 10, ... */
    int32_t start;    /* -12 x the sum of the codes */
    int32_t scale;    /* divided */
} moe_int_block_t;

/** A piece of a panel of weights. */
typedef struct {
    uint8_t words[MOE_INT_BLOCKS][4][MOE_INT_WORDS]; /* [16 rows][4 bytes] */
    int32_t scales[MOE_INT_BLOCKS][MOE_INT_ROWS];    /* divided */
} moe_int_panel_t;

/** The inner loops of a kernel. */
typedef struct {
    int64_t tile; /* rows of x together at most, a power of two up to 8 */

    /** Codes and scales as fetch_panel() gives them; the scales, no NaN, in
     * units of 2^-9. There is room for a multiple of 4 blocks. */
    void (*decode)(const uint8_t *codes, const uint8_t *scales, int64_t blocks,
                   moe_int_panel_t *out);

    /** Sums over x [blocks][n], n a power of two, to sums [n][16]. */
    void (*narrow)(const moe_int_panel_t *w, const moe_int_block_t *x,
                   int64_t blocks, int64_t n, int64_t *sums);
    void (*wide)(const moe_int_panel_t *w, const moe_int_block_t *x,
                 int64_t blocks, int64_t n, int64_t *sums);
} moe_int_loops_t;

/** As in moe_nvfp4_kernel_t. */
int64_t moe_int_work_bytes(int64_t n, int64_t rows, int64_t k);
void moe_int_prepare(const moe_int_loops_t *loops, const moe_nvfp4_tile_t *tile,
                     void *work);
void moe_int_sum(const moe_int_loops_t *loops, const moe_nvfp4_tile_t *tile,
                 void *work, int64_t *sums);

enum {
    MOE_INT_MAX_ROWS = 256,
    MOE_INT_MAX_PANEL = 64
};

#endif
