/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer holds: places, shapes, pairs. The stages are in
 * ref/layer_make.c. */
#include "ref/layer.h"

#include "base/checked.h"
#include "ref/fault_inside.h"
#include "ref/formats.h"
#include "ref/grid.h"
#include "ref/layer_inside.h"

#include <stdlib.h>
#include <string.h>

enum {
    ALIGN = 64
};

bool moe_ref_layer_has(moe_role_t role)
{
    return role >= MOE_ROLE_hidden && role <= MOE_ROLE_output;
}

bool moe_ref_layer_is_paired(moe_role_t role)
{
    return role >= MOE_ROLE_expert_in && role <= MOE_ROLE_gemm2_out;
}

moe_storage_t moe_ref_layer_storage(const moe_ref_layer_t *layer,
                                    moe_role_t role)
{
    switch (role) {
    case MOE_ROLE_logits:
    case MOE_ROLE_topk_weights:
        return (moe_storage_t){.format = MOE_FORMAT_fp32};
    case MOE_ROLE_topk_ids:
        return (moe_storage_t){.format = MOE_FORMAT_i32};
    default:
        return layer->about.chain.at[role];
    }
}

bool moe_ref_layer_is_code(const moe_ref_layer_t *layer, moe_role_t role)
{
    moe_storage_t storage = moe_ref_layer_storage(layer, role);

    return !moe_format_is_float(storage.format);
}

bool moe_ref_layer_shape(const moe_ref_layer_t *layer, moe_role_t role,
                         int64_t *rows_p, int64_t *cols_p)
{
    const moe_model_t *m = layer->about.model;

    *rows_p = moe_ref_layer_is_paired(role)
                  ? layer->index.n
                  : layer->about.tokens.end - layer->about.tokens.begin;
    *cols_p = role == MOE_ROLE_logits ? m->experts
              : role == MOE_ROLE_topk_ids || role == MOE_ROLE_topk_weights
                  ? m->topk
              : role == MOE_ROLE_gemm1_out ? moe_weight_rows(m, MOE_W13)
              : role == MOE_ROLE_act_out || role == MOE_ROLE_gemm2_in
                  ? moe_weight_cols(m, MOE_W2)
                  : m->hidden;
    return !moe_ref_layer_is_paired(role) || layer->index.offset != NULL;
}

static bool range_is_good(moe_range_t range)
{
    return range.begin >= 0 && range.end >= range.begin;
}

int64_t moe_ref_case_slots(const moe_ref_case_t *about)
{
    return about->placed != NULL ? about->placed->map.shape.physical
                                 : about->model->experts;
}

void moe_ref_case_route(const moe_ref_case_t *about, const int32_t *ids,
                        int32_t *slots)
{
    const int k = about->model->topk;
    const int64_t n = (about->tokens.end - about->tokens.begin) * k;

    for (int64_t i = 0; i < n; i++) {
        slots[i] = about->placed == NULL || ids[i] < 0
                       ? ids[i]
                       : moe_placed_slot(about->placed,
                                         about->tokens.begin + i / k, ids[i]);
    }
}

moe_status_t moe_ref_layer_init(const moe_ref_case_t *about,
                                moe_ref_layer_t *layer_p)
{
    const int32_t *holds = about->placed != NULL ? about->placed->map.logical_of
                                                 : NULL; /* [slots] */
    moe_ref_layer_t layer = {.about = *about};

    if (!range_is_good(about->tokens) || !range_is_good(about->experts) ||
        about->experts.end > moe_ref_case_slots(about)) {
        return moe_fail(
            MOE_ERR_RANGE, "tokens %lld to %lld, experts %lld to %lld of %lld",
            (long long)about->tokens.begin, (long long)about->tokens.end,
            (long long)about->experts.begin, (long long)about->experts.end,
            (long long)moe_ref_case_slots(about));
    }
    if (moe_grid_check(about->data, about->model, &about->chain) != MOE_OK) {
        return MOE_ERR_UNSUPPORTED;
    }
    for (int w = MOE_W13; w <= MOE_W2; w++) {
        layer.weights[w] = (moe_ref_weights_t){
            .model = about->model,
            .seed = about->seed,
            .data = about->data,
            .weight = (moe_weight_t)w,
            .format = about->chain.weights,
            .first_expert = about->experts.begin,
            .experts = holds != NULL ? holds + about->experts.begin : NULL};
    }
    *layer_p = layer;
    return MOE_OK;
}

