/* SPDX-License-Identifier: Apache-2.0 */
/* Codes of another profile of the format, or of a block's multiplier that was
 * computed in another way: a last bit of it sends every half the same way, as
 * roundings that are not to even do. */
#include "ref/fault_inside.h"

#include "ref/formats.h"
#include "ref/quantize.h"

#include <math.h>

static const char *const ways[MOE_FAULT_MULTIPLIERS] = {
    "by a multiplier a last bit larger",
    "by a multiplier a last bit smaller",
    "by a quotient with the scales",
    "by the scales' rounded reciprocal",
    "by the global scale, then the block's",
    "by a rounded quotient of the scales",
};

const char *moe_fault_variant_text(moe_fault_kind_t kind, int variant)
{
    if (kind != MOE_FAULT_other_profile || variant < 0) {
        return "";
    }
    return variant < MOE_FAULT_MULTIPLIERS
               ? ways[variant]
               : moe_profile_name(
                     (moe_profile_t)(variant - MOE_FAULT_MULTIPLIERS));
}

static moe_profile_t profile_of(int variant)
{
    return (moe_profile_t)(variant - MOE_FAULT_MULTIPLIERS);
}

/* Powers of two multiply exactly, and their rules are mistakes of their own. */
bool moe_ref_fault_has_profile(const moe_storage_t *storage, int variant)
{
    const moe_format_info_t *info = moe_format_info(storage->format);

    if (info->scale == MOE_DTYPE_e8m0 || info->code == MOE_DTYPE_log10) {
        return false;
    }
    if (variant < MOE_FAULT_MULTIPLIERS) {
        /* the last two are of a global one */
        return variant < MOE_FAULT_MULTIPLIERS - 2 || info->has_global;
    }
    return profile_of(variant) != storage->profile &&
           profile_of(variant) != MOE_PROFILE_none &&
           moe_profile_format(profile_of(variant)) == storage->format;
}

double moe_ref_fault_multiply_by(int variant, double x, double scale,
                                 double decode, double encode)
{
    const float reciprocal = (float)(1.0 / (scale * decode));

    switch (variant) {
    case 0:
        return (double)(float)(x * (double)nextafterf(reciprocal, INFINITY));
    case 1:
        return (double)(float)(x * (double)nextafterf(reciprocal, 0.0f));
    case 2:
        return (double)(float)(x / (scale * decode));
    case 3:
        return (double)(float)(x * (double)reciprocal);
    case 4:
        return (double)(float)(x * encode / scale);
    default:
        return (double)(float)(x * (double)(float)(encode / scale));
    }
}

/* The same global scale, as the profile takes it. */
static float global_of(const moe_storage_t *storage, moe_profile_t profile)
{
    const moe_global_t own = moe_profile_info(storage->profile)->global;

    return moe_profile_info(profile)->global == own
               ? storage->global_scale
               : 1.0f / storage->global_scale;
}

bool moe_ref_fault_is_profile(const moe_ref_layer_t *layer)
{
    return layer->fault.kind == MOE_FAULT_other_profile &&
           layer->fault.variant >= MOE_FAULT_MULTIPLIERS;
}

moe_status_t moe_ref_fault_profile(const moe_ref_layer_t *layer,
                                   const moe_rows_t *src, const moe_rows_t *out)
{
    moe_rows_t other = *out;
    moe_status_t status;

    other.storage.profile = profile_of(layer->fault.variant);
    other.storage.global_scale =
        global_of(&out->storage, other.storage.profile);
    status = moe_ref_quantize(src, &other);
    if (status != MOE_OK && status != MOE_ERR_NOMEM) {
        moe_error_clear();
        status = moe_ref_fault_none(layer); /* its table is not here */
    }
    return status;
}
