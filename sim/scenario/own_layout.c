/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layout of a method's own: the same global tokens in the same order, cut
 * into its dp parts.
 */
#include "sim/scenario/parts.h"

#include <stdlib.h>
#include <string.h>

/* With --ranks a layout follows where one of its sizes is all ranks. */
static bool scale(moe_layout_t *layout, int world)
{
    int old = moe_layout_world(layout);

    if (layout->dp == 1) {
        layout->tp = world;
    } else if (layout->tp == 1) {
        layout->dp = world;
    } else {
        return false;
    }
    if (layout->ep == old) {
        layout->ep = world;
    }
    return world % layout->ep == 0;
}

void moe_method_read_layout(const moe_build_t *b, const moe_at_t *at,
                            moe_method_use_t *use)
{
    const moe_layout_t *scenario = &b->s->layer.layout;
    int world = moe_layout_world(scenario);
    size_t before = moe_diag_count(at->source->diag);
    moe_layout_t layout = {0};
    const moe_at_t placement = moe_at_key(at, "placement");
    bool fits;

    moe_at_section(at, MOE_SECTION_layout, &layout);
    if (moe_at_given(&placement)) {
        moe_at_error(&placement, "belongs to the scenario's layout: experts "
                                 "lie alike for every method");
    }
    if (!b->layout_ok || moe_diag_count(at->source->diag) != before) {
        return;
    }
    if (layout.dp == 0) {
        layout.dp = world / layout.tp > 0 ? world / layout.tp : 1;
    }
    if (layout.ep == 0) {
        layout.ep = moe_layout_world(&layout);
    }
    fits = moe_layout_world(&layout) == world ||
           (b->relaid && scale(&layout, world));
    if (!fits || world % layout.ep != 0) {
        moe_at_error(at,
                     "is dp %d x tp %d, ep %d, expected as many ranks as the "
                     "scenario has, %d, and ep a divisor of that",
                     layout.dp, layout.tp, layout.ep, world);
        return;
    }
    layout.node = scenario->node;
    use->layout = layout;
}

moe_status_t moe_method_cut_tokens(const moe_layer_t *layer,
                                   moe_method_use_t *use)
{
    int64_t *tokens;
    int64_t total;

    if (use->layout.dp == 0 || moe_layout_equal(&use->layout, &layer->layout)) {
        return MOE_OK;
    }
    total = moe_layer_total_tokens(layer);
    tokens = calloc((size_t)use->layout.dp, sizeof(*tokens));
    if (tokens == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a method's tokens");
    }
    for (int i = 0; i < use->layout.dp; i++) {
        moe_range_t part = moe_layout_part(total, use->layout.dp, i);

        tokens[i] = part.end - part.begin;
    }
    use->tokens = tokens;
    return MOE_OK;
}

void moe_method_use_fini(moe_method_use_t *use)
{
    int64_t *tokens;

    memcpy(&tokens, &use->tokens, sizeof(tokens)); /* it is ours */
    free(tokens);
    use->tokens = NULL;
}
