/* SPDX-License-Identifier: Apache-2.0 */
/* route, permute, unpermute. */
#include "sim/op/forms.h"
#include "sim/op/op.h"

#include "ref/combine.h"
#include "ref/formats.h"
#include "ref/permute.h"
#include "ref/route.h"

#include <stdlib.h>
#include <string.h>

static const char *score_name(int i)
{
    return moe_score_name((moe_score_t)i);
}

static const char *limit_name(int i)
{
    return moe_group_limit_name((moe_group_limit_t)i);
}

static const char *bool_name(int i)
{
    return i != 0 ? "true" : "false";
}

/* Logits are of as many experts as the model has. */
static void check_experts(moe_tool_job_t *job, const moe_model_t *m,
                          const moe_safetensor_t *logits)
{
    char expected[192];

    if (logits != NULL && logits->dim[1] != m->experts) {
        (void)snprintf(expected, sizeof(expected), "F32 [n][%lld] of %s",
                       (long long)m->experts, m->name);
        moe_tool_refuse(job, logits, expected);
    }
}

/* The router: that of --model, changed by settings, or of as many experts as
 * logits have; NULL where these are at fault. */
static moe_model_t router(moe_tool_job_t *job, const moe_safetensor_t *logits)
{
    moe_model_t m = {.experts = logits != NULL ? logits->dim[1] : 1,
                     .n_group = 1,
                     .topk_group = 1,
                     .routed_scaling = 1.0f};
    moe_scenario_t *s;
    bool limited;

    if (moe_tool_setting(job, "model") != NULL) {
        s = moe_tool_scenario(job, 1);
        if (s == NULL) {
            return m;
        }
        m = s->model;
        moe_scenario_free(s);
        check_experts(job, &m, logits);
    } else if (moe_tool_setting(job, "topk") == NULL) {
        moe_tool_wrong(job, "topk",
                       "is missing, expected --set topk=K, or "
                       "--model");
    }
    m.topk = (int)moe_tool_number(job, "topk", 1, MOE_TOPK_MAX, m.topk);
    m.score = (moe_score_t)moe_tool_choice(job, "score", MOE_SCORE_COUNT,
                                           score_name, (int)m.score);
    limited = m.topk_group < m.n_group;
    m.n_group = (int)moe_tool_number(job, "n_group", 1, 4096, m.n_group);
    m.topk_group = (int)moe_tool_number(
        job, "topk_group", 1, m.n_group,
        limited && m.topk_group < m.n_group ? m.topk_group : m.n_group);
    m.group_limit = (moe_group_limit_t)moe_tool_choice(
        job, "group_limit", MOE_GROUP_LIMIT_COUNT, limit_name,
        (int)m.group_limit);
    m.renormalize =
        moe_tool_choice(job, "renormalize", 2, bool_name, m.renormalize) != 0;
    m.routed_scaling =
        moe_tool_positive(job, "routed_scaling", m.routed_scaling);
    return m;
}

static void check_router(moe_tool_job_t *job, const moe_model_t *m)
{
    if (m->experts % m->n_group != 0) {
        moe_tool_wrong(job, "n_group",
                       "is %d, expected a divisor of the %lld "
                       "experts of logits",
                       m->n_group, (long long)m->experts);
    } else if (m->topk > m->experts / m->n_group * m->topk_group) {
        moe_tool_wrong(job, "topk",
                       "is %d, expected at most the %lld experts "
                       "that a token may use",
                       m->topk,
                       (long long)(m->experts / m->n_group * m->topk_group));
    }
}

void moe_tool_route(moe_tool_job_t *job)
{
    const char *expected = "F32 [n][E]";
    const moe_safetensor_t *t = moe_tool_find(job, "logits", true, expected);
    const bool good = t != NULL && t->ndim == 2 && t->dtype == MOE_DTYPE_fp32;
    const moe_model_t named = router(job, good ? t : NULL);
    moe_model_t m = named;
    const float *bias = NULL;
    const float *logits;
    int64_t bad[2];
    int64_t dim[2];
    int32_t *ids;
    float *weights;

    if (t != NULL && !good) {
        moe_tool_refuse(job, t, expected);
    }
    if (good) {
        check_router(job, &m);
        bias = moe_tool_data(job, "bias", MOE_DTYPE_fp32, m.experts, m.bias);
    }
    if (!moe_tool_good(job)) {
        return;
    }
    m.bias = bias != NULL;
    dim[0] = t->dim[0];
    dim[1] = m.topk;
    logits = moe_tool_data(job, "logits", MOE_DTYPE_fp32, -1, true);
    ids = moe_tool_memory(job, dim[0] * dim[1], sizeof(*ids));
    weights = moe_tool_memory(job, dim[0] * dim[1], sizeof(*weights));
    if (!moe_tool_good(job)) {
        return;
    }
    job->status = moe_ref_route(&m, logits, bias, dim[0], ids, weights,
                                &(moe_ref_stats_t){0}, bad);
    if (job->status == MOE_ERR_RANGE && bad[0] >= 0) {
        job->status = MOE_OK;
        moe_diag_add(job->diag, job->path, 0, 0, t->name,
                     "row %lld, expert %lld is NaN, expected numbers",
                     (long long)bad[0], (long long)bad[1]);
        return;
    }
    moe_tool_put(job, "topk_ids", MOE_DTYPE_i32, 2, dim, ids);
    moe_tool_put(job, "topk_weights", MOE_DTYPE_fp32, 2, dim, weights);
}

