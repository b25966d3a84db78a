/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Proof that data of moe/grid.h are exact through a whole layer, in a shape
 * and in formats: bounds in integers, and every quantiser run on every number
 * that it can meet.
 */
#ifndef REF_GRID_H
#define REF_GRID_H

#include "base/status.h"
#include "moe/chain.h"
#include "moe/data.h"

enum {
    MOE_GRID_WHY = 256 /* bytes of a reason */
};

/**
 * True if every partial sum of logits fits fp32 and every partial sum of the
 * matmuls and of a token's slots the narrowest accumulator of
 * ref/accumulator.def, in any order; always for normal data.
 * @param[out] why  The reason if it is false.
 */
bool moe_grid_shape_is_exact(moe_data_t data, const moe_model_t *model,
                             char why[MOE_GRID_WHY]);

/** Why a chain would round data that are exact; NULL if it does not. One
 * sentence, static. */
const char *moe_grid_chain_refuses(moe_data_t data, const moe_model_t *model,
                                   const moe_chain_t *chain);

/** Both, and that the model is one that the data are made for.
 * @return MOE_OK; MOE_ERR_UNSUPPORTED. */
moe_status_t moe_grid_check(moe_data_t data, const moe_model_t *model,
                            const moe_chain_t *chain);

#endif
