/* SPDX-License-Identifier: Apache-2.0 */
/* One rank's file of a golden folder. Shapes are declared first; tensors are
 * made one after the other and dropped when the next is made of them. */
#include "sim/golden/golden.h"

#include "ref/formats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOKENS = 1024 /* of the output that are computed at a time */
};

/* Partial sums of a run that rounds its own way are the run's, or nobody's. */
static bool has_sums(const moe_golden_job_t *job)
{
    const moe_storage_t *storage =
        &job->scenario->layer.chain.at[MOE_ROLE_combine];

    if (job->tap == NULL || moe_golden_tap_is_plain(job->tap)) {
        return true;
    }
    return job->ranks != NULL /* the manifest: the tap has ended */
               ? (job->held_here >> MOE_ROLE_combine & 1) != 0
               : moe_golden_tap_rules(job->tap, MOE_ROLE_combine, storage);
}

/* A run whose ranks have parts of I has no whole rows of an expert; one that
 * weighs fp32 sums has none as the layer rounds them. */
static bool has_rows(const moe_golden_job_t *job)
{
    const moe_chain_t *own = job->tap == NULL ? NULL : &job->tap->use->chain;
    const int at = MOE_ROLE_gemm2_out;

    return own == NULL ||
           ((own->contract.points & MOE_ROUND(gemm2_out)) != 0 &&
            moe_storage_equal(&own->at[at],
                              &job->scenario->layer.chain.at[at]));
}

/* No file has a format for numbers that are not rounded. */
static bool is_rounded(const moe_golden_job_t *job, moe_role_t role)
{
    return job->scenario->layer.chain.at[role].format != MOE_FORMAT_exact;
}

bool moe_golden_wants(const moe_golden_job_t *job, moe_role_t role)
{
    const moe_stage_t stage = role <= MOE_ROLE_dispatch    ? MOE_STAGE_prepare
                              : role == MOE_ROLE_expert_in ? MOE_STAGE_permute
                              : role <= MOE_ROLE_gemm2_out ? MOE_STAGE_experts
                              : role == MOE_ROLE_combine   ? MOE_STAGE_unpermute
                                                           : MOE_STAGE_finalize;

    return (job->command->stages & 1u << stage) != 0 && is_rounded(job, role) &&
           (role != MOE_ROLE_combine || has_sums(job)) &&
           (role != MOE_ROLE_gemm2_out || has_rows(job));
}

void moe_golden_put(moe_golden_file_t *f, const void *data, int64_t size)
{
    if (f->status == MOE_OK) {
        f->status = moe_safetensors_put(f->out, data, size);
    }
}

static moe_ref_case_t case_of(const moe_golden_file_t *f, moe_range_t tokens,
                              moe_range_t experts)
{
    return moe_layer_case(f->job->scenario, f->job->dispatch, tokens, experts);
}

static moe_storage_t storage_of(const moe_golden_file_t *f, moe_role_t role)
{
    const moe_range_t none = {0, 0};
    moe_ref_layer_t layer = {.about = case_of(f, none, none)};

    return moe_ref_layer_storage(&layer, role);
}

static void declare_place(moe_golden_file_t *f, moe_role_t role)
{
    const moe_storage_t storage = storage_of(f, role);
    const moe_format_info_t *info = moe_format_info(storage.format);
    const moe_range_t none = {0, 0};
    moe_ref_layer_t layer = {.about = case_of(f, none, none)};
    const int64_t one = 1;
    int64_t dim[2];
    char name[64];

    (void)moe_ref_layer_shape(&layer, role, &dim[0], &dim[1]);
    dim[0] = moe_ref_layer_is_paired(role) ? f->share->pairs
             : role == MOE_ROLE_combine
                 ? f->share->all_tokens.end - f->share->all_tokens.begin
                 : f->share->tokens.end - f->share->tokens.begin;
    moe_golden_declare(f, moe_role_name(role), info->code, 2, dim);
    if (moe_format_is_float(storage.format)) {
        moe_golden_declare_bound(f, moe_role_name(role), 2, dim);
    }
    dim[1] = moe_format_scale_cols(storage.format, dim[1]);
    if (dim[1] > 0) {
        (void)snprintf(name, sizeof(name), "%s.scale", moe_role_name(role));
        moe_golden_declare(f, name, info->scale, 2, dim);
    }
    if (info->has_global) {
        (void)snprintf(name, sizeof(name), "%s.decode_scale",
                       moe_role_name(role));
        moe_golden_declare(f, name, MOE_DTYPE_fp32, 1, &one);
    }
}

