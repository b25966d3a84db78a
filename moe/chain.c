/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/chain.h"

#include "moe/model.h"
#include "moe/tensor.h"

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

static const char *const scores[MOE_SCORE_COUNT] = {
#define MOE_SCORE(id, text) [MOE_SCORE_##id] = #id,
#include "moe/score.def"
#undef MOE_SCORE
};

const char *moe_score_name(moe_score_t score)
{
    return (unsigned)score < MOE_SCORE_COUNT ? scores[score] : "?";
}

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

const char *moe_scale_layout_name(moe_scale_layout_t layout)
{
    static const char *const names[MOE_SCALES_COUNT] = {"linear", "128x4",
                                                        "8x4"};

    return (unsigned)layout < MOE_SCALES_COUNT ? names[layout] : "?";
}

int64_t moe_tensor_row_bytes(const moe_tensor_t *t, int64_t n)
{
    return n * moe_dtype_bytes(t->dtype, t->dim[1]);
}
