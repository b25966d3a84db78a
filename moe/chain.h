/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The chain of formats of a layer, and what "exact" and "faithful" mean.
 */
#ifndef MOE_CHAIN_H
#define MOE_CHAIN_H

#include "moe/contract.h"
#include "moe/profile.h"
#include "moe/vocabulary.h"

#include <stdbool.h>

typedef enum {
    MOE_NUMERICS_exact,   /* the exact real result, rounded once */
    MOE_NUMERICS_faithful /* rounded where and as the system rounds */
} moe_numerics_t;

/** How a tensor of the chain is stored. */
typedef struct {
    moe_format_t format;
    moe_profile_t profile;
    float global_scale; /* in the profile's direction; 0 if none */
} moe_storage_t;

/** Formats by place. Used: hidden, dispatch, expert_in, gemm1_out, act_out,
 * gemm2_in, gemm2_out, combine, output; dispatch is a method's own. */
typedef struct {
    moe_storage_t at[MOE_ROLE_COUNT];
    moe_format_t weights; /* of the experts */
    moe_numerics_t numerics;
    int profile; /* word for quantisers that are not named: moe_profile_word();
                  * 0: each format's default */
    moe_contract_t contract; /* where it rounds: a method's own */
} moe_chain_t;

/**
 * Give a layer's chain a method's contract. In `faithful`, rows of gemm2_out
 * that its system weighs as fp32 sums (`weighted_sum`) are fp32.
 */
void moe_chain_take(moe_chain_t *chain, const moe_contract_t *contract);

/** Decode global scale of a storage: RN32(1 / global_scale), or itself where
 * the profile takes it so; 1 if none. */
float moe_storage_decode(const moe_storage_t *storage);

/**
 * Fill in the defaults of a storage: profile, and for formats with a global
 * scale that by which bound is the largest number of the format.
 * @param[in] bound  Documented bound of |x| of the tensor's generator; 0 for
 *                   a scale of 1: the numbers are codes (moe/data.h).
 */
void moe_storage_default(moe_storage_t *storage, float bound);

/** The same, the profile being first that of the chain's word, if it means
 * one for the format. */
void moe_chain_default(const moe_chain_t *chain, moe_storage_t *storage,
                       float bound);

/** Documented bound of the magnitudes that the generator makes at a place:
 * of moe_storage_default(). */
float moe_chain_bound(moe_role_t role);

/** Same format, profile and global scale: the same codes for the same rows. */
bool moe_storage_equal(const moe_storage_t *a, const moe_storage_t *b);

/** True if values are rounded at a point: the contract declares it, these
 * numerics have it, and its storage is not `exact`. */
bool moe_chain_rounds(const moe_chain_t *chain, moe_rounding_t point);

/**
 * True if two chains round alike in `exact`: the same points to the same
 * storages; dispatch may differ where it rounds nothing that expert_in would
 * not round the same way. Never true in `faithful`, where the order of sums
 * depends on layout and method.
 */
bool moe_chain_rounds_alike(const moe_chain_t *a, const moe_chain_t *b);

#endif
