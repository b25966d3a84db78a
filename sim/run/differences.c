/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs of methods against that of the first one that computes, all tokens.
 * Rows are read from the scratch files a piece of tokens at a time: a rank
 * never holds more than two pieces of them.
 */
#include "config.h"

#include "sim/run/output.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of a piece, or one row where that is longer. */
#define PIECE_BYTES ((size_t)16 << 10)

/* The rows of a method that a rank speaks for, in the order of tokens. */
typedef struct {
    size_t method;
    moe_range_t own; /* empty, if the first rank of its tp group speaks */
    FILE *file;      /* stands at the first row that was not read */
} source_t;

typedef struct {
    source_t first;
    source_t other;
    char *row;   /* one, of the first method */
    char *piece; /* own rows of the other method */
    bool same;   /* each rank speaks for the same tokens under both */
} pair_t;

/* The tokens whose output a rank speaks for. */
static moe_range_t spoken(const moe_job_t *job, size_t method, int rank)
{
    const moe_layer_t layer =
        moe_method_layer(&job->scenario->layer, &job->scenario->method[method]);
    const moe_range_t none = {0, 0};

    return moe_layout_group_index(&layer.layout, MOE_GROUP_tp, rank) == 0
               ? moe_layer_tokens(&layer,
                                  moe_layout_dp_rank(&layer.layout, rank))
               : none;
}

static bool spoken_alike(const moe_job_t *job, size_t a, size_t b)
{
    bool alike = true;

    for (int r = 0; r < job->n_ranks; r++) {
        const moe_range_t x = spoken(job, a, r);
        const moe_range_t y = spoken(job, b, r);

        alike = alike && x.begin == y.begin && x.end == y.end;
    }
    return alike;
}

static moe_range_t common(moe_range_t a, moe_range_t b)
{
    moe_range_t c = {a.begin > b.begin ? a.begin : b.begin,
                     a.end < b.end ? a.end : b.end};

    c.end = c.end > c.begin ? c.end : c.begin;
    return c;
}

static moe_status_t source_init(const moe_job_t *job, size_t method,
                                source_t *source)
{
    source->method = method;
    source->own = spoken(job, method, job->rank);
    source->file = moe_output_open(job, method);
    return source->file == NULL ? MOE_ERR_IO : MOE_OK;
}

static void source_fini(source_t *source)
{
    if (source->file != NULL) {
        (void)fclose(source->file);
    }
}

static int64_t piece_rows(const moe_job_t *job)
{
    const size_t rows = PIECE_BYTES / moe_output_row_bytes(job);

    return rows > 0 ? (int64_t)rows : 1;
}

static moe_status_t pair_init(const moe_job_t *job, size_t first, size_t other,
                              pair_t *pair)
{
    const size_t bytes = moe_output_row_bytes(job);
    moe_status_t status = source_init(job, first, &pair->first);

    if (status == MOE_OK) {
        status = source_init(job, other, &pair->other);
    }
    pair->same = spoken_alike(job, first, other);
    pair->row = malloc(bytes);
    pair->piece = malloc((size_t)piece_rows(job) * bytes);
    if (status == MOE_OK && (pair->row == NULL || pair->piece == NULL)) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for rows of outputs");
    }
    return status;
}

static void pair_fini(pair_t *pair)
{
    source_fini(&pair->first);
    source_fini(&pair->other);
    free(pair->row);
    free(pair->piece);
}

/* Own rows of the other method in a piece. */
static moe_status_t read_piece(const moe_job_t *job, const pair_t *pair,
                               moe_range_t own)
{
    const size_t bytes = moe_output_row_bytes(job);
    moe_status_t status = MOE_OK;

    for (int64_t i = 0; status == MOE_OK && i < own.end - own.begin; i++) {
        status = moe_output_row(job, pair->other.file,
                                pair->piece + (size_t)i * bytes);
    }
    return status;
}

/* Row of a token in what all ranks shared of a piece: ranks that speak do so
 * in the order of tokens. */
