/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * NVFP4 x NVFP4 on the integer grid: what its kernels share.
 *
 * Codes are twice the value, block scales are in units of 2^-9: a product of
 * two elements is an integer in units of 2^-20, at most 36 x 448^2 x 2^20,
 * and a block of 16 of them is at most 1.21e14. A kernel gives exact integer
 * sums of a tile of rows times a panel of weights; here they are rounded.
 * A sum of K products fits int64 up to K = 1.2 million. MOESIM_KERNEL names
 * the kernel to use, else it is the best that the processor has.
 */
#ifndef REF_MATMUL_NVFP4_H
#define REF_MATMUL_NVFP4_H

#include "moe/layout.h"
#include "ref/matmul.h"

#include <stdbool.h>

enum {
    MOE_NVFP4_BLOCK = 16,
    MOE_NVFP4_BOUND = 1184, /* columns whose sum stays below 2^53 */
    MOE_NVFP4_PIECE = 1024, /* at most that, and whole calls of Philox */
    MOE_NVFP4_MAX_COLS = 1200000,
    MOE_NVFP4_PART = 64 /* a part of I is a multiple of this */
};

/** Where a kernel gets packed codes and linear scales of a piece from. */
typedef struct {
    /** Rows [row, + rows), columns [col, + cols); col is a multiple of
     * MOE_NVFP4_PIECE. codes [rows][cols / 2], scales [rows][cols / 16]. */
    void (*fetch)(const void *from, int64_t row, int64_t rows, int64_t col,
                  int64_t cols, uint8_t *codes, uint8_t *scales);

    /** The same of the 16 rows from row on, interleaved as moe/fill.h
     * does; rows beyond the last hold any numbers. There is room for
     * MOE_NVFP4_PIECE columns. */
    void (*fetch_panel)(const void *from, int64_t row, int64_t col,
                        int64_t cols, uint8_t *codes, uint8_t *scales);
    const void *from;
} moe_nvfp4_weights_t;

/** Weights of an expert, drawn. */
typedef struct {
    const moe_ref_weights_t *weights;
    int64_t expert;
} moe_nvfp4_drawn_t;

/** Rows (outputs) and columns of weights, or of their part. */
int64_t moe_nvfp4_weight_rows(const moe_ref_weights_t *weights);
int64_t moe_nvfp4_weight_cols(const moe_ref_weights_t *weights);

/** fetch and fetch_panel of moe_nvfp4_weights_t, from moe_nvfp4_drawn_t. */
void moe_nvfp4_fetch_drawn(const void *from, int64_t row, int64_t rows,
                           int64_t col, int64_t cols, uint8_t *codes,
                           uint8_t *scales);
void moe_nvfp4_fetch_panel_drawn(const void *from, int64_t row, int64_t col,
                                 int64_t cols, uint8_t *codes, uint8_t *scales);

/** Rows [first, first + n) of x, and weight rows [row, row + rows). */
typedef struct {
    const moe_rows_t *x;
    int64_t first;
    int64_t n;
    const moe_nvfp4_weights_t *weights;
    int64_t row;
    int64_t rows;
} moe_nvfp4_tile_t;

/** A way to sum. */
typedef struct {
    const char *name;
    int64_t min_rows;  /* of x, below which a later kernel is faster */
    int64_t max_rows;  /* of x in a tile */
    int64_t max_panel; /* of weights in a tile; few_panel of experts with at */
    int64_t few_rows;  /* most so many rows */
    int64_t few_panel;

    /** True if this processor has it. */
    bool (*available)(void);

    /** Bytes of work memory of tiles of n rows x rows weights, K columns. */
    int64_t (*work_bytes)(int64_t n, int64_t rows, int64_t k);

    /** Get ready for rows [first, first + n) of x; sum is then called for
     * its panels. work is aligned to 64 bytes. */
    void (*prepare)(const moe_nvfp4_tile_t *tile, void *work);

    /** sums [n][rows], exact, in units of 2^-20. */
    void (*sum)(const moe_nvfp4_tile_t *tile, void *work, int64_t *sums);
} moe_nvfp4_kernel_t;

extern const moe_nvfp4_kernel_t moe_nvfp4_amx;
extern const moe_nvfp4_kernel_t moe_nvfp4_vnni;
extern const moe_nvfp4_kernel_t moe_nvfp4_avx2;
extern const moe_nvfp4_kernel_t moe_nvfp4_blas;

/** Kernel i, best first, whether available or not; NULL at the end. */
const moe_nvfp4_kernel_t *moe_nvfp4_kernel_at(int i);

/** The kernel to use for an expert with so many rows; NULL and an error
 * recorded if MOESIM_KERNEL asks for one that there is not. */
const moe_nvfp4_kernel_t *moe_nvfp4_kernel(int64_t rows);

/**
 * RN(sum x scale x 2^-20) to a float format, one rounding.
 * @param[in]     scale   Exact product of two fp32 global scales, > 0.
 * @param[in,out] redone_p  Counts what float64 could not decide.
 */
uint32_t moe_nvfp4_round(int64_t sum, double scale, moe_format_t format,
                         int64_t *redone_p);

/** MOE_ERR_RANGE if a scale of rows [first, end) is NaN: the grid has no place
 * for it, and no quantiser here makes such a scale. */
moe_status_t moe_nvfp4_check_scales(const moe_rows_t *x, int64_t first,
                                    int64_t end);

/** The sum itself, sum x scale x 2^-20: two numbers, nothing lost. */
moe_sum_t moe_nvfp4_unrounded(int64_t sum, double scale);

/** RN(sum x scale x 2^-20 + bias), one rounding. */
uint32_t moe_nvfp4_round_biased(int64_t sum, double scale, double bias,
                                moe_format_t format, int64_t *redone_p);

/** The operand class, as ref/matmul.c lists it. */
bool moe_nvfp4_supports(moe_format_t x, moe_format_t weights, moe_format_t out);
int64_t moe_nvfp4_workspace(int64_t rows, int64_t k, int64_t n);
moe_status_t moe_nvfp4_matmul(const moe_ref_weights_t *weights,
                              const moe_rows_t *x, const int64_t *offset,
                              int64_t n_experts, const moe_rows_t *out,
                              moe_ref_stats_t *stats);

#endif
