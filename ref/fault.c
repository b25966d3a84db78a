/* SPDX-License-Identifier: Apache-2.0 */
/* The list of mistakes, and the place that each is made in. */
#include "ref/fault.h"

#include "ref/fault_inside.h"
#include "ref/formats.h"
#include "ref/quantize.h"

#include <string.h>

#define BIT(role) (1u << MOE_ROLE_##role)

/* Families of places. */
#define IDS        BIT(topk_ids)
#define WEIGHTS    BIT(topk_weights)
#define QUANTISED  BIT(dispatch)
#define WRITTEN    (BIT(dispatch) | BIT(expert_in) | BIT(gemm2_in))
#define MATMUL     (BIT(gemm1_out) | BIT(gemm2_out))
#define FIRST      BIT(gemm1_out)
#define SECOND     BIT(gemm2_out)
#define READ       MATMUL
#define ACTIVATION BIT(act_out)
#define SUMMED     (BIT(combine) | BIT(output))
#define OUTPUT     BIT(output)
#define ROUNDED    (MATMUL | ACTIVATION | SUMMED)
#define ROWS       (WRITTEN | ROUNDED)

enum {
    TILES = 5, /* 8 to 128 rows */
    RANKS = 6  /* 2 to 64 of them */
};

static const struct {
    const char *name;
    const char *text;
    unsigned places;
} faults[MOE_FAULT_COUNT] = {
    {"none", "no mistake", 0},
#define MOE_FAULT(id, name, places, text) {name, text, places},
#include "ref/fault.def"
#undef MOE_FAULT
};

static bool in_range(moe_fault_kind_t kind)
{
    return (unsigned)kind < MOE_FAULT_COUNT;
}

const char *moe_fault_name(moe_fault_kind_t kind)
{
    return in_range(kind) ? faults[kind].name : "?";
}

const char *moe_fault_text(moe_fault_kind_t kind)
{
    return in_range(kind) ? faults[kind].text : "?";
}

bool moe_fault_find(const char *name, moe_fault_kind_t *kind_p)
{
    for (int k = MOE_FAULT_none + 1; k < MOE_FAULT_COUNT; k++) {
        if (strcmp(faults[k].name, name) == 0) {
            *kind_p = (moe_fault_kind_t)k;
            return true;
        }
    }
    return false;
}

bool moe_fault_is_at(moe_fault_kind_t kind, moe_role_t role)
{
    return in_range(kind) && (faults[kind].places >> role & 1) != 0;
}

int moe_fault_variants(moe_fault_kind_t kind)
{
    switch ((int)kind) {
    case MOE_FAULT_tail_tile:
    case MOE_FAULT_rows_past:
        return TILES;
    case MOE_FAULT_stale_padding:
        return 2 * TILES; /* experts one behind the other, or apart */
    case MOE_FAULT_shared_per_rank:
    case MOE_FAULT_bias_per_rank:
        return RANKS;
    case MOE_FAULT_next_expert:
        return 2; /* or the one before */
    case MOE_FAULT_double_rounding:
        return 2; /* codes: first to bf16, or to fp16 */
    case MOE_FAULT_other_profile:
        return MOE_FAULT_MULTIPLIERS + MOE_PROFILE_COUNT;
    default:
        return 1;
    }
}

bool moe_fault_chooses(moe_fault_kind_t kind)
{
    return kind == MOE_FAULT_group_mask_zero || kind == MOE_FAULT_group_max;
}

bool moe_fault_is_of_inputs(moe_fault_kind_t kind)
{
    return moe_fault_chooses(kind) || kind == MOE_FAULT_previous_call;
}

moe_mapping_t moe_fault_mapping(moe_fault_kind_t kind)
{
    return kind == MOE_FAULT_global_ids  ? MOE_MAPPING_global
           : kind == MOE_FAULT_minus_one ? MOE_MAPPING_last
                                         : MOE_MAPPING_right;
}

