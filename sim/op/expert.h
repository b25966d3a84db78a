/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Somebody's expert weights, for the operations that multiply by them.
 */
#ifndef SIM_OP_EXPERT_H
#define SIM_OP_EXPERT_H

#include "ref/matmul.h"
#include "sim/op/op.h"

typedef struct {
    int64_t experts;
    moe_format_t format; /* as the file has it */
    moe_rows_t *expert;  /* [experts] each [N][K] */
} moe_tool_weights_t;

/**
 * The tensor of an argument, [experts][N][cols], with ARG.scale, and
 * ARG.decode_scale where the format has a global scale.
 * @param[in] cols  -1: any.
 * @return false if there is a problem, which has been added.
 */
bool moe_tool_weights(moe_tool_job_t *job, const char *arg, moe_format_t format,
                      int64_t cols, moe_tool_weights_t *weights_p);

#endif
