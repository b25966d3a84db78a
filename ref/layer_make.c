/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a layer, each from the tensors that it holds. */
#include "ref/layer.h"

#include "ref/activation.h"
#include "ref/combine.h"
#include "ref/fault_inside.h"
#include "ref/formats.h"
#include "ref/layer_inside.h"
#include "ref/logits.h"
#include "ref/quantize.h"
#include "ref/route.h"

#include <stdlib.h>
#include <string.h>

static moe_draw_t draw_of(const moe_ref_layer_t *layer)
{
    const moe_ref_case_t *about = &layer->about;

    return (moe_draw_t){about->data, about->seed, about->model};
}

moe_status_t moe_ref_layer_router(moe_ref_layer_t *layer)
{
    const moe_model_t *m = layer->about.model;
    const moe_draw_t draw = draw_of(layer);

    if (layer->router == NULL) {
        layer->router = malloc((size_t)(m->experts * m->hidden) * 2 + 1);
        if (layer->router == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for the router");
        }
        moe_draw_router(&draw, layer->router);
    }
    if (m->bias && layer->bias == NULL) {
        layer->bias = malloc((size_t)m->experts * 4 + 1);
        if (layer->bias == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for the bias");
        }
        moe_draw_bias(&draw, layer->bias);
    }
    return MOE_OK;
}

moe_status_t moe_ref_to_storage(const moe_rows_t *src, const moe_rows_t *dst)
{
    if (!moe_format_is_float(dst->storage.format)) {
        return moe_ref_quantize(src, dst);
    }
    return moe_format_is_float(src->storage.format)
               ? moe_ref_convert(src, dst)
               : moe_ref_dequantize(src, dst);
}

static moe_status_t compute_hidden(moe_ref_layer_t *layer,
                                   const moe_rows_t *out)
{
    const moe_storage_t bf16 = {.format = MOE_FORMAT_bf16};
    const moe_draw_t draw = draw_of(layer);
    moe_rows_t drawn;
    moe_status_t status =
        moe_ref_rows_alloc(&bf16, out->rows, out->cols, &drawn);

    if (status == MOE_OK) {
        moe_draw_hidden(&draw, layer->about.tokens.begin, out->rows,
                        drawn.codes);
        status = moe_ref_to_storage(&drawn, out);
        moe_ref_rows_free(&drawn);
    }
    return status;
}

static moe_status_t compute_logits(moe_ref_layer_t *layer,
                                   const moe_rows_t *out)
{
    moe_status_t status = moe_ref_layer_router(layer);

    if (status == MOE_OK) {
        status = moe_ref_logits(&layer->at[MOE_ROLE_hidden], layer->router,
                                layer->about.model->experts, out->codes,
                                &layer->stats);
    }
    return status;
}

moe_status_t moe_ref_layer_route(moe_ref_layer_t *layer, const float *logits,
                                 int64_t n, int32_t *ids, float *weights,
                                 int64_t bad[2])
{
    return moe_ref_fault_routes(layer)
               ? moe_ref_fault_route(layer, logits, n, ids, weights, bad)
               : moe_ref_route(layer->about.model, logits, layer->bias, n, ids,
                               weights, &layer->stats, bad);
}

/* Both of ids and weights, of which one may be somebody else's. */
static moe_status_t route(moe_ref_layer_t *layer, int32_t *ids, float *weights)
{
    const moe_rows_t *logits = &layer->at[MOE_ROLE_logits];
    int64_t bad[2];
    moe_status_t status = moe_ref_layer_router(layer);

    if (status == MOE_OK) {
        status = moe_ref_layer_route(layer, logits->codes, logits->rows, ids,
                                     weights, bad);
        if (status == MOE_ERR_RANGE && bad[0] >= 0) {
            return moe_fail(MOE_ERR_RANGE, "token %lld, expert %lld: logit NaN",
                            (long long)(layer->about.tokens.begin + bad[0]),
                            (long long)bad[1]);
        }
    }
    return status;
}

static moe_status_t compute_route(moe_ref_layer_t *layer, moe_role_t role,
                                  const moe_rows_t *out)
{
    void *other = malloc((size_t)(out->rows * out->cols) * 4 + 1);
    moe_status_t status;

    if (other == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory to route %lld tokens",
                        (long long)out->rows);
    }
    status = role == MOE_ROLE_topk_ids ? route(layer, out->codes, other)
                                       : route(layer, other, out->codes);
    free(other);
    return status;
}

/* Rows as they are sent, in their routing weights where experts are given
 * those. */
