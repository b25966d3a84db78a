/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/inputs/inputs.h"

#include "base/checked.h"
#include "moe/draw.h"
#include "ref/fault_inside.h"
#include "ref/logits.h"
#include "ref/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT 1100 /* bytes of a message */

static moe_status_t no_memory(const char *what)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for %s", what);
}

static int64_t total_tokens(const moe_inputs_t *in)
{
    return moe_layer_total_tokens(&in->scenario->layer);
}

/* The tensor of a name, or the file's only one, with this shape. */
static moe_status_t find_tensor(moe_safetensors_t *file, const char *where,
                                const char *name, int64_t rows, int64_t cols,
                                const moe_safetensor_t **t_p)
{
    const moe_safetensor_t *t = moe_safetensors_find(file, name);

    if (t == NULL && moe_safetensors_count(file) == 1) {
        t = moe_safetensors_get(file, 0);
    }
    if (t == NULL) {
        return moe_fail(MOE_ERR_INPUT, "%s: no tensor \"%s\"", where, name);
    }
    if (t->dtype != MOE_DTYPE_bf16 || t->ndim != 2 || t->dim[0] != rows ||
        t->dim[1] != cols) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: tensor \"%s\" is %s of %d dimensions, %lld x "
                        "%lld; expected bf16 of %lld x %lld",
                        where, t->name, moe_dtype_name(t->dtype), t->ndim,
                        (long long)t->dim[0],
                        (long long)(t->ndim > 1 ? t->dim[1] : 1),
                        (long long)rows, (long long)cols);
    }
    *t_p = t;
    return MOE_OK;
}

/* Rows first... of a tensor that somebody else wrote: every value a number. */
static moe_status_t check_finite(const char *where, const moe_safetensor_t *t,
                                 int64_t first, int64_t n, const uint16_t *bits)
{
    const uint16_t exponent = 0x7f80; /* bf16: all ones is Inf or NaN */
    int64_t cols = t->dim[1];

    for (int64_t i = 0; i < n * cols; i++) {
        if ((bits[i] & exponent) == exponent) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: tensor \"%s\": row %lld, column %lld is %s, "
                            "expected a finite number",
                            where, t->name, (long long)(first + i / cols),
                            (long long)(i % cols),
                            (bits[i] & 0x7f) != 0 ? "NaN" : "infinite");
        }
    }
    return MOE_OK;
}

/* Of what only the rank with these tokens sees, and no file has a place for:
 * it says who it is. */
static moe_status_t of_rank(const moe_inputs_t *in, moe_status_t status)
{
    char text[TEXT];

    if (status != MOE_ERR_INPUT || in->rank < 0) {
        return status;
    }
    (void)snprintf(text, sizeof(text), "%s", moe_error_text());
    moe_error_clear();
    return moe_fail(status, "rank %d: %s", in->rank, text);
}

static moe_status_t read_hidden(const moe_inputs_t *in, int64_t first,
                                int64_t n, uint16_t *out)
{
    int64_t row = in->scenario->model.hidden * (int64_t)sizeof(*out);
    const moe_safetensor_t *t;
    moe_status_t status =
        find_tensor(in->hidden_file, in->scenario->hidden_where, "hidden",
                    total_tokens(in), in->scenario->model.hidden, &t);

    if (status == MOE_OK) {
        status =
            moe_safetensors_read(in->hidden_file, t, first * row, n * row, out);
    }
    if (status != MOE_OK) {
        return status;
    }
    return check_finite(in->scenario->hidden_where, t, first, n, out);
}

static moe_draw_t draw_of(const moe_scenario_t *s)
{
    return (moe_draw_t){s->layer.data, s->seed, &s->model};
}

/* Of the scenario's seed, or of one that many before it. */
static moe_status_t hidden_before(const moe_inputs_t *in, uint64_t before,
                                  int64_t first, int64_t n, uint16_t *out)
{
    moe_draw_t draw = draw_of(in->scenario);

    if (in->hidden_file != NULL) {
        return read_hidden(in, first, n, out);
    }
    draw.seed -= before;
    moe_draw_hidden(&draw, first, n, out);
    return MOE_OK;
}

