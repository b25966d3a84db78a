/* SPDX-License-Identifier: Apache-2.0 */
/* quantize, dequantize, global-scale, swizzle, unswizzle. */
#include "sim/op/op.h"

#include "ref/formats.h"
#include "ref/moeref.h"
#include "ref/quantize.h"
#include "ref/swizzle.h"

#include <math.h>

/* A float tensor as rows; what format it is, the file says. */
static bool float_rows(moe_tool_job_t *job, const char *arg, moe_rows_t *rows)
{
    const moe_storage_t any = {.format = MOE_FORMAT_fp32};

    return moe_tool_rows(job, arg, &any, -1, -1, true, rows);
}

/* A block format that rows are quantised to or from. */
static moe_format_t coded_format(moe_tool_job_t *job, const char *option,
                                 const char *given)
{
    const size_t before = moe_diag_count(job->diag);
    moe_format_t format = moe_tool_format(job, option, given, MOE_FORMAT_COUNT);

    if (moe_diag_count(job->diag) == before && !moe_format_is_coded(format)) {
        moe_tool_wrong(job, option, "is %s, expected a format with scales",
                       moe_format_name(format));
    }
    return format;
}

/* Whole blocks only. */
static void check_blocks(moe_tool_job_t *job, const char *arg,
                         moe_format_t format, int64_t cols)
{
    if (!moe_format_fits(format, cols)) {
        moe_diag_add(job->diag, job->path, 0, 0, moe_tool_name(job, arg),
                     "has rows of %lld elements, expected a multiple of %d "
                     "for %s",
                     (long long)cols, moe_format_info(format)->block,
                     moe_format_name(format));
    }
}

void moe_tool_quantize(moe_tool_job_t *job)
{
    const moe_format_t format = coded_format(job, "--to", job->command->to);
    const moe_storage_t storage = moe_tool_storage(job, format);
    moe_rows_t x;
    moe_rows_t y;

    if (float_rows(job, "x", &x)) {
        check_blocks(job, "x", format, x.cols);
    }
    if (!moe_tool_good(job) ||
        !moe_tool_rows_new(job, &storage, x.rows, x.cols, &y)) {
        return;
    }
    job->status = moe_ref_quantize(&x, &y);
    moe_tool_put_rows(job, "y", &y, moe_tool_find(job, "x", false, ""));
}

void moe_tool_dequantize(moe_tool_job_t *job)
{
    const moe_format_t from = coded_format(job, "--from", job->command->from);
    const moe_format_t to =
        moe_tool_format(job, "--to", job->command->to, MOE_FORMAT_bf16);
    const moe_storage_t source = moe_tool_storage(job, from);
    const moe_storage_t storage = {.format = to};
    moe_rows_t x;
    moe_rows_t y;

    if (!moe_format_is_float(to)) {
        moe_tool_wrong(job, "--to", "is %s, expected bf16, fp16 or fp32",
                       moe_format_name(to));
    }
    if (moe_tool_rows(job, "y", &source, -1, -1, true, &y)) {
        check_blocks(job, "y", from, y.cols);
    }
    if (!moe_tool_good(job) ||
        !moe_tool_rows_new(job, &storage, y.rows, y.cols, &x)) {
        return;
    }
    job->status = moe_ref_dequantize(&y, &x);
    moe_tool_put_rows(job, "x", &x, moe_tool_find(job, "y", false, ""));
}

void moe_tool_global_scale(moe_tool_job_t *job)
{
    const moe_format_t format = coded_format(job, "--to", job->command->to);
    const char *word = moe_tool_setting(job, "precision.profile");
    moe_storage_t storage = {.format = format};
    float *out = moe_tool_memory(job, 2, sizeof(*out));
    moe_rows_t x;

    if (!moe_format_info(format)->has_global) {
        moe_tool_wrong(job, "--to",
                       "is %s, expected a format with a global scale",
                       moe_format_name(format));
    }
    if (word != NULL && !moe_profile_find(word, format, &storage.profile)) {
        moe_tool_wrong(job, "--profile", "is '%s', expected a profile of %s",
                       word, moe_format_name(format));
    }
    if (!float_rows(job, "x", &x) || !moe_tool_good(job)) {
        return;
    }
    for (int64_t i = 0; i < x.rows * x.cols; i++) {
        double a = fabs(moe_rows_value(&x, i / x.cols, i % x.cols));

        out[1] = a > (double)out[1] || isnan(a) ? (float)a : out[1];
    }
    if (isnan(out[1])) {
        moe_tool_wrong(job, "x", "has NaN, expected numbers");
        return;
    }
    if (storage.profile == MOE_PROFILE_none) {
        storage.profile = moe_profile_default(format);
    }
    out[0] = moeref_global_scale((moeref_profile_t)storage.profile, out[1]);
    moe_tool_put_list(job, "global_scale", MOE_DTYPE_fp32, 1, out);
    moe_tool_put_list(job, "amax", MOE_DTYPE_fp32, 1, out + 1);
}

