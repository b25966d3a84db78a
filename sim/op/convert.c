/* SPDX-License-Identifier: Apache-2.0 */
/* convert: fp32 to codes of an element type, and back. */
#include "sim/op/op.h"

#include "ref/elements.h"

/* The conversion that --to or --from names. */
static const moe_conversion_info_t *find(moe_tool_job_t *job,
                                         const char *option, const char *name)
{
    moe_conversion_t conversion = MOE_CONVERSION_bf16;

    if (!moe_conversion_find(name, &conversion)) {
        moe_tool_wrong(job, option,
                       "is '%s', expected one of 'list conversions'", name);
    }
    return moe_conversion_info(conversion);
}

/* Bytes of a code as it is kept: one code an element. */
static bool is_wide(const moe_conversion_info_t *info)
{
    return moe_dtype_bits(info->dtype) == 16;
}

static void encode(moe_tool_job_t *job)
{
    const moe_conversion_info_t *info = find(job, "--to", job->command->to);
    const float *x = moe_tool_data(job, "x", MOE_DTYPE_fp32, -1, true);
    const moe_safetensor_t *t = moe_tool_find(job, "x", false, "");
    int64_t n = t != NULL ? t->size_bytes / 4 : 0;
    uint8_t *bytes = moe_tool_memory(job, n, is_wide(info) ? 2 : 1);
    uint16_t *words = (uint16_t *)(void *)bytes;

    if (!moe_tool_good(job)) {
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (is_wide(info)) {
            words[i] = (uint16_t)info->encode(x[i]);
        } else {
            bytes[i] = (uint8_t)info->encode(x[i]);
        }
    }
    moe_tool_put(job, "y", is_wide(info) ? MOE_DTYPE_u16 : MOE_DTYPE_u8,
                 t->ndim, t->dim, bytes);
}

/* True if a tensor's elements are codes of the type, one each. */
static bool holds(const moe_safetensor_t *t, const moe_conversion_info_t *info)
{
    return t->dtype == (is_wide(info) ? MOE_DTYPE_u16 : MOE_DTYPE_u8) ||
           (t->dtype == info->dtype && moe_dtype_bits(t->dtype) >= 8);
}

static void decode(moe_tool_job_t *job)
{
    const moe_conversion_info_t *info = find(job, "--from", job->command->from);
    const char *expected = is_wide(info) ? "codes as U16, or the type itself"
                                         : "codes as U8, or the type itself";
    const moe_safetensor_t *t = moe_tool_find(job, "x", true, expected);
    const uint8_t *bytes;
    const uint16_t *words;
    int64_t n;
    float *y;

    if (t != NULL && !holds(t, info)) {
        moe_tool_refuse(job, t, expected);
    }
    if (!moe_tool_good(job)) {
        return;
    }
    bytes = moe_tool_data(job, "x", t->dtype, -1, true);
    words = (const uint16_t *)(const void *)bytes;
    n = t->size_bytes / (is_wide(info) ? 2 : 1);
    y = moe_tool_memory(job, n, sizeof(*y));
    if (!moe_tool_good(job)) {
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        y[i] = info->decode(is_wide(info) ? words[i] : bytes[i]);
    }
    moe_tool_put(job, "y", MOE_DTYPE_fp32, t->ndim, t->dim, y);
}

void moe_tool_convert(moe_tool_job_t *job)
{
    const moe_command_t *c = job->command;

    if ((c->to != NULL) == (c->from != NULL)) {
        moe_tool_wrong(job, "--to",
                       "expected either --to TYPE, from F32, or "
                       "--from TYPE, to F32");
    } else if (c->to != NULL) {
        encode(job);
    } else {
        decode(job);
    }
}
