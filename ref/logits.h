/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Router logits: correctly rounded dot products.
 */
#ifndef REF_LOGITS_H
#define REF_LOGITS_H

#include "base/status.h"
#include "ref/rows.h"
#include "ref/stats.h"

/**
 * logits[n][E] = RN32(sum over H of x * w), the exact sum rounded once.
 *
 * float64 GEMM with a bound from row norms decides most; vectorised two-sum
 * the rest; mpfr_sum what that leaves.
 *
 * @param[in]  x       [n][H], a float format.
 * @param[in]  router  [E][H] bf16 bits.
 * @param[out] logits  [n][E].
 * @return MOE_OK; MOE_ERR_NOMEM; MOE_ERR_UNSUPPORTED.
 */
moe_status_t moe_ref_logits(const moe_rows_t *x, const uint16_t *router,
                            int64_t experts, float *logits,
                            moe_ref_stats_t *stats);

/** Bytes that moe_ref_logits() allocates for n rows. */
int64_t moe_ref_logits_workspace(int64_t n, int64_t hidden, int64_t experts);

#endif
