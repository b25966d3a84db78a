/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the files of ref/fault*.c and ref/layer_make.c share.
 */
#ifndef REF_FAULT_INSIDE_H
#define REF_FAULT_INSIDE_H

#include "ref/layer.h"

/** True if the layer's mistake is made at this place. */
static inline bool moe_ref_fault_here(const moe_ref_layer_t *layer,
                                      moe_role_t role)
{
    return layer->fault.kind != MOE_FAULT_none && layer->fault.role == role;
}

/** True if the router makes the mistake. */
bool moe_ref_fault_routes(const moe_ref_layer_t *layer);

/** True if a mistake means something here, by model and formats: what is false
 * would be refused by moe_ref_fault_compute() or moe_ref_fault_route(). Nothing
 * is computed. */
bool moe_ref_fault_applies(const moe_ref_layer_t *layer, moe_fault_t fault);

/** True if codes of a format may have been made by a wrong rule for scales or
 * roundings. */
bool moe_ref_fault_requantizes(moe_fault_kind_t kind, moe_format_t format);

/** Ways to make a block's codes of its scale that are nobody's profile: the
 * first variants of another-profile; then MOE_FAULT_MULTIPLIERS + profile. */
enum {
    MOE_FAULT_MULTIPLIERS = 6
};

/** True if there is such a profile of the format, and it is not its own. */
bool moe_ref_fault_has_profile(const moe_storage_t *storage, int variant);

/** x by a multiplier of unit = scale x decode; encode is the global scale in
 * the other direction. */
double moe_ref_fault_multiply_by(int variant, double x, double scale,
                                 double decode, double encode);

/** True for another profile; false for another multiplier of its own, too. */
bool moe_ref_fault_is_profile(const moe_ref_layer_t *layer);

/** Quantise src to out by another profile, which there is. */
moe_status_t moe_ref_fault_profile(const moe_ref_layer_t *layer,
                                   const moe_rows_t *src,
                                   const moe_rows_t *out);

/** The error of a mistake that means nothing here. */
moe_status_t moe_ref_fault_none(const moe_ref_layer_t *layer);

/** Compute a place wrongly; what it is made from is held. */
moe_status_t moe_ref_fault_compute(moe_ref_layer_t *layer, moe_role_t role,
                                   const moe_rows_t *out);

/** Route n tokens wrongly; otherwise as moe_ref_route(). */
moe_status_t moe_ref_fault_route(moe_ref_layer_t *layer, const float *logits,
                                 int64_t n, int32_t *ids, float *weights,
                                 int64_t bad[2]);

/** Spoil rows of codes in place, as they are written or read. */
moe_status_t moe_ref_fault_codes(const moe_ref_layer_t *layer,
                                 const moe_rows_t *rows);

/** Quantise src to out wrongly. */
moe_status_t moe_ref_fault_quantize(const moe_ref_layer_t *layer,
                                    const moe_rows_t *src,
                                    const moe_rows_t *out);

/** A number rounded wrongly to a float format. */
double moe_ref_fault_round(moe_fault_kind_t kind, moe_format_t format,
                           double x);

/** Families of places. */
moe_status_t moe_ref_fault_matmul(moe_ref_layer_t *layer, moe_role_t role,
                                  const moe_rows_t *out);
moe_status_t moe_ref_fault_tile(moe_ref_layer_t *layer, moe_role_t role,
                                const moe_rows_t *out);
moe_status_t moe_ref_fault_activation(moe_ref_layer_t *layer,
                                      const moe_rows_t *out);
moe_status_t moe_ref_fault_sum(moe_ref_layer_t *layer, moe_role_t role,
                               const moe_rows_t *out);

/** The place that a matmul reads. */
moe_role_t moe_ref_fault_input(moe_role_t role);

/** Rows of a tile: of a form of mistakes that know tiles. */
int64_t moe_ref_fault_tile_rows(int variant);

/** True if a form of a mistake is the same here as the one before it: all
 * rows are in an expert's first tile. */
bool moe_ref_fault_repeats(const moe_ref_layer_t *layer, moe_fault_t fault);

/** Rows of a matmul's place made with the weights of a local expert. */
moe_status_t moe_ref_fault_multiply(moe_ref_layer_t *layer, moe_role_t role,
                                    moe_range_t rows, int64_t expert,
                                    const moe_rows_t *out);

/** The call before: a layer of the same router and weights, which it borrows,
 * and hidden states of the seed before. Ended with _fini(), also if that
 * failed; both zeroed before. */
moe_status_t moe_ref_fault_before_init(const moe_ref_layer_t *layer,
                                       moe_ref_layer_t *twin_p,
                                       moe_rows_t *hidden_p);
void moe_ref_fault_before_fini(const moe_ref_layer_t *layer,
                               moe_ref_layer_t *twin, moe_rows_t *hidden);

/** Frees what a layer keeps of the call before, or nothing. */
void moe_ref_fault_forget(moe_ref_layer_t *layer);

/** The weight of a slot that a sum takes wrongly. */
float moe_ref_fault_weight(const moe_ref_layer_t *layer, int slot, float w);

/** True if rows of the same storage and columns are as many and have the same
 * bytes. */
bool moe_ref_fault_same(const moe_rows_t *a, const moe_rows_t *b);

/** Rows of the same storage and shape, own memory. */
moe_status_t moe_ref_fault_copy(const moe_rows_t *rows, moe_rows_t *copy_p);

/** Compute a place rightly, whatever the layer's mistake. */
moe_status_t moe_ref_layer_right(moe_ref_layer_t *layer, moe_role_t role,
                                 const moe_rows_t *out);

#endif
