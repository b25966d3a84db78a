/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of expert weights for a matmul: somebody's, or drawn when needed.
 */
#ifndef REF_WEIGHTS_H
#define REF_WEIGHTS_H

#include "ref/matmul.h"

/** Memory for rows of weights. Ended with moe_weight_panel_fini(). */
typedef struct {
    moe_rows_t rows; /* what is in it */
    void *codes;
    void *scales;
} moe_weight_panel_t;

/** Room for n rows. @return MOE_OK; MOE_ERR_NOMEM. */
moe_status_t moe_weight_panel_init(const moe_ref_weights_t *weights, int64_t n,
                                   moe_weight_panel_t *panel_p);
void moe_weight_panel_fini(moe_weight_panel_t *panel);

/** Bytes of that. */
int64_t moe_weight_panel_bytes(moe_format_t format, int64_t n, int64_t cols);

/** Expert whose weights local expert e has. */
int64_t moe_ref_weights_expert(const moe_ref_weights_t *weights, int64_t e);

/** Outputs N and columns K of local expert's weights: those of the model, or
 * of the part of I. */
int64_t moe_ref_weights_n(const moe_ref_weights_t *weights);
int64_t moe_ref_weights_k(const moe_ref_weights_t *weights);

/** Outputs [row, row + n) of local expert e, all columns. */
void moe_ref_weights_get(const moe_ref_weights_t *weights, int64_t e,
                         int64_t row, int64_t n, moe_weight_panel_t *panel);

/** Decode global scale of local expert e's weights; 1 without one. */
float moe_ref_weights_global(const moe_ref_weights_t *weights, int64_t e);

/** True if that is another than the first local expert's, of any expert of
 * n. */
bool moe_ref_weights_scaled(const moe_ref_weights_t *weights, int64_t n);

/** True if experts add biases: given ones, or drawn as the model says. */
bool moe_ref_weights_biased(const moe_ref_weights_t *weights);

/** The expert's biases of outputs [row, row + n), 0 without. */
void moe_ref_weights_bias(const moe_ref_weights_t *weights, int64_t e,
                          int64_t row, int64_t n, double *out);

/** True if the class's operands can be had: the format can be drawn or is
 * given, and blocks are not cut. */
bool moe_ref_weights_fit(const moe_ref_weights_t *weights);

#endif