/* Ids as int32 of so many rows, -1: any, those out of range refused; sets
 * *rows_p and *topk_p. */
static int32_t *read_ids(moe_tool_job_t *job, int64_t rows, int64_t *rows_p,
                         int *topk_p)
{
    const moe_safetensor_t *t =
        moe_tool_find(job, "topk_ids", true, "I32 or I64 [n][k]");
    int64_t n;
    int64_t *wide;
    int32_t *ids;

    if (t == NULL) {
        return NULL;
    }
    if (t->ndim != 2 || (rows >= 0 && t->dim[0] != rows) || t->dim[1] < 1 ||
        t->dim[1] > MOE_TOPK_MAX) {
        moe_tool_refuse(job, t, "I32 or I64 [n][k], n as x has, k at most 64");
        return NULL;
    }
    wide = moe_tool_integers(job, "topk_ids", -1, &n);
    ids = moe_tool_memory(job, n, sizeof(*ids));
    for (int64_t i = 0; wide != NULL && ids != NULL && i < n; i++) {
        if (wide[i] < -1 || wide[i] > INT32_MAX) {
            moe_tool_refuse_value(job, t, i, wide[i],
                                  "expert ids from 0 on, -1 for none");
            return NULL;
        }
        ids[i] = (int32_t)wide[i];
    }
    *rows_p = t->dim[0];
    *topk_p = (int)t->dim[1];
    return wide != NULL ? ids : NULL;
}

/* What an index says, as tensors. */
static void put_index(moe_tool_job_t *job, const moe_ref_index_t *index,
                      int64_t first)
{
    const int64_t dim[2] = {index->source_rows, index->topk};
    const int64_t pairs = dim[0] * dim[1];
    int64_t *offset = moe_tool_memory(job, index->n_experts + 1, 8);
    int64_t *row = moe_tool_memory(job, index->n, 8);
    int64_t *place = moe_tool_memory(job, pairs, 8);
    int32_t *slot = moe_tool_memory(job, index->n, 4);
    int32_t *expert = moe_tool_memory(job, index->n, 4);

    if (!moe_tool_good(job)) {
        return;
    }
    memcpy(offset, index->offset, 8 * (size_t)(index->n_experts + 1));
    memcpy(row, index->row, 8 * (size_t)index->n);
    memcpy(place, index->place, 8 * (size_t)pairs);
    for (int64_t i = 0; i < pairs; i++) {
        if (place[i] >= 0) {
            slot[place[i]] = (int32_t)(i % dim[1]);
        }
    }
    for (int64_t e = 0; e < index->n_experts; e++) {
        for (int64_t i = offset[e]; i < offset[e + 1]; i++) {
            expert[i] = (int32_t)(first + e);
        }
    }
    moe_tool_put_list(job, "offset", MOE_DTYPE_i64, index->n_experts + 1,
                      offset);
    moe_tool_put_list(job, "source_row", MOE_DTYPE_i64, index->n, row);
    moe_tool_put_list(job, "slot", MOE_DTYPE_i32, index->n, slot);
    moe_tool_put_list(job, "expert", MOE_DTYPE_i32, index->n, expert);
    moe_tool_put(job, "place", MOE_DTYPE_i64, 2, dim, place);
}

