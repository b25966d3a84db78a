/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The numbers of the data that are exact by construction (grid, stamp,
 * identity), as small integers.
 *
 * Hidden states, in blocks of 16 columns: column 0 is 6 or -6, column 1 is 1,
 * the others lie within -4 to 4. So 6 is the largest magnitude of every block
 * of any format, and with global scale 1 each number is a code. Weights are
 * 0, 1 and -1, few of them not 0, with scales of 1. Rows of gates and ups are
 * such that relu_glu's output is of the same kind: 6 or -6 at the columns
 * that are multiples of 16, else 0, 1, 2, 3, 4 or 6 with a sign, or zeros
 * alone.
 */
#ifndef MOE_GRID_H
#define MOE_GRID_H

#include "moe/data.h"
#include "moe/fill.h"

enum {
    MOE_GRID_BLOCK = 16,
    MOE_GRID_PERIOD = 32, /* columns after which a stamp repeats */
    MOE_GRID_MAX = 6,     /* largest magnitude of hidden and act_out */
    MOE_GRID_ONES = 8,    /* most elements of a row of weights, but zeros */
    MOE_GRID_STEPS = 256  /* a logit is a multiple of 1 / this */
};

/** What tensors are drawn from. */
typedef struct {
    moe_data_t data;
    uint64_t seed;
    const moe_model_t *model; /* kept */
} moe_draw_t;

/** An element of a row of weights that is not 0. */
typedef struct {
    int64_t col;
    bool negative;
} moe_grid_one_t;

/** Hidden state of a token: out [H]. */
void moe_grid_hidden(const moe_draw_t *draw, int64_t token, int8_t *out);

/** Elements of a row of an expert's weights that are not 0, by column: how
 * many, in out [MOE_GRID_ONES]. */
int moe_grid_row(const moe_draw_t *draw, moe_weight_t weight, int64_t expert,
                 int64_t row, moe_grid_one_t *out);

/** Most that a row of W2 has: 8, fewer where a token has many experts, so
 * that 6 of each in units of the least routing weight stay below 256. */
int moe_grid_ones(const moe_model_t *model);

/** log2 of 1 / the least routing weight: ceil(log2 k). */
int moe_grid_weight_bits(const moe_model_t *model);

/**
 * Columns [col, col + n) of an expert's row of router weights, times
 * MOE_GRID_STEPS; col and n are multiples of 16. Column 1 holds e mod 256, so
 * that no two of 256 experts have equal logits; column 17 a number that makes
 * all logits positive; columns that hold 6 and the other ones are 0, the rest
 * random of -1, 0 and 1.
 */
void moe_grid_router(const moe_draw_t *draw, int64_t expert, int64_t col,
                     int64_t n, int32_t *out);

/** Largest logit, times MOE_GRID_STEPS, of grid data; 0 if not below 2^31. */
int64_t moe_grid_logit_most(const moe_model_t *model);

/** Correction bias of an expert: -2 to 2. */
int moe_grid_bias(const moe_draw_t *draw, int64_t expert);

/** Tokens that have stamps. */
#define MOE_STAMP_MAX (INT64_C(1) << 46)

/** A row of stamps: out [n], the first n columns. */
void moe_stamp_write(int64_t token, int64_t n, int8_t *out);

/**
 * The token that a row of n >= 32 numbers is the stamp of.
 * @return It; -1 if the row is zeros alone, -2 if it is no stamp.
 */
int64_t moe_stamp_read(const double *row, int64_t n);

#endif
