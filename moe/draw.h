/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Tensors of a layer in any kind of data: those of moe/fill.h, or the exact
 * ones of moe/grid.h in the format that is asked for.
 */
#ifndef MOE_DRAW_H
#define MOE_DRAW_H

#include "moe/fill_rows.h"
#include "moe/grid.h"

/** As moe_fill_hidden(): out [n][H] bf16 bits. */
void moe_draw_hidden(const moe_draw_t *draw, int64_t first, int64_t n,
                     uint16_t *out);

/** As moe_fill_router() and moe_fill_bias(): out [E][H] bf16 bits, [E]. */
void moe_draw_router(const moe_draw_t *draw, uint16_t *out);
void moe_draw_bias(const moe_draw_t *draw, float *out);

/** As moe_fill_weight_codes() and moe_fill_weight_scales(). */
void moe_draw_weight_codes(const moe_draw_t *draw, moe_weight_t weight,
                           int64_t expert, int64_t row, int64_t rows,
                           int64_t col, int64_t cols, uint8_t *out);
void moe_draw_weight_scales(const moe_draw_t *draw, moe_weight_t weight,
                            int64_t expert, int64_t row, int64_t rows,
                            int64_t block, int64_t blocks, uint8_t *out);

/** As moe_fill_panel_codes() and moe_fill_panel_scales(). */
void moe_draw_panel_codes(const moe_draw_t *draw, moe_weight_t weight,
                          int64_t expert, int64_t row, int64_t col,
                          int64_t cols, uint8_t *out);
void moe_draw_panel_scales(const moe_draw_t *draw, moe_weight_t weight,
                           int64_t expert, int64_t row, int64_t block,
                           int64_t blocks, uint8_t *out);

/** Decode global scale of an expert's weights of K columns, 1 in formats that
 * have none: one for all experts, unless the model says that each has its own
 * (NVFP4). */
float moe_draw_weight_global(const moe_draw_t *draw, moe_weight_t weight,
                             moe_format_t format, int64_t expert, int64_t cols);

/** As moe_fill_rows(); NVFP4 as the functions above, with the global scale of
 * moe_draw_weight_global(). */
void moe_draw_rows(const moe_draw_t *draw, moe_weight_t weight,
                   moe_format_t format, int64_t expert, int64_t row,
                   int64_t rows, int64_t col, int64_t cols, void *codes,
                   void *scales);

#endif