static moe_status_t compute_dispatch(moe_ref_layer_t *layer,
                                     const moe_rows_t *out)
{
    const moe_rows_t *hidden = &layer->at[MOE_ROLE_hidden];
    moe_rows_t rows;
    moe_status_t status;

    if (!layer->about.model->weight_on_input) {
        return moe_ref_to_storage(hidden, out);
    }
    status = moe_ref_rows_alloc(&layer->about.chain.at[MOE_ROLE_hidden],
                                hidden->rows, hidden->cols, &rows);
    if (status == MOE_OK) {
        moe_rows_weigh(hidden, layer->at[MOE_ROLE_topk_weights].codes, false,
                       &rows);
        status = moe_ref_to_storage(&rows, out);
        moe_ref_rows_free(&rows);
    }
    return status;
}

static moe_status_t compute_expert_in(moe_ref_layer_t *layer,
                                      const moe_rows_t *out)
{
    const moe_rows_t *rows = &layer->at[MOE_ROLE_dispatch];
    moe_rows_t grouped;
    moe_status_t status;

    if (moe_storage_equal(&rows->storage, &out->storage)) {
        moe_ref_gather_rows(rows, &layer->index, out);
        return MOE_OK;
    }
    status = moe_ref_rows_alloc(&rows->storage, out->rows, out->cols, &grouped);
    if (status == MOE_OK) {
        moe_ref_gather_rows(rows, &layer->index, &grouped);
        status = moe_ref_to_storage(&grouped, out);
        moe_ref_rows_free(&grouped);
    }
    return status;
}

/* One row of sums to codes. */
static void round_row(const moe_ref_terms_t *terms, int64_t row,
                      const moe_sum_t *sum, const moe_rows_t *out,
                      moe_ref_stats_t *stats)
{
    const moe_format_t format = out->storage.format;

    for (int64_t c = 0; c < out->cols; c++) {
        double term[MOE_TOPK_MAX];
        uint32_t bits;

        if (!moe_sum_round(&sum[c], format, &bits)) {
            bits = moe_ref_round_terms(
                term, moe_ref_sum_terms(terms, row, c, term), format);
            stats->redone_exact++;
        }
        moe_float_store(format, moe_rows_codes(out, row), c, bits);
    }
    stats->elements += out->cols;
}

static moe_status_t compute_sum(moe_ref_layer_t *layer, const moe_rows_t *out)
{
    const moe_ref_terms_t terms = {
        layer->at[MOE_ROLE_gemm2_out], &layer->index,
        layer->about.model->weight_on_input
            ? NULL
            : layer->at[MOE_ROLE_topk_weights].codes};
    moe_sum_t *sum;

    if (!moe_format_is_float(out->storage.format)) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "no sums over experts in %s",
                        moe_format_name(out->storage.format));
    }
    sum = malloc((size_t)out->cols * sizeof(*sum) + 1);
    if (sum == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a row of sums");
    }
    for (int64_t i = 0; i < out->rows; i++) {
        moe_ref_sum_rows(&terms, i, 1, sum);
        round_row(&terms, i, sum, out, &layer->stats);
    }
    free(sum);
    return MOE_OK;
}

moe_status_t moe_ref_layer_right(moe_ref_layer_t *layer, moe_role_t role,
                                 const moe_rows_t *out)
{
    const int64_t experts =
        layer->about.experts.end - layer->about.experts.begin;
    const moe_model_t *m = layer->about.model;

    switch (role) {
    case MOE_ROLE_hidden:
        return compute_hidden(layer, out);
    case MOE_ROLE_logits:
        return compute_logits(layer, out);
    case MOE_ROLE_topk_ids:
    case MOE_ROLE_topk_weights:
        return compute_route(layer, role, out);
    case MOE_ROLE_dispatch:
        return compute_dispatch(layer, out);
    case MOE_ROLE_expert_in:
        return compute_expert_in(layer, out);
    case MOE_ROLE_gemm1_out:
        return moe_ref_grouped_matmul(
            &layer->weights[MOE_W13], &layer->at[MOE_ROLE_expert_in],
            layer->index.offset, experts, out, &layer->stats);
    case MOE_ROLE_act_out:
        return moe_ref_activate((moe_ref_gate_t){m->activation, m->gate_up},
                                &layer->at[MOE_ROLE_gemm1_out], out,
                                &layer->stats);
    case MOE_ROLE_gemm2_in:
        return moe_ref_to_storage(&layer->at[MOE_ROLE_act_out], out);
    case MOE_ROLE_gemm2_out:
        return moe_ref_grouped_matmul(
            &layer->weights[MOE_W2], &layer->at[MOE_ROLE_gemm2_in],
            layer->index.offset, experts, out, &layer->stats);
    default:
        return compute_sum(layer, out);
    }
}

