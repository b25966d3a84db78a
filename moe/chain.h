/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The chain of formats of a layer, and what "exact" and "faithful" mean.
 */
#ifndef MOE_CHAIN_H
#define MOE_CHAIN_H

#include "moe/format.h"
#include "moe/vocabulary.h"

#include <stdbool.h>

typedef enum {
#define MOE_PROFILE(id, name, format, text) MOE_PROFILE_##id,
#include "moe/profile.def"
#undef MOE_PROFILE
    MOE_PROFILE_COUNT
} moe_profile_t;

/** Name of a profile as scenarios spell it; "?" if out of range. */
const char *moe_profile_name(moe_profile_t profile);

/** One line about a profile. */
const char *moe_profile_text(moe_profile_t profile);

/** Format that a profile quantises to. */
moe_format_t moe_profile_format(moe_profile_t profile);

/** Default profile of a format; MOE_PROFILE_none for plain types. */
moe_profile_t moe_profile_default(moe_format_t format);

typedef enum {
    MOE_NUMERICS_exact,   /* the exact real result, rounded once */
    MOE_NUMERICS_faithful /* rounded where and as the system rounds */
} moe_numerics_t;

/** How a tensor of the chain is stored. */
typedef struct {
    moe_format_t format;
    moe_profile_t profile;
    float global_scale; /* encode direction, code = x * scale; 0 if none */
} moe_storage_t;

/** Formats by place. Used: hidden, dispatch, expert_in, gemm1_out, act_out,
 * gemm2_in, gemm2_out, combine, output; dispatch is a method's own. */
typedef struct {
    moe_storage_t at[MOE_ROLE_COUNT];
    moe_format_t weights; /* of the experts */
    moe_numerics_t numerics;
} moe_chain_t;

/**
 * Fill in the defaults of a storage: profile, and for formats with a global
 * scale 448 * 6 / bound.
 * @param[in] bound  Documented bound of |x| of the tensor's generator, > 0.
 */
void moe_storage_default(moe_storage_t *storage, float bound);

/** Same format, profile and global scale: the same codes for the same rows. */
bool moe_storage_equal(const moe_storage_t *a, const moe_storage_t *b);

/**
 * True if two chains have the same rounding points: all storages alike but
 * combine (which `exact` only sizes) and dispatch, which may differ where it
 * rounds nothing that expert_in would not round the same way.
 */
bool moe_chain_rounds_alike(const moe_chain_t *a, const moe_chain_t *b);

#endif
