/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of expert weights drawn in a storage format other than NVFP4, which
 * moe/fill.h draws. Integer tables only: every machine makes the same bits.
 */
#ifndef MOE_FILL_ROWS_H
#define MOE_FILL_ROWS_H

#include "moe/fill.h"
#include "moe/format.h"

/** True for the formats that can be drawn: bf16, fp16, fp32, and those of 8-bit
 * floats, 8-bit integers and E2M1 codes with scales that are numbers. */
bool moe_fill_rows_has(moe_format_t format);

/**
 * Rows [row, row + rows) of one expert's weights, columns [col, col + cols),
 * with a standard deviation near 1 / sqrt(K), K = moe_weight_cols().
 *
 * bf16: normal, by the quantiles of moe/fill.h; fp16 and fp32 have their eight
 * digits, and random ones behind them, which fp16 cuts off where numbers are
 * below its smallest exponent. Codes: E2M1 each magnitude
 * alike, 0 twice; E4M3 and E5M2 codes of eight binades alike; int8 -127 to
 * 127. -0 never. fp32 scales have random fractions within one binade, powers
 * of two and bf16 scales vary by a factor of two; those of fp8_1x128 are
 * shared by the rows of a multiple of 128, as blocks of 128 x 128 are. Codes
 * without scales have moe_fill_rows_global().
 *
 * @param[in]  col     A multiple of the format's block and of 32.
 * @param[out] codes   [rows] of moe_format_code_bytes(format, cols).
 * @param[out] scales  [rows][moe_format_scale_cols(format, cols)]; or NULL if
 *                     the format has none.
 */
void moe_fill_rows(uint64_t seed, const moe_model_t *model, moe_weight_t weight,
                   moe_format_t format, int64_t expert, int64_t row,
                   int64_t rows, int64_t col, int64_t cols, void *codes,
                   void *scales);

/** Decode global scale of weights of K columns in fp8_tensor: a power of two
 * that gives them a standard deviation near 1 / sqrt(K). */
float moe_fill_rows_global(int64_t cols);

/** The decode global scale of one expert's NVFP4 weights over that of all: a
 * number of sixteenths, 8 to 16. */
int moe_fill_expert_scale(uint64_t seed, moe_weight_t weight, int64_t expert);

/** fp32 biases of the outputs [row, row + rows) of one expert: bf16 normal
 * numbers, standard deviation 1/64. */
void moe_fill_expert_bias(uint64_t seed, moe_weight_t weight, int64_t expert,
                          int64_t row, int64_t rows, float *out);

#endif