static moe_status_t compute(moe_ref_layer_t *layer, moe_role_t role,
                            const moe_rows_t *out)
{
    return moe_ref_fault_here(layer, role)
               ? moe_ref_fault_compute(layer, role, out)
               : moe_ref_layer_right(layer, role, out);
}

/* Places that a place is computed from; ended by none. */
static const moe_role_t inputs[MOE_ROLE_COUNT][3] = {
    [MOE_ROLE_logits] = {MOE_ROLE_hidden},
    [MOE_ROLE_topk_ids] = {MOE_ROLE_logits},
    [MOE_ROLE_topk_weights] = {MOE_ROLE_logits},
    [MOE_ROLE_dispatch] = {MOE_ROLE_hidden},
    [MOE_ROLE_expert_in] = {MOE_ROLE_topk_ids, MOE_ROLE_dispatch},
    [MOE_ROLE_gemm1_out] = {MOE_ROLE_topk_ids, MOE_ROLE_expert_in},
    [MOE_ROLE_act_out] = {MOE_ROLE_topk_ids, MOE_ROLE_gemm1_out},
    [MOE_ROLE_gemm2_in] = {MOE_ROLE_topk_ids, MOE_ROLE_act_out},
    [MOE_ROLE_gemm2_out] = {MOE_ROLE_topk_ids, MOE_ROLE_gemm2_in},
    [MOE_ROLE_combine] = {MOE_ROLE_topk_ids, MOE_ROLE_topk_weights,
                          MOE_ROLE_gemm2_out},
    [MOE_ROLE_output] = {MOE_ROLE_topk_ids, MOE_ROLE_topk_weights,
                         MOE_ROLE_gemm2_out},
};

/* Experts are all of them where a place needs that. */
static moe_status_t check_role(const moe_ref_layer_t *layer, moe_role_t role)
{
    const moe_range_t experts = layer->about.experts;

    if (!moe_ref_layer_has(role)) {
        return moe_fail(MOE_ERR_RANGE, "a layer has no tensor of this kind");
    }
    if (role == MOE_ROLE_output &&
        (experts.begin > 0 ||
         experts.end < moe_ref_case_slots(&layer->about))) {
        return moe_fail(MOE_ERR_RANGE,
                        "the output needs all %lld experts, here are %lld",
                        (long long)moe_ref_case_slots(&layer->about),
                        (long long)(experts.end - experts.begin));
    }
    return MOE_OK;
}

moe_status_t moe_ref_layer_make_inputs(moe_ref_layer_t *layer, moe_role_t role)
{
    moe_status_t status = check_role(layer, role);

    if (status == MOE_OK && role == MOE_ROLE_dispatch &&
        layer->about.model->weight_on_input) {
        status = moe_ref_layer_make(layer, MOE_ROLE_topk_weights);
    }
    for (int i = 0;
         status == MOE_OK && i < 3 && inputs[role][i] != MOE_ROLE_none; i++) {
        status = moe_ref_layer_make(layer, inputs[role][i]);
    }
    return status;
}

moe_status_t moe_ref_layer_compute(moe_ref_layer_t *layer, moe_role_t role,
                                   const moe_rows_t *out)
{
    int64_t rows;
    int64_t cols;
    moe_status_t status = moe_ref_layer_make_inputs(layer, role);

    if (status != MOE_OK) {
        return status;
    }
    (void)moe_ref_layer_shape(layer, role, &rows, &cols);
    if (out->rows != rows || out->cols != cols ||
        (!moe_format_is_float(out->storage.format) &&
         out->storage.format != moe_ref_layer_storage(layer, role).format)) {
        return moe_fail(MOE_ERR_INTERNAL,
                        "a place of %lld x %lld, asked as %s "
                        "of %lld x %lld",
                        (long long)rows, (long long)cols,
                        moe_format_name(out->storage.format),
                        (long long)out->rows, (long long)out->cols);
    }
    return compute(layer, role, out);
}

moe_status_t moe_ref_layer_make(moe_ref_layer_t *layer, moe_role_t role)
{
    moe_storage_t storage;
    moe_rows_t rows = {0};
    int64_t n;
    int64_t cols;
    moe_status_t status;

    if (moe_ref_layer_has(role) && layer->held[role]) {
        return MOE_OK;
    }
    status = moe_ref_layer_make_inputs(layer, role);
    if (status != MOE_OK) {
        return status;
    }
    storage = moe_ref_layer_storage(layer, role);
    (void)moe_ref_layer_shape(layer, role, &n, &cols);
    status = moe_ref_rows_alloc(&storage, n, cols, &rows);
    if (status == MOE_OK) {
        status = compute(layer, role, &rows);
    }
    if (status != MOE_OK) {
        moe_ref_rows_free(&rows);
        return status;
    }
    return moe_ref_layer_hold(layer, role, &rows, true);
}
