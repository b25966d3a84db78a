/* SPDX-License-Identifier: Apache-2.0 */
/* Experts that read, weigh or activate wrongly. */
#include "ref/fault_inside.h"

#include "ref/activation.h"
#include "ref/formats.h"
#include "ref/weights.h"

#include <math.h>
#include <string.h>

/* Compute from other rows than those that the layer holds. */
static moe_status_t from_rows(moe_ref_layer_t *layer, moe_role_t role,
                              const moe_rows_t *in, const moe_rows_t *out)
{
    const moe_role_t source = role == MOE_ROLE_act_out
                                  ? MOE_ROLE_gemm1_out
                                  : moe_ref_fault_input(role);
    const moe_rows_t held = layer->at[source];
    moe_status_t status;

    layer->at[source] = *in;
    status = moe_ref_layer_right(layer, role, out);
    layer->at[source] = held;
    return status;
}

/* Decode the input with a global scale that is not its own. */
static moe_status_t other_global(moe_ref_layer_t *layer, moe_role_t role,
                                 const moe_rows_t *out)
{
    moe_rows_t in = layer->at[moe_ref_fault_input(role)];
    const moe_global_t way = moe_profile_info(in.storage.profile)->global;
    const float right = moe_rows_global(&in.storage);
    float wrong = right * right;

    if (!moe_format_info(in.storage.format)->has_global) {
        return moe_ref_fault_none(layer);
    }
    wrong = layer->fault.kind == MOE_FAULT_global_inverted  ? 1.0f / right
            : layer->fault.kind == MOE_FAULT_global_missing ? 1.0f
                                                            : wrong;
    in.storage.global_scale = way == MOE_GLOBAL_decode ? wrong : 1.0f / wrong;
    return from_rows(layer, role, &in, out);
}

static bool has_minus_zero(const moe_rows_t *rows, int64_t row)
{
    return moe_format_info(rows->storage.format)->code == MOE_DTYPE_e4m3 &&
           memchr(moe_rows_codes(rows, row), 0x80, (size_t)rows->cols) != NULL;
}

/* Half of everything, by the exponent's other bias; NaN where codes were -0. */
static moe_status_t read_fnuz(moe_ref_layer_t *layer, moe_role_t role,
                              const moe_rows_t *out)
{
    const moe_rows_t *in = &layer->at[moe_ref_fault_input(role)];
    const moe_format_info_t *info = moe_format_info(in->storage.format);
    moe_status_t status;

    if (info->code != MOE_DTYPE_e4m3 && info->scale != MOE_DTYPE_e4m3) {
        return moe_ref_fault_none(layer);
    }
    status = moe_ref_layer_right(layer, role, out);
    for (int64_t i = 0; status == MOE_OK && i < out->rows; i++) {
        const bool spoilt = has_minus_zero(in, i);

        for (int64_t c = 0; c < out->cols; c++) {
            double x = spoilt ? (double)NAN : moe_rows_value(out, i, c) / 2.0;

            moe_rows_round(out, i, c, 1, &x);
        }
    }
    return status;
}

static moe_status_t next_expert(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *out)
{
    const moe_ref_index_t *index = &layer->index;
    const int64_t step = layer->fault.variant == 0 ? 1 : index->n_experts - 1;
    moe_status_t status = MOE_OK;

    for (int64_t e = 0; status == MOE_OK && e < index->n_experts; e++) {
        status = moe_ref_fault_multiply(
            layer, role, (moe_range_t){index->offset[e], index->offset[e + 1]},
            (e + step) % index->n_experts, out);
    }
    return status;
}

static moe_status_t other_layer(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *out)
{
    moe_ref_weights_t *weights =
        &layer->weights[role == MOE_ROLE_gemm1_out ? MOE_W13 : MOE_W2];
    moe_status_t status;

    if (weights->given != NULL) {
        return moe_ref_fault_none(layer);
    }
    weights->seed++;
    status = moe_ref_layer_right(layer, role, out);
    weights->seed--;
    return status;
}

static moe_status_t one_alpha(moe_ref_layer_t *layer, moe_role_t role,
                              const moe_rows_t *out)
{
    moe_ref_weights_t *weights =
        &layer->weights[role == MOE_ROLE_gemm1_out ? MOE_W13 : MOE_W2];
    moe_status_t status;

    if (!moe_ref_weights_scaled(weights, layer->index.n_experts)) {
        return moe_ref_fault_none(layer);
    }
    weights->one_scale = true;
    status = moe_ref_layer_right(layer, role, out);
    weights->one_scale = false;
    return status;
}

static moe_status_t bias_often(moe_ref_layer_t *layer, moe_role_t role,
                               const moe_rows_t *out)
{
    moe_ref_weights_t *weights = &layer->weights[MOE_W2];
    moe_status_t status;

    if (role != MOE_ROLE_gemm2_out || !moe_ref_weights_biased(weights)) {
        return moe_ref_fault_none(layer);
    }
    weights->bias_times = 2 << layer->fault.variant;
    status = moe_ref_layer_right(layer, role, out);
    weights->bias_times = 0;
    return status;
}

/* Gate and up of element col of n of act_out. */
static void columns_of(moe_gate_up_t lie, int64_t n, int64_t col, int64_t *gate,
                       int64_t *up)
{
    const bool halves = lie == MOE_GATE_UP_halves;

    *gate = halves ? col : 2 * col;
    *up = halves ? n + col : 2 * col + 1;
}

static moe_gate_up_t other_way(moe_gate_up_t lie)
{
    return lie == MOE_GATE_UP_halves ? MOE_GATE_UP_interleaved
                                     : MOE_GATE_UP_halves;
}

