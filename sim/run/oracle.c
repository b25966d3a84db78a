/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/gating.h"
#include "sim/run/output.h"

#include "ref/oracle.h"

#include <stdlib.h>
#include <string.h>

/* Outputs of the sampled tokens, of every method, from whoever has them. */
typedef struct {
    moe_blob_t *part; /* [W] each rank's rows: [n_methods][own sample] */
    int64_t *first;   /* [methods][W] where a rank's begin in the sample */
    int64_t *count;   /* [methods][W] how many they are */
} rows_t;

static void rows_fini(rows_t *rows)
{
    moe_blobs_free(rows->part);
    free(rows->first);
}

static size_t place(const moe_job_t *job, size_t method, int rank)
{
    return method * (size_t)job->n_ranks + (size_t)rank;
}

static void find_owners(const moe_job_t *job, size_t method, rows_t *rows)
{
    const moe_layer_t layer =
        moe_method_layer(&job->scenario->layer, &job->scenario->method[method]);

    for (int r = 0; r < job->n_ranks; r++) {
        moe_range_t own =
            moe_layer_tokens(&layer, moe_layout_dp_rank(&layer.layout, r));
        size_t at = place(job, method, r);

        for (int64_t i = 0; i < job->sample.n; i++) {
            rows->first[at] += job->sample.token[i] < own.begin;
            rows->count[at] += job->sample.token[i] >= own.begin &&
                               job->sample.token[i] < own.end;
        }
    }
}

/* Rows of all methods before one, in what a rank shares. */
static int64_t rows_before(const moe_job_t *job, const rows_t *rows,
                           size_t method, int rank)
{
    int64_t n = 0;

    for (size_t m = 0; m < method; m++) {
        n += rows->count[place(job, m, rank)];
    }
    return n;
}

/* This rank's sampled rows of one method. */
static moe_status_t read_own(const moe_job_t *job, const rows_t *rows,
                             size_t method, char *out)
{
    size_t bytes = moe_output_row_bytes(job);
    size_t me = place(job, method, job->rank);
    moe_range_t own = moe_job_own(job, &job->scenario->method[method]);
    FILE *file = moe_output_open(job, method);
    moe_status_t status = MOE_OK;

    if (file == NULL) {
        return MOE_ERR_IO;
    }
    for (int64_t i = 0; status == MOE_OK && i < rows->count[me]; i++) {
        int64_t token = job->sample.token[rows->first[me] + i];
        long at = (long)(token - own.begin) * (long)bytes;

        status = fseek(file, at, SEEK_SET) != 0
                     ? moe_fail(MOE_ERR_IO, "a scratch file is too short")
                     : moe_output_row(job, file, out + i * (int64_t)bytes);
    }
    (void)fclose(file);
    return status;
}

static moe_status_t share_rows(moe_job_t *job, rows_t *rows)
{
    size_t n = job->scenario->n_methods;
    size_t bytes = moe_output_row_bytes(job);
    size_t all = (size_t)rows_before(job, rows, n, job->rank) * bytes;
    char *own = malloc(all + 1);
    moe_status_t status = MOE_OK;

    if (own == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for sampled rows");
    }
    for (size_t m = 0; status == MOE_OK && m < n; m++) {
        status = read_own(job, rows, m,
                          own + (size_t)rows_before(job, rows, m, job->rank) *
                                    bytes);
    }
    if (status == MOE_OK) {
        status = moe_world_share(job->world, own, (int64_t)all, &rows->part);
    }
    free(own);
    return status;
}

/* Row of sampled token i in a method's output. */
static const char *row_of(const moe_job_t *job, const rows_t *rows,
                          size_t method, int64_t i)
{
    size_t bytes = moe_output_row_bytes(job);
    int r = 0;

    while (i < rows->first[place(job, method, r)] ||
           i >= rows->first[place(job, method, r)] +
                    rows->count[place(job, method, r)]) {
        r++;
    }
    return (const char *)rows->part[r].data +
           (size_t)(rows_before(job, rows, method, r) + i -
                    rows->first[place(job, method, r)]) *
               bytes;
}

