/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/data.h"

#include "moe/grid.h"

#include <string.h>

static const struct {
    const char *name;
    const char *text;
} kinds[MOE_DATA_COUNT] = {
#define MOE_DATA(id, text) [MOE_DATA_##id] = {#id, text},
#include "moe/data.def"
#undef MOE_DATA
};

const char *moe_data_name(moe_data_t data)
{
    return (unsigned)data < MOE_DATA_COUNT ? kinds[data].name : "?";
}

const char *moe_data_text(moe_data_t data)
{
    return (unsigned)data < MOE_DATA_COUNT ? kinds[data].text : "?";
}

bool moe_data_named(const char *name, moe_data_t *data_p)
{
    for (int i = 0; i < MOE_DATA_COUNT; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            *data_p = (moe_data_t)i;
            return true;
        }
    }
    return false;
}

void moe_data_set_model(moe_data_t data, moe_model_t *model)
{
    if (data == MOE_DATA_normal) {
        return;
    }
    model->activation = MOE_ACTIVATION_relu_glu;
    model->expert_bias = false;
    model->expert_scales = false;
    model->score = MOE_SCORE_dyadic;
    model->renormalize = false;
    model->routed_scaling = 1.0f;
}

bool moe_data_has_model(moe_data_t data, const moe_model_t *model)
{
    return data == MOE_DATA_normal ||
           (model->activation == MOE_ACTIVATION_relu_glu &&
            model->score == MOE_SCORE_dyadic && !model->renormalize &&
            !model->expert_bias && !model->expert_scales &&
            !(model->routed_scaling < 1.0f) && !(model->routed_scaling > 1.0f));
}

const char *moe_data_refuses(moe_data_t data, const moe_model_t *model)
{
    if (data == MOE_DATA_normal) {
        return NULL;
    }
    if (model->shared > 0) {
        return "shared experts add to weights whose sum is 1";
    }
    if (model->hidden % MOE_GRID_BLOCK != 0 ||
        model->intermediate % MOE_GRID_BLOCK != 0) {
        return "hidden and intermediate must be multiples of 16";
    }
    if (model->hidden < MOE_GRID_PERIOD) {
        return "hidden must be at least 32";
    }
    if (data == MOE_DATA_stamp && model->intermediate < MOE_GRID_PERIOD) {
        return "intermediate must be at least 32: experts return 32 columns";
    }
    return NULL;
}

float moe_data_bound(moe_data_t data, float bound)
{
    return data == MOE_DATA_normal ? bound : 0.0f;
}
