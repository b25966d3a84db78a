/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meta backend.
 *
 * How it works: tensors get no data and operations do nothing; the records
 * that the front-ends write are the result. Ranks run one after the other,
 * so an agreement is answered by asking every member's contribution of the
 * routing of all tokens; the first rank of a group that asks pays, the others
 * get the same answer.
 * Test: tests/check_meta.c, tests/check_methods_meta.c.
 */
#include "models/backend_meta.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

/* What the members of a group said in one agreement. */
typedef struct answer {
    struct answer *next;
    moe_group_t group;
    int first; /* world rank of the first member */
    int64_t number;
    int64_t n; /* numbers in all */
    int64_t value[];
} answer_t;

typedef struct {
    moe_backend_t base;
    const moe_routing_t *routing;
    answer_t *answers; /* latest first */
} meta_t;

static moe_status_t meta_alloc(moe_backend_t *self, moe_tensor_t *tensor)
{
    (void)self;
    tensor->data = NULL;
    tensor->place = MOE_PLACE_none;
    return MOE_OK;
}

static void meta_free(moe_backend_t *self, moe_tensor_t *tensor)
{
    (void)self;
    (void)tensor;
}

static int64_t round_up(int64_t n, int64_t to)
{
    return moe_div_up(n, to) * to;
}

/* Modelled bytes; tiled scales with their padding, views nothing. */
static int64_t modelled_storage(const moe_tensor_t *t)
{
    int64_t rows = t->dim[0];
    int64_t cols = t->dim[1];

    if (t->parent != NULL) {
        return 0;
    }
    if (!t->is_scale || t->scale_layout == MOE_SCALES_linear) {
        return moe_tensor_row_bytes(t, rows);
    }
    rows = round_up(rows, t->scale_layout == MOE_SCALES_128x4 ? 128 : 8);
    return moe_dtype_bytes(t->dtype, rows * round_up(cols, 4));
}

static int64_t no_workspace(const moe_layer_t *layer, const moe_call_t *call)
{
    (void)layer;
    (void)call;
    return 0;
}

static const answer_t *find_answer(const meta_t *meta, const moe_agree_t *agree)
{
    for (const answer_t *a = meta->answers; a != NULL; a = a->next) {
        if (a->number == agree->number && a->group == agree->group &&
            a->first == agree->ranks[0]) {
            return a;
        }
    }
    return NULL;
}

static bool joins(const moe_agree_t *agree)
{
    return agree->want == MOE_WANT_sum || agree->want == MOE_WANT_max;
}

/* Numbers that are kept: one for all members, or those of each. */
static int64_t kept_size(const moe_agree_t *agree)
{
    return joins(agree) ? agree->n : (int64_t)agree->n_ranks * agree->n;
}

/* Each member's numbers in turn: kept apart, or joined. */
static void ask_members(const meta_t *meta, const moe_agree_t *agree,
                        int64_t *one, int64_t *value)
{
    for (int r = 0; r < agree->n_ranks; r++) {
        int64_t *into = joins(agree) ? value : value + (int64_t)r * agree->n;

        agree->contribute(agree->layer, agree->options, agree->ranks[r],
                          meta->routing, one);
        for (int i = 0; i < agree->n; i++) {
            if (agree->want != MOE_WANT_max) {
                into[i] += one[i];
            } else if (r == 0 || one[i] > into[i]) {
                into[i] = one[i];
            }
        }
    }
}

/* What a rank is to get of what is kept. */
static void give_answer(const answer_t *a, const moe_agree_t *agree,
                        int64_t *out)
{
    int64_t each = agree->n / agree->n_ranks;

    if (agree->want != MOE_WANT_told) {
        memcpy(out, a->value, (size_t)a->n * sizeof(*out));
        return;
    }
    for (int r = 0; r < agree->n_ranks; r++) {
        memcpy(out + r * each,
               a->value + (int64_t)r * agree->n + agree->me * each,
               (size_t)each * sizeof(*out));
    }
}

static answer_t *ask_all(meta_t *meta, const moe_agree_t *agree)
{
    int64_t n = kept_size(agree);
    int64_t *one = calloc((size_t)agree->n + 1, sizeof(*one));
    answer_t *a = NULL;
    size_t bytes;

    if (one != NULL && moe_mul_size(n, sizeof(a->value[0]), &bytes)) {
        a = calloc(1, sizeof(*a) + bytes);
    }
    if (a != NULL) {
        a->group = agree->group;
        a->first = agree->ranks[0];
        a->number = agree->number;
        a->n = n;
        ask_members(meta, agree, one, a->value);
        a->next = meta->answers;
        meta->answers = a;
    }
    free(one);
    return a;
}

static moe_status_t answer(moe_backend_t *self, const moe_agree_t *agree,
                           const answer_t **answer_p)
{
    meta_t *meta = (meta_t *)self;
    const answer_t *a = find_answer(meta, agree);

    if (a == NULL) {
        a = ask_all(meta, agree);
    }
    if (a == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for agreement %lld",
                        (long long)agree->number);
    }
    if (a->n != kept_size(agree)) {
        return moe_fail(MOE_ERR_DISAGREE,
                        "agreement %lld: %lld numbers of %d ranks, where "
                        "another rank expects %lld in all",
                        (long long)agree->number, (long long)agree->n,
                        agree->n_ranks, (long long)a->n);
    }
    *answer_p = a;
    return MOE_OK;
}