bool moe_ref_fault_routes(const moe_ref_layer_t *layer)
{
    return moe_ref_fault_here(layer, MOE_ROLE_topk_ids) ||
           moe_ref_fault_here(layer, MOE_ROLE_topk_weights);
}

moe_status_t moe_ref_fault_none(const moe_ref_layer_t *layer)
{
    return moe_fail(MOE_ERR_UNSUPPORTED, "%s means nothing for %s here",
                    moe_fault_name(layer->fault.kind),
                    moe_role_name(layer->fault.role));
}

static size_t scale_bytes(const moe_rows_t *rows)
{
    return (size_t)(rows->rows * moe_rows_scale_bytes(rows));
}

bool moe_ref_fault_same(const moe_rows_t *a, const moe_rows_t *b)
{
    return a->rows == b->rows &&
           memcmp(a->codes, b->codes,
                  (size_t)(a->rows * moe_rows_code_bytes(a))) == 0 &&
           (a->scales == NULL ||
            memcmp(a->scales, b->scales, scale_bytes(a)) == 0);
}

moe_status_t moe_ref_fault_copy(const moe_rows_t *rows, moe_rows_t *copy_p)
{
    moe_status_t status =
        moe_ref_rows_alloc(&rows->storage, rows->rows, rows->cols, copy_p);

    if (status == MOE_OK) {
        memcpy(copy_p->codes, rows->codes,
               (size_t)(rows->rows * moe_rows_code_bytes(rows)));
    }
    if (status == MOE_OK && rows->scales != NULL) {
        memcpy(copy_p->scales, rows->scales, scale_bytes(rows));
    }
    return status;
}

/* Rows of zeros. */
static moe_status_t not_run(const moe_rows_t *out)
{
    memset(out->codes, 0, (size_t)(out->rows * moe_rows_code_bytes(out)));
    if (out->scales != NULL) {
        memset(out->scales, 0, scale_bytes(out));
    }
    return MOE_OK;
}

/* Row i comes from row order[i]. */
static moe_status_t permute(moe_ref_layer_t *layer, moe_role_t role,
                            const moe_rows_t *out)
{
    const int64_t bytes = moe_rows_code_bytes(out);
    const int64_t scales = moe_rows_scale_bytes(out);
    moe_rows_t right;
    moe_status_t status = moe_ref_layer_right(layer, role, out);

    if (status != MOE_OK) {
        return status;
    }
    status = moe_ref_fault_copy(out, &right);
    for (int64_t i = 0; status == MOE_OK && i < out->rows; i++) {
        int64_t from = layer->fault.order != NULL ? layer->fault.order[i]
                       : (i ^ 1) < out->rows      ? i ^ 1
                                                  : i;

        memcpy((char *)out->codes + i * bytes,
               (const char *)right.codes + from * bytes, (size_t)bytes);
        if (scales > 0) {
            memcpy((char *)out->scales + i * scales,
                   (const char *)right.scales + from * scales, (size_t)scales);
        }
    }
    moe_ref_rows_free(&right);
    return status;
}

/* The right numbers, rounded wrongly to what the place stores. */
static moe_status_t round_rows(moe_ref_layer_t *layer, moe_role_t role,
                               const moe_rows_t *out)
{
    const moe_storage_t fp32 = {.format = MOE_FORMAT_fp32};
    const moe_format_t format = moe_ref_layer_storage(layer, role).format;
    moe_rows_t fine;
    moe_status_t status =
        moe_ref_rows_alloc(&fp32, out->rows, out->cols, &fine);

    if (status == MOE_OK) {
        status = moe_ref_layer_right(layer, role, &fine);
    }
    for (int64_t i = 0; status == MOE_OK && i < out->rows * out->cols; i++) {
        double x = moe_ref_fault_round(layer->fault.kind, format,
                                       (double)((const float *)fine.codes)[i]);

        moe_rows_round(out, i / out->cols, i % out->cols, 1, &x);
    }
    moe_ref_rows_free(&fine);
    return status;
}

