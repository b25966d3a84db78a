/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/layer.h"

#include <stddef.h>

const char *moe_phase_name(moe_phase_t phase)
{
    return phase == MOE_PHASE_prefill ? "prefill" : "decode";
}

bool moe_layer_is_placed(const moe_layer_t *layer)
{
    return layer->place.kind != MOE_PLACING_linear ||
           layer->place.redundant > 0;
}

int64_t moe_layer_expert(const moe_layer_t *layer, int64_t slot)
{
    return layer->placed != NULL ? layer->placed->map.logical_of[slot] : slot;
}

int64_t moe_layer_total_tokens(const moe_layer_t *layer)
{
    return moe_layer_tokens(layer, layer->layout.dp).begin;
}

int64_t moe_layer_longest(const moe_layer_t *layer)
{
    int64_t longest = 0;

    for (int i = 0; i < layer->layout.dp; i++) {
        longest = layer->tokens[i] > longest ? layer->tokens[i] : longest;
    }
    return longest;
}

moe_range_t moe_layer_tokens(const moe_layer_t *layer, int dp_rank)
{
    moe_range_t range = {0, 0};

    if (layer->before != NULL) {
        range.begin = layer->before[dp_rank];
        range.end = range.begin;
    }
    for (int i = 0; layer->before == NULL && i < dp_rank; i++) {
        range.begin += layer->tokens[i];
    }
    range.end = range.begin;
    if (dp_rank < layer->layout.dp) {
        range.end += layer->tokens[dp_rank];
    }
    return range;
}

int moe_layer_owner(const moe_layer_t *layer, int64_t token)
{
    int owner = 0;

    while (owner < layer->layout.dp - 1 &&
           token >= moe_layer_tokens(layer, owner).end) {
        owner++;
    }
    return owner;
}