/* Memory for one token. */
typedef struct {
    uint16_t *hidden;
    uint32_t *output;
    void *narrow; /* output in its own width */
} token_t;

static moe_status_t token_init(const moe_job_t *job, token_t *t)
{
    size_t h = (size_t)job->scenario->model.hidden;

    t->hidden = calloc(h, sizeof(*t->hidden));
    t->output = calloc(h, sizeof(*t->output));
    t->narrow = calloc(h, sizeof(uint32_t));
    return t->hidden == NULL || t->output == NULL || t->narrow == NULL
               ? moe_fail(MOE_ERR_NOMEM, "no memory for the oracle")
               : MOE_OK;
}

static void token_fini(token_t *t)
{
    free(t->hidden);
    free(t->output);
    free(t->narrow);
}

static void narrow_output(const moe_job_t *job, token_t *t)
{
    size_t h = (size_t)job->scenario->model.hidden;
    uint16_t *narrow = t->narrow;

    if (moe_output_row_bytes(job) == h * sizeof(uint32_t)) {
        memcpy(t->narrow, t->output, h * sizeof(uint32_t));
        return;
    }
    for (size_t i = 0; i < h; i++) {
        narrow[i] = (uint16_t)t->output[i];
    }
}

/* What the oracle is asked: a method under its own chain, or under the same
 * in `exact`, from which `faithful` differs by its roundings. */
typedef struct {
    const moe_method_use_t *use;
    moe_chain_t chain;
    size_t method;
    bool exact;
} question_t;

static question_t question(const moe_job_t *job, size_t method, bool exact)
{
    question_t q = {.use = &job->scenario->method[method],
                    .method = method,
                    .exact = exact};

    q.chain = q.use->chain;
    if (exact) {
        q.chain = job->scenario->layer.chain;
        q.chain.at[MOE_ROLE_dispatch] = q.use->chain.at[MOE_ROLE_dispatch];
        q.chain.at[MOE_ROLE_combine] = q.use->chain.at[MOE_ROLE_combine];
        q.chain.numerics = MOE_NUMERICS_exact;
        moe_chain_take(&q.chain, &q.use->chain.contract);
    }
    return q;
}

/* A method that `exact` would refuse is asked nothing of it. */
static bool is_asked(const moe_job_t *job, const question_t *q)
{
    moe_layer_t layer = moe_method_layer(&job->scenario->layer, q->use);

    layer.chain.numerics = MOE_NUMERICS_exact;
    return !q->exact || q->use->method->check(&layer, q->use->options) == NULL;
}

/* The layer as a method lays it and the oracle knows it: of experts. */
static moe_layer_t by_experts(const moe_scenario_t *s,
                              const moe_method_use_t *use)
{
    moe_layer_t layer = moe_method_layer(&s->layer, use);

    layer.model = &s->model;
    layer.placed = NULL;
    return layer;
}

/* The oracle's row of sampled token i. */
static moe_status_t ask_oracle(moe_job_t *job, const question_t *q, int64_t i,
                               token_t *t)
{
    const moe_scenario_t *s = job->scenario;
    const moe_method_use_t *use = q->use;
    const moe_layer_t layer = by_experts(s, use);
    moe_oracle_t oracle = {.layer = &layer,
                           .chain = &q->chain,
                           .router = job->inputs.router,
                           .bias = job->inputs.bias};
    moe_oracle_token_t out = {.output = t->output};
    int64_t token = job->sample.token[i];
    int64_t at = token * job->routing.topk;
    const moe_routing_t *gated = moe_job_gated(job, q->method);
    const moe_routing_t *given = gated != NULL ? gated : &job->routing;
    const moe_formula_t f = {
        .layer = &layer, .options = use->options, .routing = given};
    const int32_t *ids = given->ids + at;
    bool by_data = gated == NULL && s->router == MOE_ROUTER_data;
    moe_status_t status = moe_inputs_token(&job->inputs, token, t->hidden);

    if (job->chosen != NULL) {
        ids = job->chosen + at;
        oracle.slot = job->routing.ids + at;
        oracle.n_slots = s->layer.model->experts;
    }
    for (int k = 0; use->method->home != NULL && k < job->routing.topk; k++) {
        oracle.home[k] = use->method->home(&f, token, k);
    }
    if (status == MOE_OK) {
        status = moe_oracle_token(&oracle, t->hidden, by_data ? NULL : ids,
                                  by_data ? NULL : given->weights + at, &out);
    }
    narrow_output(job, t);
    return status;
}