void moe_golden_put_rows(moe_golden_file_t *f, const moe_rows_t *rows,
                         bool scales)
{
    if (!scales) {
        moe_golden_put(f, rows->codes, rows->rows * moe_rows_code_bytes(rows));
    } else if (moe_rows_scale_bytes(rows) > 0) {
        moe_golden_put(f, rows->scales,
                       rows->rows * moe_rows_scale_bytes(rows));
    }
}

/* The rows of a place that are written: those of the layer, to which a run's
 * are equal, or a run's own. First is the run's row of the layer's first. */
static moe_rows_t answer(moe_golden_file_t *f, const moe_ref_layer_t *layer,
                         moe_role_t role, int64_t first)
{
    moe_golden_tap_t *tap = f->job->tap;
    moe_rows_t rows = layer->at[role];

    if (tap == NULL) {
        return rows;
    }
    f->status = moe_golden_tap_hold(tap, layer, role, first);
    if (moe_golden_tap_rules(tap, role, &rows.storage)) {
        rows.codes = moe_rows_codes(&tap->at[role], first);
    }
    return rows;
}

/* Make a place and write it. */
static void put_place(moe_golden_file_t *f, moe_ref_layer_t *layer,
                      moe_role_t role)
{
    moe_rows_t rows;
    float decode;

    if (f->status == MOE_OK) {
        f->status = moe_ref_layer_make(layer, role);
    }
    if (f->status != MOE_OK) {
        return;
    }
    rows = answer(f, layer, role, 0);
    moe_golden_put_rows(f, &rows, false);
    if (moe_format_is_float(layer->at[role].storage.format)) {
        moe_golden_put_bound(f, layer, role);
    }
    moe_golden_put_rows(f, &layer->at[role], true);
    if (moe_format_info(layer->at[role].storage.format)->has_global) {
        decode = moe_storage_decode(&layer->at[role].storage);
        moe_golden_put(f, &decode, sizeof(decode));
    }
}

void moe_golden_open(moe_golden_file_t *f, moe_range_t tokens,
                     moe_range_t experts, moe_ref_layer_t *layer,
                     moe_layer_feed_t *feed)
{
    const moe_ref_case_t about = case_of(f, tokens, experts);
    const moe_routing_t *all = &f->job->routing;
    const int topk = about.model->topk;
    const int64_t first = tokens.begin * topk;
    moe_rows_t ids = {.storage = {.format = MOE_FORMAT_i32},
                      .rows = tokens.end - tokens.begin,
                      .cols = topk};
    moe_rows_t weights = ids;

    ids.codes = all->ids + first;
    weights.storage.format = MOE_FORMAT_fp32;
    weights.codes = all->weights + first;
    f->status = moe_ref_layer_init(&about, layer);
    if (feed != NULL) {
        *feed = (moe_layer_feed_t){0};
        if (f->status == MOE_OK) {
            f->status = moe_layer_feed(f->job->scenario, layer, feed);
        }
    }
    if (f->status == MOE_OK) {
        f->status = moe_ref_layer_give(layer, MOE_ROLE_topk_ids, &ids);
    }
    if (f->status == MOE_OK) {
        f->status = moe_ref_layer_give(layer, MOE_ROLE_topk_weights, &weights);
    }
}

void moe_golden_close(moe_ref_layer_t *layer, moe_layer_feed_t *feed)
{
    moe_ref_layer_fini(layer);
    if (feed != NULL) {
        moe_layer_feed_fini(feed);
    }
}

/* What belongs to the rank's own tokens, but for the output. */
static void put_own(moe_golden_file_t *f)
{
    const moe_range_t none = {0, 0};
    moe_ref_layer_t layer = {0};
    moe_layer_feed_t feed;

    moe_golden_open(f, f->share->tokens, none, &layer, &feed);
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_dispatch; r++) {
        if (moe_golden_wants(f->job, (moe_role_t)r)) {
            put_place(f, &layer, (moe_role_t)r);
        }
    }
    moe_golden_put_gate(f);
    moe_golden_put_physical_ids(f, &layer);
    moe_golden_close(&layer, &feed);
}

