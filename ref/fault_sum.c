/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over experts with other weights, other experts, or of another call. */
#include "ref/fault_inside.h"

#include "ref/elements.h"
#include "ref/formats.h"
#include "ref/layer_inside.h"
#include "ref/quantize.h"

#include <stdlib.h>
#include <string.h>

float moe_ref_fault_weight(const moe_ref_layer_t *layer, int slot, float w)
{
    const float scaling = layer->about.model->routed_scaling;

    if (moe_model_slot_is_shared(layer->about.model, slot)) {
        return layer->fault.kind == MOE_FAULT_shared_per_rank
                   ? w * (float)(2 << layer->fault.variant)
                   : w;
    }
    switch (layer->fault.kind) {
    case MOE_FAULT_shared_per_rank:
        return w;
    case MOE_FAULT_scaling_missing:
        return w / scaling;
    case MOE_FAULT_scaling_twice:
        return w * scaling;
    case MOE_FAULT_weight_missing:
        return 1.0f;
    case MOE_FAULT_weight_twice:
        return w * w;
    case MOE_FAULT_reduced_twice:
        return 2.0f * w;
    default:
        return moe_bf16_to_f32(moe_bf16_from_f32(w));
    }
}

static moe_status_t reweigh(moe_ref_layer_t *layer, moe_role_t role,
                            const moe_rows_t *out)
{
    moe_rows_t *held = &layer->at[MOE_ROLE_topk_weights];
    const moe_rows_t right = *held;
    moe_rows_t wrong;
    moe_status_t status = moe_ref_fault_copy(&right, &wrong);

    for (int64_t i = 0; status == MOE_OK && i < right.rows * right.cols; i++) {
        ((float *)wrong.codes)[i] = moe_ref_fault_weight(
            layer, (int)(i % right.cols), ((const float *)right.codes)[i]);
    }
    if (status == MOE_OK) {
        *held = wrong;
        status = moe_ref_layer_right(layer, role, out);
        *held = right;
        moe_ref_rows_free(&wrong);
    }
    return status;
}

static moe_status_t twice(moe_ref_layer_t *layer, moe_role_t role,
                          const moe_rows_t *out)
{
    moe_status_t status = moe_ref_layer_right(layer, role, out);

    for (int64_t i = 0; status == MOE_OK && i < out->rows * out->cols; i++) {
        double x = 2.0 * moe_rows_value(out, i / out->cols, i % out->cols);

        moe_rows_round(out, i / out->cols, i % out->cols, 1, &x);
    }
    return status;
}

/* A layer of the same weights and router, which it borrows. */
static moe_status_t twin_init(const moe_ref_layer_t *layer,
                              moe_ref_layer_t *twin_p)
{
    moe_status_t status = moe_ref_layer_init(&layer->about, twin_p);

    if (status == MOE_OK) {
        memcpy(twin_p->weights, layer->weights, sizeof(twin_p->weights));
        twin_p->router = layer->router;
        twin_p->bias = layer->bias;
    }
    return status;
}

static void twin_fini(const moe_ref_layer_t *layer, moe_ref_layer_t *twin)
{
    twin->router = twin->router == layer->router ? NULL : twin->router;
    twin->bias = twin->bias == layer->bias ? NULL : twin->bias;
    moe_ref_layer_fini(twin);
}

static int32_t other_expert(const moe_ref_layer_t *layer, int32_t id)
{
    const moe_range_t local = layer->about.experts;
    const int64_t at =
        moe_mapping_local(moe_fault_mapping(layer->fault.kind), local, id);

    return at < 0 ? -1 : (int32_t)(local.begin + at);
}

/* Pairs that meet other experts than theirs. */
static moe_status_t remap(moe_ref_layer_t *layer, moe_role_t role,
                          const moe_rows_t *out)
{
    moe_rows_t ids;
    moe_ref_layer_t twin;
    moe_status_t status =
        moe_ref_fault_copy(&layer->at[MOE_ROLE_topk_ids], &ids);

    if (status != MOE_OK) {
        return status;
    }
    moe_ref_case_route(&layer->about, layer->at[MOE_ROLE_topk_ids].codes,
                       ids.codes);
    for (int64_t i = 0; i < ids.rows * ids.cols; i++) {
        ((int32_t *)ids.codes)[i] =
            other_expert(layer, ((const int32_t *)ids.codes)[i]);
    }
    status = twin_init(layer, &twin);
    if (status == MOE_OK) {
        twin.about.placed = NULL; /* ids are slots already */
        status = moe_ref_layer_hold(&twin, MOE_ROLE_topk_ids, &ids, false);
    }
    for (int r = MOE_ROLE_hidden; status == MOE_OK && r <= MOE_ROLE_dispatch;
         r++) {
        if (r != MOE_ROLE_topk_ids && layer->held[r]) {
            status = moe_ref_layer_give(&twin, (moe_role_t)r, &layer->at[r]);
        }
    }
    if (status == MOE_OK) {
        status = moe_ref_layer_compute(&twin, role, out);
    }
    twin_fini(layer, &twin);
    moe_ref_rows_free(&ids);
    return status;
}

moe_status_t moe_ref_fault_before_init(const moe_ref_layer_t *layer,
                                       moe_ref_layer_t *twin_p,
                                       moe_rows_t *hidden_p)
{
    const moe_storage_t bf16 = {.format = MOE_FORMAT_bf16};
    const moe_model_t *m = layer->about.model;
    const moe_draw_t before = {layer->about.data, layer->about.seed - 1, m};
    const moe_range_t tokens = layer->about.tokens;
    const int64_t n = tokens.end - tokens.begin;
    moe_status_t status;

    if (layer->about.chain.at[MOE_ROLE_hidden].format != MOE_FORMAT_bf16) {
        return moe_ref_fault_none(layer);
    }
    status = moe_ref_rows_alloc(&bf16, n, m->hidden, hidden_p);
    if (status != MOE_OK) {
        return status;
    }
    moe_draw_hidden(&before, tokens.begin, n, hidden_p->codes);
    status = twin_init(layer, twin_p);
    return status == MOE_OK
               ? moe_ref_layer_give(twin_p, MOE_ROLE_hidden, hidden_p)
               : status;
}

void moe_ref_fault_before_fini(const moe_ref_layer_t *layer,
                               moe_ref_layer_t *twin, moe_rows_t *hidden)
{
    twin_fini(layer, twin);
    moe_ref_rows_free(hidden);
}

/* The same tokens of the seed before, by this seed's router and weights. */
static moe_status_t previous(moe_ref_layer_t *layer, moe_role_t role,
                             const moe_rows_t *out)
{
    moe_rows_t hidden = {0};
    moe_ref_layer_t twin = {0};
    moe_status_t status = moe_ref_fault_before_init(layer, &twin, &hidden);

    if (status == MOE_OK) {
        status = moe_ref_layer_compute(&twin, role, out);
    }
    moe_ref_fault_before_fini(layer, &twin, &hidden);
    return status;
}

moe_status_t moe_ref_fault_sum(moe_ref_layer_t *layer, moe_role_t role,
                               const moe_rows_t *out)
{
    if (layer->fault.kind == MOE_FAULT_shared_per_rank &&
        layer->about.model->shared == 0) {
        return moe_ref_fault_none(layer);
    }
    switch (layer->fault.kind) {
    case MOE_FAULT_reduced_twice:
        return twice(layer, role, out);
    case MOE_FAULT_global_ids:
    case MOE_FAULT_minus_one:
        return remap(layer, role, out);
    case MOE_FAULT_previous_call:
        return previous(layer, role, out);
    default:
        return reweigh(layer, role, out);
    }
}