moe_status_t moe_inputs_hidden(const moe_inputs_t *in, int64_t first, int64_t n,
                               uint16_t *out)
{
    return hidden_before(in, in->fault == MOE_FAULT_previous_call, first, n,
                         out);
}

moe_status_t moe_inputs_token(const moe_inputs_t *in, int64_t token,
                              uint16_t *out)
{
    return hidden_before(in, 0, token, 1, out);
}

moe_status_t moe_inputs_gate(const moe_scenario_t *s, uint16_t *out)
{
    moe_safetensors_t *file;
    const moe_safetensor_t *t;
    moe_status_t status = moe_safetensors_open(s->gate_file, &file);

    if (status != MOE_OK) {
        return status;
    }
    status = find_tensor(file, s->gate_where, "gate", s->model.experts,
                         s->model.hidden, &t);
    if (status == MOE_OK) {
        status = moe_safetensors_read(file, t, 0, t->size_bytes, out);
    }
    if (status == MOE_OK) {
        status = check_finite(s->gate_where, t, 0, s->model.experts, out);
    }
    moe_safetensors_close(file);
    return status;
}

static moe_status_t make_router(moe_inputs_t *in)
{
    const moe_scenario_t *s = in->scenario;
    const moe_draw_t draw = draw_of(s);
    size_t n;

    if (!moe_mul_size(s->model.experts, s->model.hidden, &n)) {
        return no_memory("the router");
    }
    in->router = calloc(n, sizeof(*in->router));
    if (in->router == NULL) {
        return no_memory("the router");
    }
    if (s->model.bias) {
        in->bias = calloc((size_t)s->model.experts, sizeof(*in->bias));
        if (in->bias == NULL) {
            return no_memory("the router");
        }
        moe_draw_bias(&draw, in->bias);
    }
    if (s->gate_file != NULL) {
        return moe_inputs_gate(s, in->router);
    }
    moe_draw_router(&draw, in->router);
    return MOE_OK;
}

static moe_status_t make_own(moe_inputs_t *in)
{
    int64_t n = in->own.end - in->own.begin;
    size_t elements;

    if (!moe_mul_size(n, in->scenario->model.hidden, &elements)) {
        return no_memory("hidden states");
    }
    in->hidden = calloc(elements + 1, sizeof(*in->hidden));
    if (in->hidden == NULL) {
        return no_memory("hidden states");
    }
    if (in->scenario->hidden_file != NULL) {
        moe_status_t status =
            moe_safetensors_open(in->scenario->hidden_file, &in->hidden_file);

        if (status != MOE_OK) {
            return status;
        }
    }
    in->spoilt = in->fault == MOE_FAULT_previous_call && n > 0 &&
                 in->hidden_file == NULL;
    return moe_inputs_hidden(in, in->own.begin, n, in->hidden);
}

static moe_status_t bad_logit(const moe_inputs_t *in, moe_status_t status,
                              const int64_t bad[2])
{
    if (status != MOE_ERR_RANGE) {
        return status;
    }
    return of_rank(
        in, moe_fail(MOE_ERR_INPUT,
                     "the logit of token %lld for expert %lld is NaN",
                     (long long)(in->own.begin + bad[0]), (long long)bad[1]));
}

/* The mistake of a router, which may mean nothing for this one. */
static moe_status_t route_wrongly(moe_inputs_t *in, const float *logits)
{
    moe_routing_t *r = &in->routing;
    const size_t bytes =
        (size_t)(r->n * in->scenario->model.topk) * sizeof(*r->ids);
    moe_ref_layer_t layer = {
        .about = {.model = &in->scenario->model},
        .bias = in->bias,
        .fault = {.kind = in->fault, .role = MOE_ROLE_topk_ids}};
    int32_t *right = malloc(bytes + 1);
    int64_t bad[2];
    moe_status_t status;

    if (right == NULL) {
        return no_memory("the router");
    }
    memcpy(right, r->ids, bytes);
    status = moe_ref_fault_route(&layer, logits, r->n, r->ids, r->weights, bad);
    if (status == MOE_ERR_UNSUPPORTED) {
        moe_error_clear();
        status = MOE_OK;
    }
    in->spoilt = memcmp(right, r->ids, bytes) != 0;
    free(right);
    return status;
}