/* What the rank's experts make of all tokens of its group. */
static void put_experts(moe_golden_file_t *f)
{
    moe_ref_layer_t layer = {0};
    moe_rows_t in = {0};

    moe_golden_open(f, f->share->all_tokens, f->share->experts, &layer, NULL);
    if (f->status == MOE_OK && layer.index.n != f->share->pairs) {
        f->status = moe_fail(MOE_ERR_INTERNAL, "pairs were miscounted");
    }
    moe_golden_put_names(f, &layer);
    moe_golden_gather(f, &layer, &in);
    for (int r = MOE_ROLE_expert_in; r <= MOE_ROLE_combine; r++) {
        if (moe_golden_wants(f->job, (moe_role_t)r)) {
            put_place(f, &layer, (moe_role_t)r);
            moe_ref_layer_drop(&layer, (moe_role_t)(r - 1));
        }
        if (!layer.held[MOE_ROLE_expert_in]) {
            moe_ref_rows_free(&in);
        }
    }
    moe_golden_close(&layer, NULL);
    moe_ref_rows_free(&in);
}

/* Values, or bounds, of the output of the own tokens, some at a time. */
static void put_output(moe_golden_file_t *f, bool bounds)
{
    const moe_range_t experts = {0, f->job->layer.model->experts};
    const moe_range_t own = f->share->tokens;

    if (f->job->tap != NULL && own.begin == own.end) {
        f->job->tap->held |= 1u << MOE_ROLE_output; /* there is none */
    }
    for (int64_t t = own.begin; f->status == MOE_OK && t < own.end;
         t += TOKENS) {
        const moe_range_t some = {t,
                                  t + TOKENS < own.end ? t + TOKENS : own.end};
        moe_ref_layer_t layer = {0};
        moe_layer_feed_t feed;

        moe_golden_open(f, some, experts, &layer, &feed);
        if (f->status == MOE_OK) {
            f->status = moe_ref_layer_make(&layer, MOE_ROLE_output);
        }
        if (f->status == MOE_OK && bounds) {
            moe_golden_put_bound(f, &layer, MOE_ROLE_output);
        } else if (f->status == MOE_OK) {
            moe_rows_t rows = answer(f, &layer, MOE_ROLE_output, t - own.begin);

            moe_golden_put_rows(f, &rows, false);
        }
        moe_golden_close(&layer, &feed);
    }
}

static void declare_all(moe_golden_file_t *f)
{
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_dispatch; r++) {
        if (moe_golden_wants(f->job, (moe_role_t)r)) {
            declare_place(f, (moe_role_t)r);
        }
    }
    moe_golden_declare_gate(f);
    moe_golden_declare_physical_ids(f);
    moe_golden_declare_names(f);
    for (int r = MOE_ROLE_expert_in; r <= MOE_ROLE_output; r++) {
        if (moe_golden_wants(f->job, (moe_role_t)r)) {
            declare_place(f, (moe_role_t)r);
        }
    }
    moe_golden_declare_weights(f);
    moe_golden_declare_biases(f);
}

moe_status_t moe_golden_rank(moe_golden_job_t *job,
                             const moe_golden_share_t *share, const char *path)
{
    moe_golden_file_t f = {.job = job, .share = share};

    f.status = moe_safetensors_create(path, &f.out);
    if (f.status == MOE_OK) {
        declare_all(&f);
    }
    if (f.status == MOE_OK && path == NULL) {
        int64_t bytes = 0;

        f.status = moe_safetensors_bytes(f.out, &bytes);
        job->bytes += bytes;
    }
    if (path == NULL || f.status != MOE_OK) {
        moe_safetensors_abort(f.out);
        return f.status;
    }
    put_own(&f);
    if (f.status == MOE_OK) {
        put_experts(&f);
    }
    if (moe_golden_wants(job, MOE_ROLE_output)) {
        put_output(&f, false);
        put_output(&f, true);
    }
    moe_golden_put_weights(&f);
    moe_golden_put_biases(&f);
    if (f.status == MOE_OK) {
        return moe_safetensors_commit(f.out);
    }
    moe_safetensors_abort(f.out);
    return f.status;
}
