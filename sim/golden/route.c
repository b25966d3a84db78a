/* SPDX-License-Identifier: Apache-2.0 */
/* The routing of all tokens, whose hidden states and logits are made some at
 * a time. */
#include "sim/golden/golden.h"

#include <string.h>

/* That of tokens [first, first + layer's), where all have theirs. */
static void copy(const moe_ref_layer_t *layer, moe_routing_t *all)
{
    const int64_t first = layer->about.tokens.begin * all->topk;
    const moe_rows_t *ids = &layer->at[MOE_ROLE_topk_ids];
    const size_t n = (size_t)(ids->rows * all->topk);

    memcpy(all->ids + first, ids->codes, n * sizeof(*all->ids));
    memcpy(all->weights + first, layer->at[MOE_ROLE_topk_weights].codes,
           n * sizeof(*all->weights));
}

static moe_status_t route(const moe_golden_job_t *job, moe_range_t tokens,
                          moe_routing_t *all)
{
    const moe_range_t none = {0, 0};
    const moe_ref_case_t about =
        moe_layer_case(job->scenario, job->dispatch, tokens, none);
    moe_layer_feed_t feed = {0};
    moe_ref_layer_t layer;
    moe_status_t status = moe_ref_layer_init(&about, &layer);

    if (status == MOE_OK) {
        status = moe_layer_feed(job->scenario, &layer, &feed);
    }
    if (status == MOE_OK) {
        status = moe_ref_layer_make(&layer, MOE_ROLE_topk_ids);
    }
    if (status == MOE_OK) {
        status = moe_ref_layer_make(&layer, MOE_ROLE_topk_weights);
    }
    if (status == MOE_OK) {
        copy(&layer, all);
    }
    moe_ref_layer_fini(&layer);
    moe_layer_feed_fini(&feed);
    return status;
}

moe_status_t moe_golden_route(moe_golden_job_t *job)
{
    moe_routing_t *all = &job->routing;
    moe_status_t status =
        moe_routing_init(all, 0, moe_layer_total_tokens(&job->scenario->layer),
                         job->scenario->model.topk);

    for (int64_t t = 0; status == MOE_OK && t < all->n;
         t += MOE_GOLDEN_TOKENS) {
        const int64_t end = t + MOE_GOLDEN_TOKENS;

        status = route(job, (moe_range_t){t, end < all->n ? end : all->n}, all);
    }
    return status;
}