static moe_status_t meta_agree(moe_backend_t *self, const moe_agree_t *agree,
                               int64_t *out, moe_trace_record_t *record)
{
    const answer_t *a = NULL;
    moe_status_t status = answer(self, agree, &a);

    (void)record;
    if (status == MOE_OK) {
        give_answer(a, agree, out);
    }
    return status;
}

/* What is kept is what a rank is to get, but for what is told to each. */
static moe_status_t meta_agreed(moe_backend_t *self, const moe_agree_t *agree,
                                const int64_t **numbers_p)
{
    const answer_t *a = NULL;
    moe_status_t status = answer(self, agree, &a);

    if (status == MOE_OK) {
        *numbers_p = a->value;
    }
    return status;
}

static moe_status_t meta_run_call(moe_backend_t *self, const moe_call_t *call,
                                  moe_trace_record_t *record)
{
    (void)self;
    (void)call;
    (void)record;
    return MOE_OK;
}

static moe_status_t meta_group_begin(moe_backend_t *self, bool fused,
                                     const char *name)
{
    (void)self;
    (void)fused;
    (void)name;
    return MOE_OK;
}

static moe_status_t meta_group_end(moe_backend_t *self)
{
    (void)self;
    return MOE_OK;
}

static moe_status_t meta_stage_begin(moe_backend_t *self, moe_stage_t stage)
{
    (void)self;
    (void)stage;
    return MOE_OK;
}

moe_status_t moe_meta_create(const moe_backend_t *like,
                             const moe_routing_t *routing,
                             moe_backend_t **backend_p)
{
    meta_t *meta = calloc(1, sizeof(*meta));

    if (meta == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a backend");
    }
    meta->routing = routing;
    meta->base = (moe_backend_t){
        .name = "meta",
        .alloc = meta_alloc,
        .free = meta_free,
        .storage_bytes = like != NULL ? like->storage_bytes : modelled_storage,
        .workspace_bytes = like != NULL ? like->workspace_bytes : no_workspace,
        .agree = meta_agree,
        .agreed = meta_agreed,
        .run = meta_run_call,
        .group_begin = meta_group_begin,
        .group_end = meta_group_end,
        .stage_begin = meta_stage_begin,
    };
    *backend_p = &meta->base;
    return MOE_OK;
}

void moe_meta_free(moe_backend_t *backend)
{
    meta_t *meta = (meta_t *)backend;

    while (meta != NULL && meta->answers != NULL) {
        answer_t *next = meta->answers->next;

        free(meta->answers);
        meta->answers = next;
    }
    free(meta);
}

/* Passes everything on and keeps the largest memory. */
typedef struct {
    const moe_trace_sink_t *sink; /* may be NULL */
    int64_t peak;
} meter_t;

static moe_status_t meter_record(void *self, const moe_trace_record_t *record)
{
    const meter_t *meter = self;

    return meter->sink != NULL && meter->sink->record != NULL
               ? meter->sink->record(meter->sink->self, record)
               : MOE_OK;
}

static void meter_memory(void *self, int rank, int64_t bytes)
{
    meter_t *meter = self;

    meter->peak = bytes > meter->peak ? bytes : meter->peak;
    if (meter->sink != NULL && meter->sink->memory != NULL) {
        meter->sink->memory(meter->sink->self, rank, bytes);
    }
}

/* A layer that knows its sums of tokens; ended with free(*before_p). */
static moe_status_t with_sums(moe_layer_t *layer, int64_t **before_p)
{
    int dp = layer->layout.dp;
    int64_t *before = calloc((size_t)dp + 1, sizeof(*before));

    if (before == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %d token counts", dp);
    }
    for (int i = 0; i < dp; i++) {
        before[i + 1] = before[i] + layer->tokens[i];
    }
    layer->before = before;
    *before_p = before;
    return MOE_OK;
}

/* One rank; its largest memory goes to *peak_p. */
static moe_status_t run_rank(moe_run_t *run, const moe_trace_sink_t *sink,
                             int64_t *peak_p)
{
    meter_t meter = {.sink = sink};
    moe_trace_sink_t metered = {
        .self = &meter, .record = meter_record, .memory = meter_memory};
    moe_status_t status;

    run->sink = &metered;
    status = moe_run_method(run);
    if (peak_p != NULL) {
        *peak_p = meter.peak;
    }
    return status;
}

moe_status_t moe_meta_run(const moe_layer_t *layer, const moe_method_use_t *use,
                          const moe_routing_t *routing,
                          const moe_backend_t *like, moe_stage_set_t stages,
                          const moe_trace_sink_t *sink, int64_t *peak_bytes)
{
    int world = moe_layout_world(&layer->layout);
    moe_layer_t summed = *layer;
    int64_t *before = NULL;
    moe_run_t run = {.layer = &summed,
                     .use = use,
                     .routing = routing,
                     .shared = moe_shared_create(),
                     .stages = stages};
    moe_status_t status = moe_meta_create(like, routing, &run.backend);

    if (status == MOE_OK && run.shared == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a backend");
    }
    if (status == MOE_OK) {
        status = with_sums(&summed, &before);
    }
    for (int r = 0; r < world && status == MOE_OK; r++) {
        run.rank = r;
        status =
            run_rank(&run, sink, peak_bytes != NULL ? &peak_bytes[r] : NULL);
    }
    moe_meta_free(run.backend);
    moe_shared_free(run.shared);
    free(before);
    return status;
}
