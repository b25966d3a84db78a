/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/needs.h"

#include <stddef.h>

const char *moe_needs_own_tokens(const moe_layer_t *layer,
                                 const int64_t *options)
{
    (void)options;
    return layer->layout.tp != 1 || layer->layout.ep != layer->layout.dp
               ? "needs ep = dp and tp = 1: each rank has tokens and experts "
                 "of its own"
               : NULL;
}

const char *moe_needs_experts_over_all(const moe_layer_t *layer)
{
    return layer->layout.ep != moe_layout_world(&layer->layout)
               ? "needs ep = dp x tp: experts lie over all ranks"
               : NULL;
}

const char *moe_needs_blocks(const moe_layer_t *layer, int64_t combine)
{
    return !moe_format_fits((moe_format_t)combine, layer->model->hidden)
               ? "needs hidden of whole blocks of the combine format"
               : NULL;
}

const char *moe_needs_plain_experts(const moe_layer_t *layer)
{
    return layer->layout.tp != 1 || moe_layer_is_placed(layer) ||
                   layer->model->shared > 0
               ? "needs tp = 1, experts in order and no shared_experts where "
                 "an expert's rows are counted"
               : NULL;
}

const char *moe_needs_weights_on_output(const moe_layer_t *layer)
{
    return layer->model->weight_on_input
               ? "needs weights on the experts' output: rows may be sent "
                 "before they have any"
               : NULL;
}

const char *moe_needs_weighable_activation(const moe_layer_t *layer,
                                           bool weighs)
{
    if (!weighs) {
        return NULL;
    }
    return layer->model->expert_bias
               ? "needs a model without expert_bias, which no activation weighs"
               : moe_needs_weights_on_output(layer);
}

const char *moe_needs_own_unweighed(const moe_layer_t *layer,
                                    const int64_t *options)
{
    const char *why = moe_needs_own_tokens(layer, options);

    return why != NULL ? why : moe_needs_weights_on_output(layer);
}

/* Parts of sums over I travel unrounded in exact: of grids, and no biases. */
static const char *needs_grids(const moe_layer_t *layer)
{
    const moe_chain_t *chain = &layer->chain;

    if (layer->model->expert_bias) {
        return "needs a model without expert_bias in exact, which carries "
               "what the experts return unrounded: numerics: faithful takes it";
    }
    return chain->weights != MOE_FORMAT_nvfp4 ||
                   chain->at[MOE_ROLE_gemm2_in].format != MOE_FORMAT_nvfp4
               ? "needs weights and gemm2_in in nvfp4 in exact, as sums of "
                 "other products are not carried unrounded: numerics: "
                 "faithful takes them"
               : NULL;
}

const char *moe_needs_expert_parts(const moe_layer_t *layer)
{
    const moe_chain_t *chain = &layer->chain;
    const int64_t part = layer->model->intermediate / layer->layout.tp;

    if (layer->layout.ep != 1) {
        return "needs ep = 1: every rank has a part of every expert";
    }
    if (layer->model->intermediate % (64 * (int64_t)layer->layout.tp) != 0) {
        return "needs the intermediate size divisible by 64 tp: whole tiles "
               "of nvfp4 in each part";
    }
    if (!moe_format_fits(chain->weights, part) ||
        !moe_format_fits(chain->at[MOE_ROLE_gemm2_in].format, part)) {
        return "needs whole blocks of weights and gemm2_in in each part of "
               "the intermediate size";
    }
    return chain->numerics == MOE_NUMERICS_exact ? needs_grids(layer) : NULL;
}
