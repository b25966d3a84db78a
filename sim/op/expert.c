/* SPDX-License-Identifier: Apache-2.0 */
/* grouped-matmul and activation. */
#include "sim/op/expert.h"

#include "ref/activation.h"
#include "ref/formats.h"

/* Decode scales of an argument: one, or one an expert; 1 where the format has
 * none, and then a tensor of them is a mistake. */
static const float *decode_scales(moe_tool_job_t *job, const char *arg,
                                  moe_format_t format, int64_t experts,
                                  int64_t *n_p)
{
    char name[MOE_NAME_MAX];
    const moe_safetensor_t *t;

    *n_p = 0;
    (void)snprintf(name, sizeof(name), "%s.decode_scale", arg);
    if (!moe_format_info(format)->has_global) {
        moe_tool_no_global(job, name, format);
        return NULL;
    }
    t = moe_tool_find(job, name, true, "F32, the number that decodes");
    if (t == NULL) {
        return NULL;
    }
    *n_p = t->size_bytes / 4;
    if (t->dtype != MOE_DTYPE_fp32 || (*n_p != 1 && *n_p != experts)) {
        moe_tool_refuse(job, t, "F32, one element or one an expert");
        return NULL;
    }
    return moe_tool_data(job, name, MOE_DTYPE_fp32, -1, true);
}

/* A storage whose global scale is that of decoding: the direction of a
 * profile that takes it so. */
static moe_storage_t decoding(moe_format_t format, const float *scale)
{
    moe_storage_t storage = {.format = format,
                             .profile = moe_profile_default(format)};

    if (scale != NULL) {
        storage.profile = MOE_PROFILE_torchao_nvfp4;
        storage.global_scale = *scale;
    }
    return storage;
}

bool moe_tool_weights(moe_tool_job_t *job, const char *arg, moe_format_t format,
                      int64_t cols, moe_tool_weights_t *weights_p)
{
    moe_tool_weights_t w = {.experts = 0};
    const moe_storage_t plain = {.format = format};
    const moe_safetensor_t *t =
        moe_tool_find(job, arg, true, "weights [experts][N][K]");
    const float *scale;
    int64_t n_scales;
    moe_rows_t all;

    if (t == NULL) {
        return false;
    }
    if (t->ndim != 3) {
        moe_tool_refuse(job, t, "weights [experts][N][K]");
        return false;
    }
    if (!moe_tool_rows(job, arg, &plain, -1, cols, true, &all)) {
        return false;
    }
    w.experts = t->dim[0];
    w.format = all.storage.format;
    scale = decode_scales(job, arg, format, w.experts, &n_scales);
    w.expert = moe_tool_memory(job, w.experts, sizeof(*w.expert));
    for (int64_t e = 0; w.expert != NULL && e < w.experts; e++) {
        const int64_t row = e * t->dim[1];
        moe_rows_t *one = &w.expert[e];

        *one = all;
        one->storage = decoding(
            w.format, scale != NULL ? &scale[n_scales > 1 ? e : 0] : NULL);
        one->rows = t->dim[1];
        one->codes = moe_rows_codes(&all, row);
        if (all.scales != NULL) {
            one->scales =
                (uint8_t *)all.scales + row * moe_rows_scale_bytes(&all);
        }
    }
    *weights_p = w;
    return moe_tool_good(job);
}

/* First rows of the experts: from 0 on, ascending, to the rows of x. */
static const int64_t *offsets(moe_tool_job_t *job, int64_t experts,
                              int64_t rows)
{
    int64_t n;
    const int64_t *offset = moe_tool_integers(job, "offset", experts + 1, &n);
    char expected[96];

    for (int64_t e = 0; offset != NULL && e <= experts; e++) {
        const int64_t low = e == experts ? rows : e > 0 ? offset[e - 1] : 0;
        const int64_t high = e == 0 ? 0 : rows;

        if (offset[e] < low || offset[e] > high) {
            (void)snprintf(expected, sizeof(expected),
                           "%lld to %lld: 0, .., rows of x, ascending",
                           (long long)low, (long long)high);
            moe_tool_refuse_value(job, moe_tool_find(job, "offset", false, ""),
                                  e, offset[e], expected);
            return NULL;
        }
    }
    return offset;
}

