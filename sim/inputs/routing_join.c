/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/inputs/inputs.h"

#include <stdlib.h>
#include <string.h>

size_t moe_routing_pack_size(const moe_routing_t *routing)
{
    return (size_t)(routing->n * routing->topk) *
           (sizeof(*routing->ids) + sizeof(*routing->weights));
}

void moe_routing_pack(const moe_routing_t *routing, void *out)
{
    size_t pairs = (size_t)(routing->n * routing->topk);

    memcpy(out, routing->ids, pairs * sizeof(*routing->ids));
    memcpy((char *)out + pairs * sizeof(*routing->ids), routing->weights,
           pairs * sizeof(*routing->weights));
}

/* Rows of one part, at their place in the whole. */
static moe_status_t join_part(moe_routing_t *all, const moe_range_t *range,
                              const void *part, int64_t size)
{
    size_t pairs = (size_t)((range->end - range->begin) * all->topk);
    size_t at = (size_t)(range->begin * all->topk);

    if (size != (int64_t)(pairs * 8)) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "a routing part has %lld bytes, expected %lld",
                        (long long)size, (long long)pairs * 8);
    }
    memcpy(all->ids + at, part, pairs * sizeof(*all->ids));
    memcpy(all->weights + at, (const char *)part + pairs * sizeof(*all->ids),
           pairs * sizeof(*all->weights));
    return MOE_OK;
}

moe_status_t moe_routing_join(const moe_layer_t *layer, int n,
                              const moe_blob_t *part, const moe_routing_t *own,
                              moe_routing_t *all_p)
{
    moe_routing_t all = {0};
    moe_status_t status =
        moe_routing_init(&all, 0, moe_layer_total_tokens(layer), own->topk);

    for (int r = 0; status == MOE_OK && r < n; r++) {
        moe_range_t range =
            moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, r));

        status = join_part(&all, &range, part[r].data, part[r].size);
    }
    if (status != MOE_OK) {
        moe_routing_fini(&all);
        return status;
    }
    memcpy(all.pad_ids, own->pad_ids, sizeof(all.pad_ids));
    memcpy(all.pad_weights, own->pad_weights, sizeof(all.pad_weights));
    *all_p = all;
    return MOE_OK;
}
