/* SPDX-License-Identifier: Apache-2.0 */
/* What a rank of a run computed against its share in one process. */
#include "sim/golden/tap.h"

#include <stdlib.h>
#include <string.h>

static bool same_row(const moe_rows_t *a, int64_t i, const moe_rows_t *b,
                     int64_t j)
{
    const size_t codes = (size_t)moe_rows_code_bytes(a);
    const size_t scales = (size_t)moe_rows_scale_bytes(a);

    return memcmp(moe_rows_codes(a, i), moe_rows_codes(b, j), codes) == 0 &&
           (scales == 0 ||
            memcmp((const char *)a->scales + (size_t)i * scales,
                   (const char *)b->scales + (size_t)j * scales, scales) == 0);
}

/* Row i of a place of the reference, row j of the run's: ids are experts there,
 * and slots here. */
static bool holds_row(const moe_golden_tap_t *tap, const moe_ref_layer_t *layer,
                      moe_role_t role, int64_t i, int64_t j)
{
    const moe_rows_t *want = &layer->at[role];
    const int32_t *ids = (const void *)moe_rows_codes(want, i);
    const int32_t *slots = (const void *)moe_rows_codes(&tap->at[role], j);
    const int64_t token = layer->about.tokens.begin + i;
    bool same = true;

    if (role != MOE_ROLE_topk_ids || tap->placed == NULL) {
        return same_row(want, i, &tap->at[role], j);
    }
    for (int64_t s = 0; s < want->cols; s++) {
        same = same && slots[s] == moe_placed_slot(tap->placed, token, ids[s]);
    }
    return same;
}

static bool is_zero(const moe_rows_t *rows, int64_t row)
{
    const uint8_t *codes = moe_rows_codes(rows, row);
    bool zero = true;

    for (int64_t i = 0; i < moe_rows_code_bytes(rows); i++) {
        zero = zero && codes[i] == 0;
    }
    return zero;
}

static moe_status_t wrong(const moe_golden_tap_t *tap, moe_role_t role,
                          int64_t row)
{
    return moe_fail(MOE_ERR_CHECK,
                    "rank %d of %s: row %lld of %s is not what the reference "
                    "computes of it in one process",
                    tap->rank, tap->use->label, (long long)row,
                    moe_role_name(role));
}

/* The run's row of each pair of one expert: equal bits. Rows of the run that
 * are nobody's are padding: zeros. */
static moe_status_t match_expert(moe_golden_tap_t *tap,
                                 const moe_ref_layer_t *layer, int64_t e,
                                 bool *taken)
{
    const moe_rows_t *want = &layer->at[MOE_ROLE_expert_in];
    const moe_rows_t *got = &tap->at[MOE_ROLE_expert_in];
    const int64_t begin = tap->offset[e];
    const int64_t end = tap->offset[e + 1];

    for (int64_t i = layer->index.offset[e]; i < layer->index.offset[e + 1];
         i++) {
        int64_t j = begin;

        while (j < end && (taken[j] || !same_row(want, i, got, j))) {
            j++;
        }
        if (j == end) {
            return wrong(tap, MOE_ROLE_expert_in, i);
        }
        taken[j] = true;
        tap->row[i] = j;
    }
    for (int64_t j = begin; j < end; j++) {
        if (!taken[j] && !is_zero(got, j)) {
            return wrong(tap, MOE_ROLE_expert_in, j);
        }
    }
    return MOE_OK;
}

static moe_status_t match(moe_golden_tap_t *tap, const moe_ref_layer_t *layer)
{
    const int64_t n = layer->index.n;
    bool *taken = calloc((size_t)tap->at[MOE_ROLE_expert_in].rows + 1, 1);
    moe_status_t status = MOE_OK;

    tap->row = malloc((size_t)(n + 1) * sizeof(*tap->row));
    if (taken == NULL || tap->row == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory to match rows");
    }
    for (int64_t e = 0; status == MOE_OK && e < tap->n_experts; e++) {
        status = match_expert(tap, layer, e, taken);
    }
    free(taken);
    return status;
}

moe_status_t moe_golden_tap_hold_rows(moe_golden_tap_t *tap, moe_role_t role,
                                      const moe_rows_t *want)
{
    const moe_rows_t *got = &tap->at[role];

    for (int64_t i = 0; tap->has[role] && i < want->rows; i++) {
        if (i >= got->rows || !same_row(want, i, got, i)) {
            return wrong(tap, role, i);
        }
    }
    tap->held |= tap->has[role] ? 1u << role : 0;
    return MOE_OK;
}

/* True if the run has the same tensor: not a part of it, nor unrounded. */
static bool comparable(const moe_golden_tap_t *tap,
                       const moe_ref_layer_t *layer, moe_role_t role)
{
    const moe_rows_t *got = &tap->at[role];
    const moe_rows_t *want = &layer->at[role];

    return tap->has[role] && got->cols == want->cols &&
           moe_storage_equal(&got->storage, &want->storage) &&
           (!moe_ref_layer_is_paired(role) ||
            (tap->first_expert == layer->about.experts.begin &&
             tap->n_experts ==
                 layer->about.experts.end - layer->about.experts.begin));
}

moe_status_t moe_golden_tap_hold(moe_golden_tap_t *tap,
                                 const moe_ref_layer_t *layer, moe_role_t role,
                                 int64_t first)
{
    const bool paired = moe_ref_layer_is_paired(role);
    const moe_rows_t *want = &layer->at[role];
    moe_status_t status = MOE_OK;

    if (!comparable(tap, layer, role)) {
        return MOE_OK;
    }
    if (moe_golden_tap_rules(tap, role, &want->storage)) {
        tap->held |= 1u << role;
        return MOE_OK;
    }
    if (paired && tap->row == NULL) {
        if (role != MOE_ROLE_expert_in) {
            return MOE_OK; /* whose rows they are is not known */
        }
        status = match(tap, layer);
    }
    for (int64_t i = 0; status == MOE_OK && i < want->rows; i++) {
        int64_t j = paired ? tap->row[i] : first + i;

        if (j >= tap->at[role].rows || !holds_row(tap, layer, role, i, j)) {
            status = wrong(tap, role, first + i);
        }
    }
    tap->held |= status == MOE_OK ? 1u << role : 0;
    return status;
}
