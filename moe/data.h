/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a layer's tensors are drawn as, and what that asks of a model.
 */
#ifndef MOE_DATA_H
#define MOE_DATA_H

#include "moe/model.h"

#include <stddef.h>

/* moe/data.def -- the list of kinds; normal is 0. */
typedef enum {
#define MOE_DATA(id, text) MOE_DATA_##id,
#include "moe/data.def"
#undef MOE_DATA
    MOE_DATA_COUNT
} moe_data_t;

/** Name as files spell it, and a sentence; "?" if out of range. */
const char *moe_data_name(moe_data_t data);
const char *moe_data_text(moe_data_t data);

/** Kind of a name. @return False, data_p untouched, if there is none. */
bool moe_data_named(const char *name, moe_data_t *data_p);

/**
 * Make a model one that the data are made for. normal: nothing. Else: the
 * activation relu_glu, the score dyadic, no scaling, no renormalisation and no
 * biases of experts, so that routing weights are powers of two whose sum is 1.
 */
void moe_data_set_model(moe_data_t data, moe_model_t *model);

/** True if a model is one that moe_data_set_model() would not change. */
bool moe_data_has_model(moe_data_t data, const moe_model_t *model);

/** Why data cannot be drawn in a model's shape; NULL if they can. */
const char *moe_data_refuses(moe_data_t data, const moe_model_t *model);

/** Bound for the default global scale of a tensor, of which normal data have
 * the bound given; 0, a global scale of 1, for the others. */
float moe_data_bound(moe_data_t data, float bound);

#endif