static void compare_row(moe_job_t *job, const rows_t *rows, const question_t *q,
                        int64_t i, const token_t *t)
{
    moe_found_t *found = &job->found[q->method];

    moe_compare_add(q->exact ? &found->exact : &found->oracle,
                    job->scenario->layer.chain.at[MOE_ROLE_output].format,
                    job->scenario->model.hidden, t->narrow,
                    row_of(job, rows, q->method, i));
}

/* The oracle need not be asked twice. */
static bool same_answer(const moe_job_t *job, const question_t *a,
                        const question_t *b)
{
    return a->method == b->method ||
           (is_asked(job, a) && is_asked(job, b) &&
            moe_job_routes_alike(job, a->method, b->method) &&
            moe_chain_rounds_alike(&a->chain, &b->chain));
}

/* A token under every method: the oracle computes each chain once. */
static moe_status_t judge_token(moe_job_t *job, const rows_t *rows, int64_t i,
                                bool exact, token_t *t)
{
    size_t n = job->scenario->n_methods;
    moe_status_t status = MOE_OK;

    for (size_t m = 0; status == MOE_OK && m < n; m++) {
        const question_t asked = question(job, m, exact);
        bool done = !is_asked(job, &asked);

        for (size_t p = 0; p < m; p++) {
            const question_t before = question(job, p, exact);

            done = done || same_answer(job, &before, &asked);
        }
        if (!done) {
            status = ask_oracle(job, &asked, i, t);
        }
        for (size_t k = m; status == MOE_OK && !done && k < n; k++) {
            const question_t other = question(job, k, exact);

            if (same_answer(job, &other, &asked)) {
                compare_row(job, rows, &other, i, t);
            }
        }
    }
    return status;
}

/* Sampled tokens are dealt out, so that all ranks share the work. */
static moe_status_t judge_tokens(moe_job_t *job, const rows_t *rows)
{
    const bool faithful =
        job->scenario->layer.chain.numerics == MOE_NUMERICS_faithful;
    token_t t = {0};
    moe_status_t status = token_init(job, &t);

    moe_runstate_stage(job->state, "the oracle");
    for (int64_t i = job->rank; status == MOE_OK && i < job->sample.n;
         i += job->n_ranks) {
        moe_runstate_progress(job->state, i, job->sample.n, "tokens");
        status = judge_token(job, rows, i, false, &t);
        if (status == MOE_OK && faithful) {
            status = judge_token(job, rows, i, true, &t);
        }
    }
    token_fini(&t);
    return status;
}

moe_status_t moe_output_oracle(moe_job_t *job)
{
    rows_t rows = {0};
    size_t cells;
    moe_status_t status =
        moe_sample_tokens(&job->scenario->layer, &job->routing, &job->sample);

    if (status != MOE_OK) {
        return status;
    }
    cells = place(job, job->scenario->n_methods, 0);
    rows.first = calloc(2 * cells + 1, sizeof(*rows.first));
    if (rows.first == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the oracle");
    }
    rows.count = rows.first + cells;
    for (size_t m = 0; m < job->scenario->n_methods; m++) {
        find_owners(job, m, &rows);
    }
    status = share_rows(job, &rows);
    if (status == MOE_OK) {
        status = judge_tokens(job, &rows);
    }
    rows_fini(&rows);
    return status;
}