static const char *shared_row(const moe_job_t *job, const pair_t *pair,
                              const moe_blob_t *all, moe_range_t piece,
                              int64_t token)
{
    const size_t bytes = moe_output_row_bytes(job);
    moe_range_t part = {0, 0};
    int r = -1;

    while (token < part.begin || token >= part.end) {
        r++;
        part = common(spoken(job, pair->other.method, r), piece);
    }
    return (const char *)all[r].data + (size_t)(token - part.begin) * bytes;
}

/* The piece's rows that this rank speaks for; all: NULL if each rank has the
 * same of both methods. */
static moe_status_t compare_piece(moe_job_t *job, const pair_t *pair,
                                  const moe_blob_t *all, moe_range_t piece)
{
    const moe_range_t own = common(pair->first.own, piece);
    const size_t bytes = moe_output_row_bytes(job);
    moe_status_t status = MOE_OK;

    for (int64_t t = own.begin; status == MOE_OK && t < own.end; t++) {
        const char *other = all == NULL
                                ? pair->piece + (size_t)(t - own.begin) * bytes
                                : shared_row(job, pair, all, piece, t);

        status = moe_output_row(job, pair->first.file, pair->row);
        if (status == MOE_OK) {
            moe_compare_add(
                &job->found[pair->other.method].to_first,
                job->scenario->layer.chain.at[MOE_ROLE_output].format,
                job->scenario->model.hidden, pair->row, other);
        }
    }
    return status;
}

static moe_status_t do_piece(moe_job_t *job, const pair_t *pair,
                             moe_range_t piece)
{
    const moe_range_t own = common(pair->other.own, piece);
    const int64_t bytes =
        (own.end - own.begin) * (int64_t)moe_output_row_bytes(job);
    moe_blob_t *all = NULL;
    moe_status_t status = read_piece(job, pair, own);

    if (status == MOE_OK && !pair->same) {
        status = moe_world_share(job->world, pair->piece, bytes, &all);
    }
    if (status == MOE_OK) {
        status = compare_piece(job, pair, all, piece);
    }
    moe_blobs_free(all);
    return status;
}

static moe_status_t compare_methods(moe_job_t *job, size_t first, size_t other)
{
    const int64_t total = moe_layer_total_tokens(&job->scenario->layer);
    const int64_t step = piece_rows(job);
    pair_t pair = {.same = false};
    moe_status_t status = pair_init(job, first, other, &pair);

    for (int64_t t = 0; status == MOE_OK && t < total; t += step) {
        const moe_range_t piece = {t, t + step < total ? t + step : total};

        moe_runstate_progress(job->state, t, total, "tokens");
        status = do_piece(job, &pair, piece);
    }
    pair_fini(&pair);
    return status;
}

static bool computes(const moe_job_t *job, size_t method)
{
    return moe_contract_computes(&job->scenario->method[method].chain.contract);
}

bool moe_output_first(const moe_job_t *job, size_t *first_p)
{
    for (size_t m = 0; m < job->scenario->n_methods; m++) {
        if (computes(job, m)) {
            *first_p = m;
            return true;
        }
    }
    return false;
}

/* Rank 0 has made the digests: all are to know which outputs are the same. */
static moe_status_t tell_digests(moe_job_t *job)
{
    moe_status_t status = MOE_OK;

    for (size_t m = 0; status == MOE_OK && m < job->scenario->n_methods; m++) {
        status = moe_world_spread(job->world, 0, job->found[m].digest,
                                  sizeof(job->found[m].digest));
    }
    return status;
}

moe_status_t moe_output_differences(moe_job_t *job)
{
    const int64_t elements = moe_layer_total_tokens(&job->scenario->layer) *
                             job->scenario->model.hidden;
    moe_status_t status = tell_digests(job);
    size_t first;

    if (status != MOE_OK || !moe_output_first(job, &first)) {
        return status;
    }
    moe_runstate_stage(job->state, "the differences between methods");
    for (size_t m = first + 1; status == MOE_OK && m < job->scenario->n_methods;
         m++) {
        if (!computes(job, m)) {
            continue;
        }
        if (strcmp(job->found[m].digest, job->found[first].digest) != 0) {
            status = compare_methods(job, first, m);
        } else if (job->rank == 0) {
            job->found[m].to_first.elements = elements;
        }
    }
    return status;
}
