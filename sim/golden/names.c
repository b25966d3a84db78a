/* SPDX-License-Identifier: Apache-2.0 */
/* Who the rows are: the pairs of a rank; and where the own tokens' choices
 * lie, if experts are placed. */
#include "sim/golden/golden.h"

#include <stdlib.h>

static bool has_slots(const moe_golden_file_t *f)
{
    return f->job->layer.placed != NULL;
}

/* Slots go with the ids. */
static bool has_physical_ids(const moe_golden_file_t *f)
{
    return has_slots(f) && moe_golden_wants(f->job, MOE_ROLE_topk_ids);
}

void moe_golden_declare_physical_ids(moe_golden_file_t *f)
{
    const int64_t dim[2] = {f->share->tokens.end - f->share->tokens.begin,
                            f->job->scenario->model.topk};

    if (has_physical_ids(f)) {
        moe_golden_declare(f, "physical_ids", MOE_DTYPE_i32, 2, dim);
    }
}

void moe_golden_put_physical_ids(moe_golden_file_t *f,
                                 const moe_ref_layer_t *layer)
{
    const moe_rows_t *ids = &layer->at[MOE_ROLE_topk_ids];
    const int64_t n = ids->rows * ids->cols;
    int32_t *slots;

    if (!has_physical_ids(f) || f->status != MOE_OK) {
        return;
    }
    slots = malloc((size_t)n * sizeof(*slots) + 1);
    if (slots == NULL) {
        f->status =
            moe_fail(MOE_ERR_NOMEM, "no memory for %lld ids", (long long)n);
        return;
    }
    moe_ref_case_route(&layer->about, ids->codes, slots);
    moe_golden_put(f, slots, n * (int64_t)sizeof(*slots));
    free(slots);
}

void moe_golden_declare_names(moe_golden_file_t *f)
{
    const int64_t one = 1;
    const int64_t n = f->share->pairs;

    moe_golden_declare(f, "src_rank", MOE_DTYPE_i32, 1, &n);
    moe_golden_declare(f, "src_token", MOE_DTYPE_i64, 1, &n);
    moe_golden_declare(f, "slot", MOE_DTYPE_i32, 1, &n);
    moe_golden_declare(f, "expert", MOE_DTYPE_i32, 1, &n);
    if (has_slots(f)) {
        moe_golden_declare(f, "physical_expert", MOE_DTYPE_i32, 1, &n);
    }
    moe_golden_declare(f, "valid_rows", MOE_DTYPE_i64, 1, &one);
}

void moe_golden_put_names(moe_golden_file_t *f, const moe_ref_layer_t *layer)
{
    const moe_layer_t *l = &f->job->layer;
    const int64_t n = layer->index.n;
    int32_t *rank = calloc((size_t)n + 1, sizeof(*rank));
    int64_t *token = calloc((size_t)n + 1, sizeof(*token));

    if (rank == NULL || token == NULL) {
        f->status =
            moe_fail(MOE_ERR_NOMEM, "no memory for %lld pairs", (long long)n);
    }
    for (int64_t i = 0; f->status == MOE_OK && i < n; i++) {
        int dp = moe_layer_owner(l, layer->pairs.token[i]);

        rank[i] = dp * l->layout.tp;
        token[i] = layer->pairs.token[i] - moe_layer_tokens(l, dp).begin;
    }
    moe_golden_put(f, rank, 4 * n);
    moe_golden_put(f, token, 8 * n);
    moe_golden_put(f, layer->pairs.slot, 4 * n);
    moe_golden_put(f, layer->pairs.expert, 4 * n);
    if (has_slots(f)) {
        moe_golden_put(f, layer->pairs.physical, 4 * n);
    }
    moe_golden_put(f, &n, 8);
    free(rank);
    free(token);
}
