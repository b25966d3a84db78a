/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a rank's experts, which are of all tokens of its group: those are
 * made some at a time, and only the rows are kept. */
#include "sim/golden/golden.h"

#include "ref/permute.h"

static bool is_wanted(const moe_golden_job_t *job)
{
    bool wanted = false;

    for (int r = MOE_ROLE_expert_in; r <= MOE_ROLE_combine; r++) {
        wanted = wanted || moe_golden_wants(job, (moe_role_t)r);
    }
    return wanted;
}

/* Rows as they are sent, and as experts read them. */
static moe_status_t gather(moe_ref_layer_t *some, int64_t first,
                           const moe_ref_index_t *index, const moe_rows_t *out)
{
    const moe_rows_t *sent = &some->at[MOE_ROLE_dispatch];
    moe_rows_t read = {0};
    moe_status_t status = moe_ref_layer_make(some, MOE_ROLE_dispatch);

    if (status != MOE_OK || moe_storage_equal(&sent->storage, &out->storage)) {
        if (status == MOE_OK) {
            moe_ref_gather_some(sent, first, index, out);
        }
        return status;
    }
    status = moe_ref_rows_alloc(&out->storage, sent->rows, out->cols, &read);
    if (status == MOE_OK) {
        status = moe_ref_to_storage(sent, &read);
    }
    if (status == MOE_OK) {
        moe_ref_gather_some(&read, first, index, out);
    }
    moe_ref_rows_free(&read);
    return status;
}

void moe_golden_gather(moe_golden_file_t *f, moe_ref_layer_t *layer,
                       moe_rows_t *rows)
{
    const moe_range_t none = {0, 0};
    const moe_range_t all = f->share->all_tokens;
    const moe_storage_t storage =
        moe_ref_layer_storage(layer, MOE_ROLE_expert_in);
    int64_t cols = 0;
    int64_t n = 0;

    if (f->status != MOE_OK || !is_wanted(f->job)) {
        return;
    }
    (void)moe_ref_layer_shape(layer, MOE_ROLE_expert_in, &n, &cols);
    f->status = moe_ref_rows_alloc(&storage, n, cols, rows);
    for (int64_t t = all.begin; f->status == MOE_OK && t < all.end;
         t += MOE_GOLDEN_TOKENS) {
        const int64_t end = t + MOE_GOLDEN_TOKENS;
        const moe_range_t own = {t, end < all.end ? end : all.end};
        moe_ref_layer_t some = {0};
        moe_layer_feed_t feed;

        moe_golden_open(f, own, none, &some, &feed);
        if (f->status == MOE_OK) {
            f->status = gather(&some, t - all.begin, &layer->index, rows);
        }
        moe_golden_close(&some, &feed);
    }
    if (f->status == MOE_OK) {
        f->status = moe_ref_layer_give(layer, MOE_ROLE_expert_in, rows);
    }
}
