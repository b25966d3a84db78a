/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * float64 products for operands that are decoded just before they are
 * multiplied: beside cblas_dgemm, which wants them in memory, kernels for
 * vector units to which weights are given inside the cache. One thread.
 *
 * Sums of products have no order that is promised; each product enters one sum
 * once, by a fused multiply-add.
 */
#ifndef REF_GEMM_H
#define REF_GEMM_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MOE_GEMM_PIECE = 128, /* columns that a kernel takes at a time at most */
    MOE_GEMM_ALIGN = 64
};

/** x lies in panels of `registers` x lanes rows: [K][rows of a panel]. */
typedef struct {
    const char *name; /* by MOESIM_KERNEL */
    int lanes;        /* rows of x in a register */
    int most;         /* registers of a panel at most */
    int w_rows;       /* rows of weights at a time */
    bool (*available)(void);
    /** sum[j * stride + i] += sum over k of x[k][i] w[j * MOE_GEMM_PIECE + k]
     * for all rows i of a panel and j < w_rows; where it begins, = instead. */
    void (*multiply)(int registers, const double *x, const double *w, int64_t k,
                     bool begins, double *sum, int64_t stride);
} moe_gemm_kernel_t;

extern const moe_gemm_kernel_t moe_gemm_avx512;
extern const moe_gemm_kernel_t moe_gemm_avx2;

/** The kernel of this processor that MOESIM_KERNEL permits; NULL: cblas_dgemm,
 * as where BLAS has several threads. */
const moe_gemm_kernel_t *moe_gemm_kernel(void);

/** How n rows of x lie. */
typedef struct {
    int registers; /* of a panel */
    int64_t rows;  /* of a panel */
    int64_t panels;
} moe_gemm_panels_t;
moe_gemm_panels_t moe_gemm_panels(const moe_gemm_kernel_t *kernel, int64_t n);

/** Most rows that panels of n rows or fewer have, zeros included. */
int64_t moe_gemm_padded(const moe_gemm_kernel_t *kernel, int64_t n);

/** panel [K][rows], columns [col, col + n) of it = value [rows][n]
 * transposed; of rows from `some` on zeros. */
void moe_gemm_pack(const double *value, int64_t some, int64_t rows, int64_t col,
                   int64_t n, double *panel);

#endif
