/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Random tensors of a layer, bit for bit the same on every machine.
 *
 * Philox 4x32-10 (Random123; Salmon et al., SC 2011), keyed by (seed,
 * tensor), counted by place, mapped through integer tables: no
 * floating-point function is involved. Every row is addressed by its global
 * number, so any rank may make any rows.
 */
#ifndef MOE_FILL_H
#define MOE_FILL_H

#include "moe/model.h"

#include <stdint.h>

/** Largest magnitude of a hidden state made by moe_fill_hidden(). */
#define MOE_FILL_HIDDEN_BOUND 4.0f

/** Documented bound of act_out for the default global scale; a larger value
 * saturates, as the quantiser defines. */
#define MOE_FILL_ACT_BOUND 64.0f

/** The two weight tensors of an expert. */
typedef enum {
    MOE_W13, /* [2 I][H]: rows 0..I-1 gate (w1), I..2I-1 up (w3) */
    MOE_W2   /* [H][I] */
} moe_weight_t;

/** What of W13 a matmul has. */
typedef enum {
    MOE_HALVES_both,
    MOE_HALVES_gate, /* w1 alone */
    MOE_HALVES_up    /* w3 alone */
} moe_halves_t;

/** Rows (N) and columns (K) of a weight tensor of one expert. */
int64_t moe_weight_rows(const moe_model_t *model, moe_weight_t weight);
int64_t moe_weight_cols(const moe_model_t *model, moe_weight_t weight);

/**
 * Hidden states of tokens [first, first + n): standard normal by a table of
 * bf16 quantiles; never 0.
 * @param[out] out  [n][H] bf16 bits.
 */
void moe_fill_hidden(uint64_t seed, int64_t hidden, int64_t first, int64_t n,
                     uint16_t *out);

/** Router weights: normal, standard deviation 1/64.
 * @param[out] out  [E][H] bf16 bits. */
void moe_fill_router(uint64_t seed, int64_t experts, int64_t hidden,
                     uint16_t *out);

/** Correction bias: normal, standard deviation 1/64. @param[out] out [E]. */
void moe_fill_bias(uint64_t seed, int64_t experts, float *out);

/**
 * NVFP4 codes of a piece of one expert's weights; each magnitude but 0 as
 * likely as the next, 0 twice, -0 never.
 * @param[in]  row, rows  Range of rows (output features).
 * @param[in]  col, cols  Range of columns; multiples of 32, or up to the end.
 * @param[out] out        [rows][cols / 2], low nibble first.
 */
void moe_fill_weight_codes(uint64_t seed, moe_weight_t weight, int64_t expert,
                           int64_t row, int64_t rows, int64_t col, int64_t cols,
                           uint8_t *out);

/**
 * E4M3 block scales of a piece of one expert's weights: codes 60..6F
 * (32 to 120), equally likely.
 * @param[in]  block, blocks  Range of blocks of 16 columns.
 * @param[out] out            [rows][blocks].
 */
void moe_fill_weight_scales(uint64_t seed, moe_weight_t weight, int64_t expert,
                            int64_t row, int64_t rows, int64_t block,
                            int64_t blocks, uint8_t *out);

/** Rows of a panel: a vector holds 4 bytes of each. */
#define MOE_FILL_PANEL_ROWS 16

/**
 * The same codes of the 16 rows from row on, interleaved; rows beyond the
 * last are drawn like others.
 * @param[in]  col, cols  Range of columns; col is a multiple of 32.
 * @param[out] out        [cols / 8][16 rows][4 bytes], with room for cols
 *                        rounded up to 32.
 */
void moe_fill_panel_codes(uint64_t seed, moe_weight_t weight, int64_t expert,
                          int64_t row, int64_t col, int64_t cols, uint8_t *out);

/**
 * The same scales of the 16 rows from row on, interleaved likewise.
 * @param[in]  block, blocks  Range of blocks; block is a multiple of 16.
 * @param[out] out            [blocks / 4][16 rows][4 bytes], with room for
 *                            blocks rounded up to 16.
 */
void moe_fill_panel_scales(uint64_t seed, moe_weight_t weight, int64_t expert,
                           int64_t row, int64_t block, int64_t blocks,
                           uint8_t *out);

/**
 * Decode global scale of a weight tensor, RN32(1 / (192 sqrt(K))): weights
 * get a standard deviation near 1/sqrt(K). Decoded weight = code * scale *
 * this.
 */
float moe_fill_weight_global(int64_t cols);

#endif
