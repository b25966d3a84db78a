/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/chain.h"

/* Largest E4M3 times largest E2M1. */
#define NVFP4_RANGE (448.0f * 6.0f)

static const struct {
    const char *name;
    moe_format_t format;
    const char *text;
} profiles[MOE_PROFILE_COUNT] = {
#define MOE_PROFILE(id, name, format, text)                                    \
    [MOE_PROFILE_##id] = {name, MOE_FORMAT_##format, text},
#include "moe/profile.def"
#undef MOE_PROFILE
};

const char *moe_profile_name(moe_profile_t profile)
{
    return (unsigned)profile < MOE_PROFILE_COUNT ? profiles[profile].name : "?";
}

const char *moe_profile_text(moe_profile_t profile)
{
    return (unsigned)profile < MOE_PROFILE_COUNT ? profiles[profile].text : "?";
}

moe_format_t moe_profile_format(moe_profile_t profile)
{
    return profiles[profile].format;
}

moe_profile_t moe_profile_default(moe_format_t format)
{
    for (int i = MOE_PROFILE_none + 1; i < MOE_PROFILE_COUNT; i++) {
        if (profiles[i].format == format) {
            return (moe_profile_t)i;
        }
    }
    return MOE_PROFILE_none;
}

void moe_storage_default(moe_storage_t *storage, float bound)
{
    if (storage->profile == MOE_PROFILE_none) {
        storage->profile = moe_profile_default(storage->format);
    }
    if (!moe_format_info(storage->format)->has_global) {
        storage->global_scale = 0.0f;
    } else if (!(storage->global_scale > 0.0f)) {
        storage->global_scale = NVFP4_RANGE / bound;
    }
}

bool moe_storage_equal(const moe_storage_t *a, const moe_storage_t *b)
{
    return a->format == b->format && a->profile == b->profile &&
           !(a->global_scale < b->global_scale) &&
           !(a->global_scale > b->global_scale);
}

/* Dispatch rounds nothing that expert_in would not round the same way. */
static bool dispatch_is_clear(const moe_chain_t *chain)
{
    return moe_storage_equal(&chain->at[MOE_ROLE_dispatch],
                             &chain->at[MOE_ROLE_hidden]) ||
           moe_storage_equal(&chain->at[MOE_ROLE_dispatch],
                             &chain->at[MOE_ROLE_expert_in]);
}

bool moe_chain_rounds_alike(const moe_chain_t *a, const moe_chain_t *b)
{
    for (int i = 0; i < MOE_ROLE_COUNT; i++) {
        if (i != MOE_ROLE_dispatch && i != MOE_ROLE_combine &&
            !moe_storage_equal(&a->at[i], &b->at[i])) {
            return false;
        }
    }
    return moe_storage_equal(&a->at[MOE_ROLE_dispatch],
                             &b->at[MOE_ROLE_dispatch]) ||
           (dispatch_is_clear(a) && dispatch_is_clear(b));
}