/* Rows of w13, so columns of gemm1_out, that lie in another order. */
static moe_status_t lay_columns(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *out)
{
    const moe_model_t *m = layer->about.model;
    const bool swapped = layer->fault.kind == MOE_FAULT_gate_up_swapped;
    const moe_gate_up_t way = swapped ? m->gate_up : other_way(m->gate_up);
    const int64_t n = out->cols / 2;
    moe_rows_t right;
    moe_status_t status;

    if (moe_weight_rows(m, MOE_W13) == moe_weight_cols(m, MOE_W2)) {
        return moe_ref_fault_none(layer); /* no up */
    }
    status = moe_ref_layer_right(layer, role, out);
    if (status == MOE_OK) {
        status = moe_ref_fault_copy(out, &right);
    }
    if (status != MOE_OK) {
        return status;
    }
    for (int64_t i = 0; i < out->rows * n; i++) {
        int64_t from[2];
        int64_t to[2];

        columns_of(m->gate_up, n, i % n, &from[0], &from[1]);
        columns_of(way, n, i % n, &to[0], &to[1]);
        for (int c = 0; c < 2; c++) {
            double x = moe_rows_value(&right, i / n, from[c]);

            moe_rows_round(out, i / n, to[swapped ? 1 - c : c], 1, &x);
        }
    }
    moe_ref_rows_free(&right);
    return MOE_OK;
}

moe_status_t moe_ref_fault_matmul(moe_ref_layer_t *layer, moe_role_t role,
                                  const moe_rows_t *out)
{
    moe_rows_t in;
    moe_status_t status;

    switch (layer->fault.kind) {
    case MOE_FAULT_global_inverted:
    case MOE_FAULT_global_squared:
    case MOE_FAULT_global_missing:
        return other_global(layer, role, out);
    case MOE_FAULT_e4m3_fnuz:
        return read_fnuz(layer, role, out);
    case MOE_FAULT_next_expert:
        return next_expert(layer, role, out);
    case MOE_FAULT_other_layer:
        return other_layer(layer, role, out);
    case MOE_FAULT_one_alpha:
        return one_alpha(layer, role, out);
    case MOE_FAULT_bias_per_rank:
        return bias_often(layer, role, out);
    case MOE_FAULT_gate_up_swapped:
    case MOE_FAULT_gate_up_layout:
        return lay_columns(layer, role, out);
    case MOE_FAULT_tail_tile:
    case MOE_FAULT_rows_past:
    case MOE_FAULT_stale_padding:
        return moe_ref_fault_tile(layer, role, out);
    default:
        break;
    }
    status = moe_ref_fault_copy(&layer->at[moe_ref_fault_input(role)], &in);
    if (status == MOE_OK) {
        status = moe_ref_fault_codes(layer, &in);
        status = status == MOE_OK ? from_rows(layer, role, &in, out) : status;
        moe_ref_rows_free(&in);
    }
    return status;
}

static moe_status_t exchange(moe_ref_layer_t *layer, const moe_rows_t *out)
{
    const moe_rows_t *x = &layer->at[MOE_ROLE_gemm1_out];
    moe_rows_t in;
    moe_status_t status = moe_ref_fault_copy(x, &in);

    for (int64_t i = 0; status == MOE_OK && i < out->rows * out->cols; i++) {
        const int64_t row = i / out->cols;
        int64_t gate;
        int64_t up;
        double value;

        columns_of(layer->about.model->gate_up, out->cols, i % out->cols, &gate,
                   &up);
        value = moe_rows_value(x, row, up);
        moe_rows_round(&in, row, gate, 1, &value);
        value = moe_rows_value(x, row, gate);
        moe_rows_round(&in, row, up, 1, &value);
    }
    if (status == MOE_OK) {
        status = from_rows(layer, MOE_ROLE_act_out, &in, out);
        moe_ref_rows_free(&in);
    }
    return status;
}

static moe_status_t unclamped(moe_ref_layer_t *layer, const moe_rows_t *out)
{
    const moe_rows_t *x = &layer->at[MOE_ROLE_gemm1_out];

    if (layer->about.model->activation != MOE_ACTIVATION_swiglu_oai) {
        return moe_ref_fault_none(layer);
    }
    for (int64_t i = 0; i < out->rows * out->cols; i++) {
        int64_t gate;
        int64_t up;
        double g;
        double y;

        columns_of(layer->about.model->gate_up, out->cols, i % out->cols, &gate,
                   &up);
        g = moe_rows_value(x, i / out->cols, gate);
        y = moe_rows_value(x, i / out->cols, up);
        y = (y + 1.0) * g / (1.0 + exp(-1.702 * g));
        moe_rows_round(out, i / out->cols, i % out->cols, 1, &y);
    }
    return MOE_OK;
}

moe_status_t moe_ref_fault_activation(moe_ref_layer_t *layer,
                                      const moe_rows_t *out)
{
    const moe_model_t *m = layer->about.model;

    if (layer->at[MOE_ROLE_gemm1_out].cols == out->cols) {
        return moe_ref_fault_none(layer); /* no up */
    }
    if (layer->fault.kind == MOE_FAULT_clamp_missing) {
        return unclamped(layer, out);
    }
    if (layer->fault.kind == MOE_FAULT_gate_up_swapped) {
        return exchange(layer, out);
    }
    return moe_ref_activate(
        (moe_ref_gate_t){m->activation, other_way(m->gate_up)},
        &layer->at[MOE_ROLE_gemm1_out], out, &layer->stats);
}
