/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a mistake means something in a layer, by its model and formats
 * alone: what the other files of ref/fault*.c refuse once they are there, told
 * before anything is computed. */
#include "ref/fault_inside.h"

#include "ref/formats.h"
#include "ref/weights.h"

static bool is_sum(moe_role_t role)
{
    return role == MOE_ROLE_combine || role == MOE_ROLE_output;
}

static bool is_matmul(moe_role_t role)
{
    return role == MOE_ROLE_gemm1_out || role == MOE_ROLE_gemm2_out;
}

static moe_format_t format_of(const moe_ref_layer_t *layer, moe_role_t role)
{
    return moe_ref_layer_storage(layer, role).format;
}

static bool routes(const moe_ref_layer_t *layer, moe_fault_kind_t kind)
{
    const moe_model_t *m = layer->about.model;
    const bool over_chosen = m->score == MOE_SCORE_softmax_chosen;

    switch (kind) {
    case MOE_FAULT_not_renormalised:
        return !over_chosen;
    case MOE_FAULT_bias_in_weights:
        return m->shared == 0 && (m->bias || layer->bias != NULL) &&
               !over_chosen;
    case MOE_FAULT_group_mask_zero:
    case MOE_FAULT_group_max:
        return m->shared == 0 && m->n_group > 1 &&
               m->group_limit == MOE_GROUP_LIMIT_top2_sum;
    default:
        return true;
    }
}

/* Codes or scales of a place that may lie, or be read, in another order. */
static bool lies(const moe_ref_layer_t *layer, moe_role_t role,
                 moe_fault_kind_t kind)
{
    const moe_format_t format = format_of(layer, role);
    const moe_format_info_t *info = moe_format_info(format);
    int64_t rows;
    int64_t cols;

    if (kind == MOE_FAULT_nibbles_swapped) {
        return info->code == MOE_DTYPE_e2m1;
    }
    (void)moe_ref_layer_shape(layer, role, &rows, &cols);
    return moe_format_scale_cols(format, cols) > 0 &&
           info->block != MOE_BLOCK_ROW && moe_dtype_bits(info->scale) == 8;
}

static bool activates(const moe_ref_layer_t *layer, moe_fault_kind_t kind)
{
    int64_t rows;
    int64_t in;
    int64_t out;

    (void)moe_ref_layer_shape(layer, MOE_ROLE_gemm1_out, &rows, &in);
    (void)moe_ref_layer_shape(layer, MOE_ROLE_act_out, &rows, &out);
    return in != out &&
           (kind != MOE_FAULT_clamp_missing ||
            layer->about.model->activation == MOE_ACTIVATION_swiglu_oai);
}

static bool multiplies(const moe_ref_layer_t *layer, moe_fault_t fault)
{
    const moe_role_t input = moe_ref_fault_input(fault.role);
    const moe_format_info_t *info = moe_format_info(format_of(layer, input));
    const moe_ref_weights_t *weights =
        &layer->weights[fault.role == MOE_ROLE_gemm1_out ? MOE_W13 : MOE_W2];
    const moe_range_t experts = layer->about.experts;

    switch (fault.kind) {
    case MOE_FAULT_global_inverted:
    case MOE_FAULT_global_squared:
    case MOE_FAULT_global_missing:
        return info->has_global;
    case MOE_FAULT_e4m3_fnuz:
        return info->code == MOE_DTYPE_e4m3 || info->scale == MOE_DTYPE_e4m3;
    case MOE_FAULT_other_layer:
        return weights->given == NULL;
    case MOE_FAULT_one_alpha:
        return moe_ref_weights_scaled(weights, experts.end - experts.begin);
    case MOE_FAULT_bias_per_rank:
        return fault.role == MOE_ROLE_gemm2_out &&
               moe_ref_weights_biased(weights);
    case MOE_FAULT_stale_padding:
        return format_of(layer, MOE_ROLE_hidden) == MOE_FORMAT_bf16;
    case MOE_FAULT_gate_up_swapped:
    case MOE_FAULT_gate_up_layout:
        return activates(layer, fault.kind);
    case MOE_FAULT_next_expert:
    case MOE_FAULT_tail_tile:
    case MOE_FAULT_rows_past:
        return true;
    default:
        return lies(layer, input, fault.kind);
    }
}

static bool sums(const moe_ref_layer_t *layer, moe_fault_kind_t kind)
{
    switch (kind) {
    case MOE_FAULT_shared_per_rank:
        return layer->about.model->shared > 0;
    case MOE_FAULT_previous_call:
        return format_of(layer, MOE_ROLE_hidden) == MOE_FORMAT_bf16;
    default:
        return true;
    }
}

static bool is_copied(const moe_ref_layer_t *layer, moe_role_t role)
{
    const moe_storage_t here = moe_ref_layer_storage(layer, role);
    const moe_storage_t sent = moe_ref_layer_storage(layer, MOE_ROLE_dispatch);

    return role == MOE_ROLE_expert_in && moe_storage_equal(&here, &sent);
}

static bool writes(const moe_ref_layer_t *layer, moe_fault_t fault)
{
    const moe_storage_t storage = moe_ref_layer_storage(layer, fault.role);
    const moe_format_t format = storage.format;
    const moe_format_info_t *info = moe_format_info(format);

    if (!moe_format_is_coded(format) || is_copied(layer, fault.role)) {
        return false;
    }
    switch (fault.kind) {
    case MOE_FAULT_nibbles_swapped:
    case MOE_FAULT_scales_swizzled:
    case MOE_FAULT_scales_unswizzled:
    case MOE_FAULT_scales_8x4:
        return lies(layer, fault.role, fault.kind);
    case MOE_FAULT_global_per_rank:
        return info->has_global;
    case MOE_FAULT_other_profile:
        return moe_ref_fault_has_profile(&storage, fault.variant);
    default:
        return moe_ref_fault_requantizes(fault.kind, format);
    }
}

bool moe_ref_fault_applies(const moe_ref_layer_t *layer, moe_fault_t fault)
{
    const moe_role_t role = fault.role;
    const bool is_rounding = fault.kind >= MOE_FAULT_half_away &&
                             fault.kind <= MOE_FAULT_double_rounding;

    if (!moe_fault_is_at(fault.kind, role)) {
        return false;
    }
    if (role == MOE_ROLE_topk_ids || role == MOE_ROLE_topk_weights) {
        return routes(layer, fault.kind);
    }
    if (fault.kind == MOE_FAULT_not_run ||
        fault.kind == MOE_FAULT_rows_permuted ||
        fault.kind == MOE_FAULT_other_rank) {
        return true;
    }
    if (is_rounding &&
        (is_matmul(role) || is_sum(role) || role == MOE_ROLE_act_out)) {
        return fault.variant == 0 && /* others are of codes */
               moe_format_is_float(format_of(layer, role));
    }
    return is_matmul(role)            ? multiplies(layer, fault)
           : is_sum(role)             ? sums(layer, fault.kind)
           : role == MOE_ROLE_act_out ? activates(layer, fault.kind)
                                      : writes(layer, fault);
}
