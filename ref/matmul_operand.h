/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Operand classes other than NVFP4 x NVFP4, as ref/matmul.c lists them, and
 * what they share: tiles of decoded rows, and the walk over them.
 */
#ifndef REF_MATMUL_OPERAND_H
#define REF_MATMUL_OPERAND_H

#include "ref/combine.h"
#include "ref/gemm.h"
#include "ref/matmul.h"
#include "ref/operand.h"
#include "ref/weights.h"

/** Rows of x times rows of weights, decoded. */
typedef struct {
    moe_operand_t x; /* n rows */
    moe_operand_t w; /* m rows */
    int64_t n;
    int64_t m;
    const double *bias; /* [m] */
    double *product;    /* [n][m] room for what BLAS gives */
    double *more;       /* [2][n][m] room; without blocks [m] and, of a long
                         * K, [2][n][m] */
    double *room;       /* [2][K / block] room; [m] without blocks */
    const moe_rows_t *out;
    int64_t row; /* of out's row and column where the tile begins */
    int64_t col;
    moe_ref_stats_t *stats;
    /* Where a kernel multiplies: x.value are panels of ref/gemm.h, w.value is
     * [w_rows][MOE_GEMM_PIECE] room, and values are read once more where
     * something else asks for them. */
    const moe_gemm_kernel_t *kernel; /* NULL: cblas_dgemm */
    const moe_operand_reader_t *x_reader;
    const moe_operand_reader_t *w_reader;
    double *sums; /* [w_rows][rows of the panels] room */
    double *rows; /* [2][K] room */
} moe_matmul_tile_t;

/** Make tile->x of rows [tile->row, + n): panels. */
void moe_matmul_pack(const moe_matmul_tile_t *tile);

/** out [n][m] = products over columns [first, first + k) by the kernel. */
void moe_matmul_packed(const moe_matmul_tile_t *tile, int64_t first, int64_t k,
                       double *out);

/** True if K is long enough that fp32 results are made in pieces of it. */
static inline bool moe_float_in_pieces(int64_t k)
{
    return k > 2048;
}

/** Multiply a tile and round it into out. */
typedef void moe_matmul_tile_func_t(const moe_matmul_tile_t *tile);

/** All tiles of a grouped matmul. block as in moe_operand_t; 0: none. */
moe_status_t moe_matmul_walk(const moe_ref_weights_t *weights,
                             const moe_rows_t *x, const int64_t *offset,
                             int64_t n_experts, const moe_rows_t *out,
                             int64_t block, moe_matmul_tile_func_t *multiply,
                             moe_ref_stats_t *stats);
int64_t moe_matmul_walk_bytes(moe_format_t weights, int64_t rows, int64_t k,
                              int64_t n, int64_t block);

/** Code of the format next to (sum + what it may be off) x factor + bias;
 * exact says how to get it where that leaves it open. */
typedef struct {
    moe_sum_t sum;
    double factor; /* product of two fp32 numbers */
    double bias;   /* fp32 */
} moe_matmul_open_t;
bool moe_matmul_close(const moe_matmul_open_t *open, moe_format_t format,
                      uint32_t *bits_p);

bool moe_float_supports(moe_format_t x, moe_format_t weights, moe_format_t out);
int64_t moe_float_workspace(moe_format_t weights, int64_t rows, int64_t k,
                            int64_t n);
moe_status_t moe_float_matmul(const moe_ref_weights_t *weights,
                              const moe_rows_t *x, const int64_t *offset,
                              int64_t n_experts, const moe_rows_t *out,
                              moe_ref_stats_t *stats);

bool moe_block_supports(moe_format_t x, moe_format_t weights, moe_format_t out);
int64_t moe_block_workspace(moe_format_t weights, int64_t rows, int64_t k,
                            int64_t n);
moe_status_t moe_block_matmul(const moe_ref_weights_t *weights,
                              const moe_rows_t *x, const int64_t *offset,
                              int64_t n_experts, const moe_rows_t *out,
                              moe_ref_stats_t *stats);

#endif
