/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * NVFP4 elements as integers in bytes, for matrix units that multiply bytes.
 *
 * An element is twice its code times its block's scale in units of 2^-9, an
 * integer. All scales of a row in a piece of columns are divided by the
 * greatest power of two that leaves them integers; the elements then have
 * mostly 15 bits: two signed bytes, v = low + 256 high. Where the scales of
 * a row are further apart there is a third.
 *
 * A strip is 16 rows, and cut in chunks of 64 columns: [chunks][1024] bytes
 * a limb. Within a chunk the columns stand in groups of four: 0, 2, 4, 6;
 * 1, 3, 5, 7; 8, 10, 12, 14; ...: as a panel of moe/fill.h has them. Columns
 * beyond the last are zero.
 */
#ifndef REF_MATMUL_NVFP4_LIMBS_H
#define REF_MATMUL_NVFP4_LIMBS_H

#include "ref/matmul_nvfp4.h"

enum {
    MOE_LIMBS = 3,
    MOE_LIMBS_ROWS = MOE_FILL_PANEL_ROWS,
    MOE_LIMBS_CHUNK = 64,
    MOE_LIMBS_CHUNKS = MOE_NVFP4_PIECE / MOE_LIMBS_CHUNK,
    MOE_LIMBS_BLOCKS = MOE_NVFP4_PIECE / MOE_NVFP4_BLOCK
};

/** A piece of a strip, in bytes of a chunk: left operands have the groups of
 * a row together, [16 rows][16 groups][4]; right operands the rows of a
 * group, [16 groups][16 rows][4]. */
typedef struct {
    int8_t limb[MOE_LIMBS][MOE_LIMBS_CHUNKS][MOE_LIMBS_ROWS * MOE_LIMBS_CHUNK];
    int64_t shift[MOE_LIMBS_ROWS]; /* value = element x 2^shift */
    int32_t limbs;                 /* 2, or 3 */
    int32_t fill[15];              /* whole lines of 64 bytes */
} moe_limbs_t;

/** Does this processor have what these need? */
bool moe_limbs_available(void);

/**
 * A piece of 16 rows of x as a left operand.
 * @param[in] first  Row; those from end on are zero.
 * @param[in] col    Multiple of MOE_NVFP4_PIECE.
 * @param[in] cols   At most MOE_NVFP4_PIECE.
 */
void moe_limbs_left(const moe_rows_t *x, int64_t first, int64_t end,
                    int64_t col, int64_t cols, moe_limbs_t *out);

/** A piece of a panel, as moe_nvfp4_weights_t's fetch_panel gives it, as a
 * right operand. */
void moe_limbs_right(const uint8_t *codes, const uint8_t *scales, int64_t cols,
                     moe_limbs_t *out);

#endif
