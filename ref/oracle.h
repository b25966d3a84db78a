/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The oracle: one token of a layer from its definition.
 *
 * No ranks, permutation, batching, padding or backend. Shares with the rest
 * only inputs (moe/fill.h) and the published format conversions.
 */
#ifndef REF_ORACLE_H
#define REF_ORACLE_H

#include "base/status.h"
#include "moe/layer.h"

#include <stdint.h>

/** Inputs of the layer; but for home every token shares them. */
typedef struct {
    const moe_layer_t *layer;
    const moe_chain_t *chain; /* of the method: its rounding points */
    const uint16_t *router;   /* [E][H] bf16 */
    const float *bias;        /* [E]; NULL without */
    int home[MOE_TOPK_MAX];   /* `faithful`: member whose chunk of a ring the
                               * token is; where parts of an expert's row are
                               * summed first, the row of each slot */
    const int32_t *slot; /* `faithful`: [k] where the token's experts lie, of
                          * n_slots; NULL: an expert's slot is its number */
    int64_t n_slots;
} moe_oracle_t;

/** What the oracle found for a token. */
typedef struct {
    int32_t ids[MOE_TOPK_MAX];
    float weights[MOE_TOPK_MAX];
    uint32_t *output; /* [H] codes in the chain's output format; caller's */
} moe_oracle_token_t;

/**
 * Route one token by the data, in ref/oracle_route.c.
 *
 * @param[in]  hidden  [H] bf16 codes.
 * @param[out] ids, weights  [k], larger choice first.
 * @return MOE_OK; MOE_ERR_RANGE if a logit is NaN; MOE_ERR_NOMEM.
 */
moe_status_t moe_oracle_route(const moe_oracle_t *oracle,
                              const uint16_t *hidden, int32_t *ids,
                              float *weights);

/**
 * Compute one token in the chain's numerics, as its contract says.
 *
 * @param[in] hidden  [H] codes of the token in the chain's hidden format
 *                    (bf16).
 * @param[in] routing_ids  NULL to route by the data, else [k] given experts,
 *                    -1 none, and [k] weights (a sampled or traced router,
 *                    or what a gate left).
 * @return MOE_OK; MOE_ERR_UNSUPPORTED unless hidden is bf16, expert_in,
 *         weights and gemm2_in nvfp4; MOE_ERR_RANGE; MOE_ERR_NOMEM.
 */
moe_status_t moe_oracle_token(const moe_oracle_t *oracle,
                              const uint16_t *hidden,
                              const int32_t *routing_ids,
                              const float *routing_weights,
                              moe_oracle_token_t *token);

#endif
