/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Exact grouped matmul: the exact sum of products, rounded once.
 *
 * One file a class of operands; NVFP4 x NVFP4 has one file a kernel, chosen at
 * run time. Results depend on the operands alone, not on kernel, BLAS, threads
 * or pieces of K:
 *   ref/matmul_nvfp4.c   NVFP4 x NVFP4: an integer grid. Codes are twice the
 *                        value, scales in units of 2^-9, so every product is
 *                        an integer in units of 2^-20, summed in integers or
 *                        by float64 BLAS in pieces that stay below 2^53
 *   ref/matmul_float.c   bf16, fp16, fp32, E5M2, E4M3, INT8, MX and any two
 *                        of them: float64 GEMM, exact where the grid allows,
 *                        else with a bound, two-sums and MPFR
 *   ref/matmul_block.c   fp32 scales per 128 columns: blocks exact by GEMM,
 *                        joined with a bound, error-free where it must be
 */
#ifndef REF_MATMUL_H
#define REF_MATMUL_H

#include "base/status.h"
#include "moe/draw.h"
#include "ref/rows.h"
#include "ref/stats.h"

/** Where weights come from: drawn when needed, by panels, then dropped. */
typedef struct {
    const moe_model_t *model;
    uint64_t seed;
    moe_weight_t weight;
    moe_format_t format;
    int64_t first_expert;   /* of the local ones */
    const int32_t *experts; /* [n_experts] which they are; NULL: first_expert
                             * and those that follow it */
    int part;  /* of I, of parts equal ones: rows of W13, columns */
    int parts; /* of W2; 0 or 1: all of I */
    const moe_rows_t *given; /* [n_experts] each [N][K] in the format, linear
                              * scales: somebody's weights; NULL: drawn */
    const float *bias;       /* [n_experts][N] added to the sums; NULL: drawn if
                              * the model has some and weights are drawn */
    moe_data_t data;         /* what weights are drawn as */
    moe_halves_t halves;     /* of W13: one of them if weights are drawn and
                              * lie in halves */
    int bias_times;          /* that the bias is added; 0: once */
    bool one_scale;          /* all have the global scale of the first: what a
                              * mistaken kernel takes */
} moe_ref_weights_t;

/**
 * out rows of local expert e = x rows of e times its weights transposed.
 *
 * @param[in] x       [n][K] grouped by expert, linear scales.
 * @param[in] offset  [n_experts + 1] first row of each local expert.
 * @param[in] out     [n][N], bf16, fp16 or fp32; of NVFP4 exact too.
 * @return MOE_OK; MOE_ERR_NOMEM; MOE_ERR_UNSUPPORTED for operands without a
 *         kernel.
 */
moe_status_t moe_ref_grouped_matmul(const moe_ref_weights_t *weights,
                                    const moe_rows_t *x, const int64_t *offset,
                                    int64_t n_experts, const moe_rows_t *out,
                                    moe_ref_stats_t *stats);

/** Bytes that it allocates for operands in these formats if no expert has
 * more than rows rows; 0 if there is no kernel for them. */
int64_t moe_ref_matmul_workspace(moe_format_t x, moe_format_t weights,
                                 int64_t rows, int64_t k, int64_t n);

/** Name of the kernel that NVFP4 is multiplied by: amx (experts with few
 * rows by the next), vnni, avx2 or blas. NULL and an error recorded if
 * MOESIM_KERNEL asks for one that there is not. */
const char *moe_ref_matmul_kernel_name(void);

/** True if there is a kernel for these operands. */
bool moe_ref_matmul_supports(moe_format_t x, moe_format_t weights,
                             moe_format_t out);

#endif