static moe_status_t route_rows(moe_inputs_t *in, const float *logits)
{
    const moe_model_t *model = &in->scenario->model;
    moe_routing_t *r = &in->routing;
    int64_t bad[2] = {0, 0};
    moe_status_t status =
        bad_logit(in,
                  moe_ref_route(model, logits, in->bias, r->n, r->ids,
                                r->weights, &in->stats, bad),
                  bad);

    return status == MOE_OK && moe_fault_chooses(in->fault)
               ? route_wrongly(in, logits)
               : status;
}

static moe_status_t logits_and_route(moe_inputs_t *in, float *logits)
{
    const moe_model_t *model = &in->scenario->model;
    moe_rows_t x = {.storage = {.format = MOE_FORMAT_bf16},
                    .rows = in->routing.n,
                    .cols = model->hidden,
                    .codes = in->hidden};
    moe_status_t status =
        moe_ref_logits(&x, in->router, model->experts, logits, &in->stats);

    return status == MOE_OK ? route_rows(in, logits) : status;
}

/* A row of zeros has logits of zero. */
static moe_status_t route_pad(moe_inputs_t *in)
{
    const moe_model_t *model = &in->scenario->model;
    float *zeros = calloc((size_t)model->experts, sizeof(*zeros));
    moe_ref_stats_t ignored = {0};
    int64_t bad[2];
    moe_status_t status;

    if (zeros == NULL) {
        return no_memory("the router");
    }
    status = moe_ref_route(model, zeros, in->bias, 1, in->routing.pad_ids,
                           in->routing.pad_weights, &ignored, bad);
    free(zeros);
    return status;
}

static moe_status_t route_by_data(moe_inputs_t *in)
{
    int64_t n = in->own.end - in->own.begin;
    const moe_model_t *model = &in->scenario->model;
    moe_status_t status =
        moe_routing_init(&in->routing, in->own.begin, n, model->topk);
    size_t elements = 0;
    float *logits;

    if (status != MOE_OK) {
        return status;
    }
    if (!moe_mul_size(n, model->experts, &elements) ||
        (logits = calloc(elements + 1, sizeof(*logits))) == NULL) {
        return no_memory("logits");
    }
    status = logits_and_route(in, logits);
    free(logits);
    return status == MOE_OK ? route_pad(in) : status;
}

static moe_status_t make_routing(moe_inputs_t *in)
{
    const moe_scenario_t *s = in->scenario;

    switch (s->router) {
    case MOE_ROUTER_sample:
        return moe_routing_sample(&s->model, &s->sampler, s->seed,
                                  in->own.begin, in->own.end - in->own.begin,
                                  &in->routing);
    case MOE_ROUTER_trace:
        return moe_routing_read(s, in->own.begin, in->own.end - in->own.begin,
                                &in->routing);
    case MOE_ROUTER_data:
    default:
        return route_by_data(in);
    }
}

moe_status_t moe_inputs_make(const moe_scenario_t *scenario, int rank,
                             moe_fault_kind_t fault, moe_inputs_t *in_p)
{
    const moe_layer_t *layer = &scenario->layer;
    moe_inputs_t in = {.scenario = scenario, .rank = rank, .fault = fault};
    moe_status_t status;

    in.own = moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, rank));
    status = make_router(&in);
    if (status == MOE_OK) {
        status = make_own(&in);
    }
    if (status == MOE_OK) {
        status = make_routing(&in);
    }
    if (status != MOE_OK) {
        moe_inputs_fini(&in);
        return status;
    }
    *in_p = in;
    return MOE_OK;
}

void moe_inputs_fini(moe_inputs_t *in)
{
    free(in->hidden);
    free(in->router);
    free(in->bias);
    moe_routing_fini(&in->routing);
    if (in->hidden_file != NULL) {
        moe_safetensors_close(in->hidden_file);
    }
    memset(in, 0, sizeof(*in));
}

int64_t moe_inputs_bytes(const moe_scenario_t *scenario, int rank)
{
    const moe_model_t *m = &scenario->model;
    int dp_rank = moe_layout_dp_rank(&scenario->layer.layout, rank);
    int64_t own = scenario->tokens[dp_rank];
    int64_t all = moe_layer_total_tokens(&scenario->layer);

    return (own + m->experts) * m->hidden * 2 + m->experts * 4 +
           (own + all) * m->topk * 8;
}