static const char *tiles_name(int i)
{
    return moe_scale_layout_name((moe_scale_layout_t)(i + MOE_SCALES_128x4));
}

static moe_scale_layout_t tiles(moe_tool_job_t *job)
{
    return (
        moe_scale_layout_t)(MOE_SCALES_128x4 +
                            moe_tool_choice(job, "layout",
                                            MOE_SCALES_COUNT - MOE_SCALES_128x4,
                                            tiles_name, 0));
}

/* Rows and blocks of one-byte scales; NULL if they are none. */
static const moe_safetensor_t *scales(moe_tool_job_t *job, const char *arg)
{
    const char *expected = "one-byte scales [rows][blocks]";
    const moe_safetensor_t *t = moe_tool_find(job, arg, true, expected);

    if (t != NULL && (t->ndim != 2 || moe_dtype_bits(t->dtype) != 8)) {
        moe_tool_refuse(job, t, expected);
        return NULL;
    }
    return t;
}

/* Rows and blocks that a layout pads to. */
static void padded(moe_scale_layout_t layout, const int64_t *dim, int64_t *out)
{
    const int64_t tile = layout == MOE_SCALES_128x4 ? 128 : 8;

    out[0] = (dim[0] + tile - 1) / tile * tile;
    out[1] = (dim[1] + 3) / 4 * 4;
}

void moe_tool_swizzle(moe_tool_job_t *job)
{
    const moe_scale_layout_t layout = tiles(job);
    const moe_safetensor_t *t = scales(job, "scale");
    int64_t dim[2];
    const uint8_t *linear;
    uint8_t *tiled;

    if (t == NULL || !moe_tool_good(job)) {
        return;
    }
    padded(layout, t->dim, dim);
    linear = moe_tool_data(job, "scale", t->dtype, -1, true);
    tiled =
        moe_tool_memory(job, moe_scales_bytes(layout, t->dim[0], t->dim[1]), 1);
    if (moe_tool_good(job)) {
        moe_scales_swizzle(layout, t->dim[0], t->dim[1], linear, tiled);
        moe_tool_put(job, "swizzled", t->dtype, 2, dim, tiled);
    }
}

void moe_tool_unswizzle(moe_tool_job_t *job)
{
    const moe_scale_layout_t layout = tiles(job);
    const moe_safetensor_t *t = scales(job, "swizzled");
    const int64_t rows = t != NULL ? t->dim[0] : 0;
    const int64_t blocks = t != NULL ? t->dim[1] : 0;
    const int64_t dim[2] = {moe_tool_number(job, "rows", 0, rows, rows),
                            moe_tool_number(job, "blocks", 0, blocks, blocks)};
    int64_t want[2];
    const uint8_t *tiled;
    uint8_t *linear;

    padded(layout, dim, want);
    if (t != NULL && moe_tool_good(job) &&
        (want[0] != rows || want[1] != blocks)) {
        char expected[96];

        (void)snprintf(expected, sizeof(expected),
                       "[%lld][%lld]: %lld x %lld scales padded to tiles",
                       (long long)want[0], (long long)want[1],
                       (long long)dim[0], (long long)dim[1]);
        moe_tool_refuse(job, t, expected);
    }
    if (t == NULL || !moe_tool_good(job)) {
        return;
    }
    tiled = moe_tool_data(job, "swizzled", t->dtype, -1, true);
    linear = moe_tool_memory(job, dim[0], dim[1]);
    if (moe_tool_good(job)) {
        moe_scales_unswizzle(layout, dim[0], dim[1], tiled, linear);
        moe_tool_put(job, "scale", t->dtype, 2, dim, linear);
    }
}
