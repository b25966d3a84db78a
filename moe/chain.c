/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/chain.h"

#include "moe/fill.h"

/* Largest E4M3, and largest E2M1. */
#define E4M3_MAX 448.0f
#define E2M1_MAX 6.0f

static moe_global_t direction_of(const moe_storage_t *storage)
{
    return moe_profile_info(storage->profile)->global;
}

void moe_chain_take(moe_chain_t *chain, const moe_contract_t *contract)
{
    chain->contract = *contract;
    if (moe_contract_rounds(contract, MOE_ROUNDING_weighted_sum,
                            chain->numerics == MOE_NUMERICS_faithful) &&
        chain->at[MOE_ROLE_gemm2_out].format != MOE_FORMAT_exact) {
        chain->at[MOE_ROLE_gemm2_out].format = MOE_FORMAT_fp32;
    }
}

float moe_storage_decode(const moe_storage_t *storage)
{
    if (!moe_format_info(storage->format)->has_global) {
        return 1.0f;
    }
    return direction_of(storage) == MOE_GLOBAL_decode
               ? storage->global_scale
               : 1.0f / storage->global_scale;
}

void moe_storage_default(moe_storage_t *storage, float bound)
{
    if (storage->profile == MOE_PROFILE_none) {
        storage->profile = moe_profile_default(storage->format);
    }
    if (!moe_format_info(storage->format)->has_global) {
        storage->global_scale = 0.0f;
    } else if (!(storage->global_scale > 0.0f)) {
        float range = storage->format == MOE_FORMAT_nvfp4 ? E4M3_MAX * E2M1_MAX
                                                          : E4M3_MAX;

        if (!(bound > 0.0f)) {
            storage->global_scale = 1.0f;
            return;
        }
        storage->global_scale = direction_of(storage) == MOE_GLOBAL_decode
                                    ? bound / range
                                    : range / bound;
    }
}

void moe_chain_default(const moe_chain_t *chain, moe_storage_t *storage,
                       float bound)
{
    if (storage->profile == MOE_PROFILE_none) {
        (void)moe_profile_find(moe_profile_word(chain->profile),
                               storage->format, &storage->profile);
    }
    moe_storage_default(storage, bound);
}

float moe_chain_bound(moe_role_t role)
{
    return role == MOE_ROLE_hidden || role == MOE_ROLE_dispatch ||
                   role == MOE_ROLE_expert_in
               ? MOE_FILL_HIDDEN_BOUND
               : MOE_FILL_ACT_BOUND;
}

bool moe_storage_equal(const moe_storage_t *a, const moe_storage_t *b)
{
    return a->format == b->format && a->profile == b->profile &&
           !(a->global_scale < b->global_scale) &&
           !(a->global_scale > b->global_scale);
}

bool moe_chain_rounds(const moe_chain_t *chain, moe_rounding_t point)
{
    const moe_format_t format = chain->at[moe_rounding_role(point)].format;

    return moe_contract_rounds(&chain->contract, point,
                               chain->numerics == MOE_NUMERICS_faithful ||
                                   moe_format_is_coded(format)) &&
           format != MOE_FORMAT_exact;
}

/* Dispatch rounds nothing that expert_in would not round the same way. */
static bool dispatch_is_clear(const moe_chain_t *chain)
{
    return !moe_chain_rounds(chain, MOE_ROUNDING_dispatch) ||
           moe_storage_equal(&chain->at[MOE_ROLE_dispatch],
                             &chain->at[MOE_ROLE_hidden]) ||
           moe_storage_equal(&chain->at[MOE_ROLE_dispatch],
                             &chain->at[MOE_ROLE_expert_in]);
}

static bool point_alike(const moe_chain_t *a, const moe_chain_t *b,
                        moe_rounding_t point)
{
    moe_role_t role = moe_rounding_role(point);
    bool rounds = moe_chain_rounds(a, point);

    return rounds == moe_chain_rounds(b, point) &&
           (!rounds || moe_storage_equal(&a->at[role], &b->at[role]));
}

bool moe_chain_rounds_alike(const moe_chain_t *a, const moe_chain_t *b)
{
    if (a->numerics != MOE_NUMERICS_exact ||
        b->numerics != MOE_NUMERICS_exact || a->weights != b->weights ||
        !moe_storage_equal(&a->at[MOE_ROLE_hidden], &b->at[MOE_ROLE_hidden]) ||
        moe_contract_computes(&a->contract) !=
            moe_contract_computes(&b->contract)) {
        return false;
    }
    for (int i = 0; i < MOE_ROUNDING_COUNT; i++) {
        if (i != MOE_ROUNDING_dispatch &&
            !point_alike(a, b, (moe_rounding_t)i)) {
            return false;
        }
    }
    return point_alike(a, b, MOE_ROUNDING_dispatch) ||
           (dispatch_is_clear(a) && dispatch_is_clear(b));
}
