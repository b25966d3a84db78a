/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Routing that is data, and numbers of other types than the chain's.
 */
#ifndef SIM_CHECK_TOLD_H
#define SIM_CHECK_TOLD_H

#include "sim/check/check.h"

/** Ids (int32) and weights (fp32) of a router that is data; codes NULL: not
 * there. */
typedef struct {
    const moe_safetensors_t *file; /* GOT's */
    moe_rows_t ids, weights;       /* GOT's */
    moe_rows_t ref_ids, ref_weights;
} moe_check_told_t;

/** Add faults of ids that are no expert's; and of ids and weights, as pairs in
 * any order of the columns, that are not REF's. -1 is no expert where REF's
 * token has none, too. */
moe_status_t moe_check_told(moe_check_t *check, const moe_golden_rank_t *rank,
                            const moe_model_t *model,
                            const moe_check_told_t *told);

/** Give a float tensor the chain's format, if that is no wider and each of its
 * numbers is one of it: rounded values that were saved as fp32. Set `mostly` if
 * but few are not. */
moe_status_t moe_check_narrow(moe_format_t format, moe_check_tensor_t *tensor);

/** Routing weights of another float type as fp32, which they are to the
 * judge. */
moe_status_t moe_check_widen(moe_check_tensor_t *weights);

/** Element of topk_ids as the file has it, that is `narrow` in 32 bits. */
int64_t moe_check_id(const moe_safetensors_t *file, int64_t at, int32_t narrow);

#endif
