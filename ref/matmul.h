/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Exact grouped matmul.
 *
 * One file a kernel; kernels are chosen at run time and give the same bits.
 * NVFP4 x NVFP4 lies on an integer grid: codes are twice the value, scales
 * in units of 2^-9, so every product is an integer in units of 2^-20. The
 * kernels sum in integers (AVX-512 VNNI, AVX2), or by float64 BLAS K in
 * pieces of at most 1184, which stay below 2^53; sum x (global_x * global_w)
 * x 2^-20 is rounded once by 128-bit integers.
 */
#ifndef REF_MATMUL_H
#define REF_MATMUL_H

#include "base/status.h"
#include "moe/fill.h"
#include "ref/rows.h"
#include "ref/stats.h"

/** Where weights come from: drawn when needed, by panels, then dropped. */
typedef struct {
    const moe_model_t *model;
    uint64_t seed;
    moe_weight_t weight;
    moe_format_t format;
    int64_t first_expert; /* of the local ones */
} moe_ref_weights_t;

/**
 * out rows of local expert e = x rows of e times its weights transposed.
 *
 * @param[in] x       [n][K] grouped by expert, linear scales.
 * @param[in] offset  [n_experts + 1] first row of each local expert.
 * @param[in] out     [n][N], bf16, fp16 or fp32.
 * @return MOE_OK; MOE_ERR_NOMEM; MOE_ERR_UNSUPPORTED for operands without a
 *         kernel.
 */
moe_status_t moe_ref_grouped_matmul(const moe_ref_weights_t *weights,
                                    const moe_rows_t *x, const int64_t *offset,
                                    int64_t n_experts, const moe_rows_t *out,
                                    moe_ref_stats_t *stats);

/** Bytes that it allocates if no expert has more than rows rows. */
int64_t moe_ref_matmul_workspace(int64_t rows, int64_t k, int64_t n);

/** Name of the kernel that NVFP4 is multiplied by: amx (experts with few
 * rows by the next), vnni, avx2 or blas. NULL and an error recorded if
 * MOESIM_KERNEL asks for one that there is not. */
const char *moe_ref_matmul_kernel_name(void);

/** True if there is a kernel for these operands. */
bool moe_ref_matmul_supports(moe_format_t x, moe_format_t weights,
                             moe_format_t out);

#endif