void moe_tool_permute(moe_tool_job_t *job)
{
    const moe_storage_t storage = {.format = moe_tool_format(job, "--from",
                                                             job->command->from,
                                                             MOE_FORMAT_bf16)};
    const int64_t first = moe_tool_number(job, "first_expert", 0, INT32_MAX, 0);
    const int64_t experts = moe_tool_number(job, "experts", 1, 1 << 24, 0);
    const moe_tool_forms_t forms = moe_tool_forms(job);
    const bool alone = moe_tool_ids_alone(job, &forms);
    moe_ref_index_t index = {0};
    moe_rows_t x;
    moe_rows_t out;
    int64_t rows = 0;
    int topk = 0;
    const bool has_x = moe_tool_rows(job, "x", &storage, -1, -1, !alone, &x);
    const int32_t *ids = read_ids(job, has_x ? x.rows : -1, &rows, &topk);

    if (moe_tool_setting(job, "experts") == NULL) {
        moe_tool_wrong(job, "experts",
                       "is missing, expected --set experts=N, "
                       "how many are here");
    }
    if (!moe_tool_good(job)) {
        return;
    }
    if (forms.capacity > 0) {
        moe_tool_put_capacity(job, &x, ids, topk, first, experts,
                              forms.capacity);
        return;
    }
    job->status = moe_ref_index_init(ids, rows, topk, first, experts, &index);
    if (job->status == MOE_OK && has_x &&
        moe_tool_rows_new(job, &x.storage, index.n, x.cols, &out)) {
        moe_ref_gather_rows(&x, &index, &out);
        moe_tool_put_rows(job, "rows", &out, NULL);
    }
    if (job->status == MOE_OK) {
        put_index(job, &index, first);
        moe_tool_put_forms(job, &forms, &index);
    }
    moe_ref_index_fini(&index);
}

/* An index that says no more than where the rows of pairs are. */
static bool read_place(moe_tool_job_t *job, const moe_rows_t *rows,
                       moe_ref_index_t *index)
{
    const char *expected = "I32 or I64 [n][k] from permute: rows, or -1";
    const moe_safetensor_t *t = moe_tool_find(job, "place", true, expected);
    char places[96];
    int64_t n;

    if (t == NULL) {
        return false;
    }
    if (t->ndim != 2 || t->dim[1] < 1 || t->dim[1] > MOE_TOPK_MAX) {
        moe_tool_refuse(job, t, expected);
        return false;
    }
    *index =
        (moe_ref_index_t){.n = rows->rows,
                          .source_rows = t->dim[0],
                          .topk = (int)t->dim[1],
                          .place = moe_tool_integers(job, "place", -1, &n)};
    (void)snprintf(places, sizeof(places),
                   "one of the %lld rows, from 0 on, or -1 for none",
                   (long long)rows->rows);
    for (int64_t i = 0; index->place != NULL && i < n; i++) {
        if (index->place[i] < -1 || index->place[i] >= rows->rows) {
            moe_tool_refuse_value(job, t, i, index->place[i], places);
            return false;
        }
    }
    return index->place != NULL;
}

/* The exact sums, rounded once. */
static void exact_sums(moe_tool_job_t *job, const moe_ref_terms_t *terms,
                       const moe_rows_t *out)
{
    const moe_format_t format = out->storage.format;
    moe_sum_t *sum = moe_tool_memory(job, out->cols, sizeof(*sum));

    for (int64_t i = 0; sum != NULL && i < out->rows; i++) {
        moe_ref_sum_rows(terms, i, 1, sum);
        for (int64_t c = 0; c < out->cols; c++) {
            double term[MOE_REF_TERMS_MAX];
            uint32_t bits;

            if (!moe_sum_round(&sum[c], format, &bits)) {
                bits = moe_ref_round_terms(
                    term, moe_ref_sum_terms(terms, i, c, term), format);
            }
            moe_float_store(format, moe_rows_codes(out, i), c, bits);
        }
    }
}

static const char *order_name(int i)
{
    return moe_order_name((moe_order_t)i);
}

void moe_tool_unpermute(moe_tool_job_t *job)
{
    const moe_storage_t any = {.format = MOE_FORMAT_fp32};
    const moe_order_t order = (moe_order_t)moe_tool_choice(
        job, "order", MOE_ORDER_COUNT, order_name, MOE_ORDER_exact);
    moe_ref_index_t index = {0};
    moe_ref_terms_t terms = {.index = &index};
    moe_storage_t storage = any;
    moe_rows_t out;

    if (!moe_tool_rows(job, "rows", &any, -1, -1, true, &terms.rows) ||
        !read_place(job, &terms.rows, &index)) {
        return;
    }
    terms.weights = moe_tool_data(job, "topk_weights", MOE_DTYPE_fp32,
                                  index.source_rows * index.topk, false);
    storage.format = moe_tool_format(job, "--to", job->command->to,
                                     terms.rows.storage.format);
    if (!moe_format_is_float(storage.format)) {
        moe_tool_wrong(job, "--to", "is %s, expected bf16, fp16 or fp32",
                       moe_format_name(storage.format));
    }
    if (!moe_tool_good(job) ||
        !moe_tool_rows_new(job, &storage, index.source_rows, terms.rows.cols,
                           &out)) {
        return;
    }
    if (order == MOE_ORDER_exact) {
        exact_sums(job, &terms, &out);
    } else {
        job->status = moe_ref_weighted_sum(&terms, order, &out);
    }
    moe_tool_put_rows(job, "out", &out, NULL);
}