static bool is_rounding(moe_fault_kind_t kind)
{
    return kind == MOE_FAULT_half_away || kind == MOE_FAULT_ties_to_zero ||
           kind == MOE_FAULT_truncation || kind == MOE_FAULT_double_rounding;
}

/* Rows of later tokens, drawn. */
static moe_status_t other_rank(moe_ref_layer_t *layer, const moe_rows_t *out)
{
    moe_ref_case_t about = layer->about;
    const int64_t n = about.tokens.end - about.tokens.begin;
    moe_ref_layer_t other;
    moe_status_t status;

    about.tokens.begin += n;
    about.tokens.end += n;
    status = moe_ref_layer_init(&about, &other);
    if (status == MOE_OK) {
        status = moe_ref_layer_compute(&other, MOE_ROLE_dispatch, out);
        moe_ref_layer_fini(&other);
    }
    return status;
}

/* Codes: spoiled as they are made, or made wrongly. */
static moe_status_t write_codes(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *out)
{
    const moe_role_t source = role == MOE_ROLE_gemm2_in   ? MOE_ROLE_act_out
                              : role == MOE_ROLE_dispatch ? MOE_ROLE_hidden
                                                          : MOE_ROLE_dispatch;
    const moe_rows_t *from = &layer->at[source];
    moe_status_t status;

    if (!moe_format_is_coded(out->storage.format) ||
        moe_storage_equal(&from->storage, &out->storage)) {
        return moe_ref_fault_none(layer); /* copied rows */
    }
    switch (layer->fault.kind) {
    case MOE_FAULT_nibbles_swapped:
    case MOE_FAULT_scales_swizzled:
    case MOE_FAULT_scales_unswizzled:
    case MOE_FAULT_scales_8x4:
        status = moe_ref_layer_right(layer, role, out);
        return status == MOE_OK ? moe_ref_fault_codes(layer, out) : status;
    default:
        break;
    }
    status = moe_ref_layer_right(layer, role, out);
    if (status != MOE_OK || role != MOE_ROLE_expert_in) {
        return status == MOE_OK ? moe_ref_fault_quantize(layer, from, out)
                                : status;
    }
    {
        moe_rows_t grouped;

        status =
            moe_ref_rows_alloc(&from->storage, out->rows, out->cols, &grouped);
        if (status == MOE_OK) {
            moe_ref_gather_rows(from, &layer->index, &grouped);
            status = moe_ref_fault_quantize(layer, &grouped, out);
            moe_ref_rows_free(&grouped);
        }
    }
    return status;
}

moe_status_t moe_ref_fault_compute(moe_ref_layer_t *layer, moe_role_t role,
                                   const moe_rows_t *out)
{
    if (!moe_fault_is_at(layer->fault.kind, role)) {
        return moe_ref_fault_none(layer);
    }
    if (moe_ref_fault_routes(layer)) {
        return moe_ref_layer_right(layer, role, out); /* asks the fault */
    }
    if (layer->fault.kind == MOE_FAULT_not_run) {
        return not_run(out);
    }
    if (layer->fault.kind == MOE_FAULT_rows_permuted) {
        return permute(layer, role, out);
    }
    if (layer->fault.kind == MOE_FAULT_other_rank) {
        return other_rank(layer, out);
    }
    if (is_rounding(layer->fault.kind) && (ROUNDED >> role & 1) != 0) {
        return moe_format_is_float(moe_ref_layer_storage(layer, role).format)
                   ? round_rows(layer, role, out)
                   : moe_ref_fault_none(layer);
    }
    return (MATMUL >> role & 1) != 0   ? moe_ref_fault_matmul(layer, role, out)
           : role == MOE_ROLE_act_out  ? moe_ref_fault_activation(layer, out)
           : (SUMMED >> role & 1) != 0 ? moe_ref_fault_sum(layer, role, out)
                                       : write_codes(layer, role, out);
}