static void free_pairs(moe_ref_layer_t *layer)
{
    moe_ref_index_fini(&layer->index);
    free(layer->pairs.token);
    free(layer->pairs.slot);
    free(layer->pairs.expert);
    free(layer->pairs.physical);
    layer->pairs = (moe_ref_pairs_t){0};
}

void moe_ref_layer_drop(moe_ref_layer_t *layer, moe_role_t role)
{
    if (layer->owned[role]) {
        moe_ref_rows_free(&layer->at[role]);
    }
    layer->at[role] = (moe_rows_t){0};
    layer->held[role] = layer->owned[role] = false;
    if (role == MOE_ROLE_topk_ids) {
        for (int r = MOE_ROLE_expert_in; r <= MOE_ROLE_gemm2_out; r++) {
            moe_ref_layer_drop(layer, (moe_role_t)r);
        }
        free_pairs(layer);
    }
}

static void free_norms(moe_ref_norms_t *norms, int64_t n)
{
    for (int64_t e = 0; norms != NULL && e < n; e++) {
        free(norms[e].norm);
        free(norms[e].most);
    }
    free(norms);
}

void moe_ref_layer_fini(moe_ref_layer_t *layer)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        moe_ref_layer_drop(layer, (moe_role_t)r);
    }
    for (int w = MOE_W13; w <= MOE_W2; w++) {
        free_norms(layer->norms[w],
                   layer->about.experts.end - layer->about.experts.begin);
        layer->norms[w] = NULL;
    }
    moe_ref_fault_forget(layer);
    free(layer->router);
    free(layer->bias);
    layer->router = NULL;
    layer->bias = NULL;
}

moe_status_t moe_ref_rows_alloc(const moe_storage_t *storage, int64_t rows,
                                int64_t cols, moe_rows_t *rows_p)
{
    const moe_format_info_t *info = moe_format_info(storage->format);
    int64_t scales = moe_format_scale_cols(storage->format, cols) *
                     (moe_dtype_bits(info->scale) / 8);
    moe_rows_t r = {.storage = *storage, .rows = rows, .cols = cols};
    size_t code_bytes;
    size_t scale_bytes;

    if (!moe_mul_size(rows, moe_format_code_bytes(storage->format, cols),
                      &code_bytes) ||
        !moe_mul_size(rows, scales, &scale_bytes)) {
        return moe_fail(MOE_ERR_RANGE, "%lld rows of %lld columns",
                        (long long)rows, (long long)cols);
    }
    r.codes = aligned_alloc(ALIGN, (code_bytes / ALIGN + 1) * ALIGN);
    r.scales = scales > 0
                   ? aligned_alloc(ALIGN, (scale_bytes / ALIGN + 1) * ALIGN)
                   : NULL;
    if (r.codes == NULL || (scales > 0 && r.scales == NULL)) {
        moe_ref_rows_free(&r);
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld x %lld %s",
                        (long long)rows, (long long)cols,
                        moe_format_name(storage->format));
    }
    *rows_p = r;
    return MOE_OK;
}

void moe_ref_rows_free(moe_rows_t *rows)
{
    free(rows->codes);
    free(rows->scales);
    *rows = (moe_rows_t){0};
}

/* Who the pairs are, from the index. */
static moe_status_t name_pairs(moe_ref_layer_t *layer)
{
    const moe_ref_index_t *index = &layer->index;
    const moe_placed_t *placed = layer->about.placed;
    const size_t n = (size_t)index->n + 1;
    moe_ref_pairs_t *pairs = &layer->pairs;

    pairs->token = calloc(n, sizeof(*pairs->token));
    pairs->slot = calloc(n, sizeof(*pairs->slot));
    pairs->expert = calloc(n, sizeof(*pairs->expert));
    pairs->physical = calloc(n, sizeof(*pairs->physical));
    if (pairs->token == NULL || pairs->slot == NULL || pairs->expert == NULL ||
        pairs->physical == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld pairs",
                        (long long)index->n);
    }
    for (int64_t i = 0; i < index->source_rows * index->topk; i++) {
        if (index->place[i] >= 0) {
            pairs->token[index->place[i]] =
                layer->about.tokens.begin + i / index->topk;
            pairs->slot[index->place[i]] = (int32_t)(i % index->topk);
        }
    }
    for (int64_t e = 0; e < index->n_experts; e++) {
        const int32_t physical = (int32_t)(layer->about.experts.begin + e);
        const int32_t expert =
            placed != NULL ? placed->map.logical_of[physical] : physical;

        for (int64_t i = index->offset[e]; i < index->offset[e + 1]; i++) {
            pairs->physical[i] = physical;
            pairs->expert[i] = expert;
        }
    }
    return MOE_OK;
}