static moe_format_t weights_format(moe_tool_job_t *job, moe_format_t standard)
{
    return moe_tool_format(job, "weights", moe_tool_setting(job, "weights"),
                           standard);
}

void moe_tool_grouped_matmul(moe_tool_job_t *job)
{
    const moe_format_t from =
        moe_tool_format(job, "--from", job->command->from, MOE_FORMAT_bf16);
    const moe_storage_t plain = {.format = from};
    const moe_storage_t to = {
        .format =
            moe_tool_format(job, "--to", job->command->to, MOE_FORMAT_bf16)};
    const moe_format_t format = weights_format(job, from);
    moe_ref_weights_t weights = {.weight = MOE_W2, .format = format};
    moe_tool_weights_t w = {0};
    const int64_t *offset;
    const float *scale;
    int64_t n_scales;
    moe_rows_t x;
    moe_rows_t out;

    if (!moe_tool_rows(job, "x", &plain, -1, -1, true, &x) ||
        !moe_tool_weights(job, "w", format, x.cols, &w)) {
        return;
    }
    scale = decode_scales(job, "x", from, 1, &n_scales);
    x.storage = decoding(x.storage.format, scale);
    offset = offsets(job, w.experts, x.rows);
    weights.format = w.format;
    weights.given = w.expert;
    if (w.experts == 0) {
        moe_tool_wrong(job, "w", "has no expert");
    } else {
        weights.bias = moe_tool_data(job, "bias", MOE_DTYPE_fp32,
                                     w.experts * w.expert[0].rows, false);
    }
    if (moe_tool_good(job) &&
        moe_tool_rows_new(job, &to, x.rows, w.expert[0].rows, &out)) {
        job->status = moe_ref_grouped_matmul(&weights, &x, offset, w.experts,
                                             &out, &(moe_ref_stats_t){0});
        moe_tool_put_rows(job, "out", &out, NULL);
    }
}

static const char *activation_name(int i)
{
    return moe_activation_name((moe_activation_t)i);
}

static const char *gate_up_name(int i)
{
    return moe_gate_up_name((moe_gate_up_t)i);
}

void moe_tool_activation(moe_tool_job_t *job)
{
    const moe_storage_t any = {.format = MOE_FORMAT_fp32};
    const moe_ref_gate_t gate = {
        (moe_activation_t)moe_tool_choice(
            job, "activation", MOE_ACTIVATION_COUNT, activation_name, 0),
        (moe_gate_up_t)moe_tool_choice(job, "gate_up", MOE_GATE_UP_COUNT,
                                       gate_up_name, 0)};
    moe_storage_t to = any;
    moe_rows_t x;
    moe_rows_t out;

    if (!moe_tool_rows(job, "x", &any, -1, -1, true, &x)) {
        return;
    }
    to.format =
        moe_tool_format(job, "--to", job->command->to, x.storage.format);
    if (!moe_format_is_float(to.format)) {
        moe_tool_wrong(job, "--to", "is %s, expected bf16, fp16 or fp32",
                       moe_format_name(to.format));
    }
    if (x.cols % 2 != 0) {
        moe_tool_refuse(job, moe_tool_find(job, "x", false, ""),
                        "gate and up: an even number of columns");
    }
    if (moe_tool_good(job) &&
        moe_tool_rows_new(job, &to, x.rows, x.cols / 2, &out)) {
        job->status = moe_ref_activate(gate, &x, &out, &(moe_ref_stats_t){0});
        moe_tool_put_rows(job, "out", &out, moe_tool_find(job, "x", false, ""));
    }
}