/* The index of ids, which are experts', by slots. */
static moe_status_t index_ids(const moe_ref_layer_t *layer,
                              moe_ref_index_t *index_p)
{
    const moe_rows_t *ids = &layer->at[MOE_ROLE_topk_ids];
    const moe_range_t experts = layer->about.experts;
    const int32_t *route = ids->codes;
    int32_t *slots = NULL;
    moe_status_t status;

    if (layer->about.placed != NULL) {
        slots = malloc((size_t)(ids->rows * ids->cols) * sizeof(*slots) + 1);
        if (slots == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for the slots of ids");
        }
        moe_ref_case_route(&layer->about, route, slots);
        route = slots;
    }
    status =
        moe_ref_index_init(route, ids->rows, layer->about.model->topk,
                           experts.begin, experts.end - experts.begin, index_p);
    free(slots);
    return status;
}

static moe_status_t make_pairs(moe_ref_layer_t *layer)
{
    moe_status_t status = index_ids(layer, &layer->index);

    if (status == MOE_OK) {
        status = name_pairs(layer);
    }
    if (status != MOE_OK) {
        free_pairs(layer);
    }
    return status;
}

static moe_status_t check_ids(const moe_ref_layer_t *layer,
                              const moe_rows_t *rows)
{
    const int32_t *ids = rows->codes;

    for (int64_t i = 0; i < rows->rows * rows->cols; i++) {
        if (ids[i] < -1 || ids[i] >= layer->about.model->experts) {
            return moe_fail(
                MOE_ERR_RANGE,
                "topk_ids: token %lld, slot %lld: expert %d of %lld",
                (long long)(layer->about.tokens.begin + i / rows->cols),
                (long long)(i % rows->cols), (int)ids[i],
                (long long)layer->about.model->experts);
        }
    }
    return MOE_OK;
}

moe_status_t moe_ref_layer_hold(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *rows, bool owned)
{
    layer->at[role] = *rows;
    layer->held[role] = true;
    layer->owned[role] = owned;
    return role == MOE_ROLE_topk_ids ? make_pairs(layer) : MOE_OK;
}

moe_status_t moe_ref_layer_give(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *rows)
{
    int64_t n = 0;
    int64_t cols = 0;

    if (!moe_ref_layer_has(role) ||
        !moe_ref_layer_shape(layer, role, &n, &cols) || rows->rows != n ||
        rows->cols != cols) {
        return moe_fail(MOE_ERR_RANGE,
                        "tensor of %lld x %lld for a place of %lld x %lld",
                        (long long)rows->rows, (long long)rows->cols,
                        (long long)n, (long long)cols);
    }
    if (role == MOE_ROLE_topk_ids && check_ids(layer, rows) != MOE_OK) {
        return MOE_ERR_RANGE;
    }
    moe_ref_layer_drop(layer, role);
    return moe_ref_layer_hold(layer, role, rows, false);
}

int64_t moe_ref_layer_bytes(const moe_ref_case_t *about, int64_t pairs)
{
    const moe_model_t *m = about->model;
    const moe_storage_t *at = about->chain.at;
    int64_t tokens = about->tokens.end - about->tokens.begin;
    int64_t bytes =
        pairs *
        (moe_format_row_bytes(at[MOE_ROLE_expert_in].format, m->hidden) +
         moe_format_row_bytes(at[MOE_ROLE_gemm1_out].format,
                              moe_weight_rows(m, MOE_W13)) +
         moe_format_row_bytes(at[MOE_ROLE_act_out].format,
                              moe_weight_cols(m, MOE_W2)) +
         moe_format_row_bytes(at[MOE_ROLE_gemm2_in].format,
                              moe_weight_cols(m, MOE_W2)) +
         moe_format_row_bytes(at[MOE_ROLE_gemm2_out].format, m->hidden));
    int64_t most = moe_ref_matmul_workspace(
        at[MOE_ROLE_expert_in].format, about->chain.weights, pairs, m->hidden,
        moe_weight_rows(m, MOE_W13));

    bytes += tokens * (4 * m->experts + 8 * m->topk + 4 * 4 * m->hidden);
    bytes += 2 * m->experts * m->hidden; /* the router */
    bytes += moe_ref_index_bytes(
        tokens, m->topk, about->experts.end - about->experts.begin, pairs);
    return bytes + most;
}
