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

static moe_draw_t draw_of(const moe_scenario_t *s)
{
    return (moe_draw_t){s->layer.data, s->seed, &s->model};
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
    return moe_inputs_hidden(in, in->own.begin, n, in->hidden);
}

/* Whether hidden states are others than right. */
static moe_status_t compare_own(moe_inputs_t *in)
{
    const size_t cols = (size_t)in->scenario->model.hidden;
    uint16_t *right;
    moe_status_t status = MOE_OK;

    if (in->before.begin >= in->own.end || in->before.end <= in->own.begin) {
        return MOE_OK;
    }
    right = malloc(cols * sizeof(*right));
    if (right == NULL) {
        return no_memory("hidden states");
    }
    for (int64_t t = in->own.begin;
         status == MOE_OK && !in->spoilt && t < in->own.end; t++) {
        const uint16_t *row = in->hidden + (size_t)(t - in->own.begin) * cols;

        status = moe_inputs_token(in, t, right);
        in->spoilt = memcmp(right, row, cols * sizeof(*right)) != 0;
    }
    free(right);
    return status;
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
        .fault = {.kind = in->chooses, .role = MOE_ROLE_topk_ids}};
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

    return status == MOE_OK && in->chooses != MOE_FAULT_none
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

static void lay_fault(moe_inputs_t *in, moe_fault_kind_t fault, int of)
{
    const moe_layer_t *layer = &in->scenario->layer;
    const moe_range_t all = {0, moe_layer_total_tokens(layer)};

    if (fault == MOE_FAULT_previous_call) {
        in->before =
            of < 0 ? all
                   : moe_layer_tokens(layer,
                                      moe_layout_dp_rank(&layer->layout, of));
    } else if (of < 0 || of == in->rank) {
        in->chooses = fault;
    }
}

moe_status_t moe_inputs_make(const moe_scenario_t *scenario, int rank,
                             moe_fault_kind_t fault, int of, moe_inputs_t *in_p)
{
    const moe_layer_t *layer = &scenario->layer;
    moe_inputs_t in = {.scenario = scenario, .rank = rank};
    moe_status_t status;

    in.own = moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, rank));
    lay_fault(&in, fault, of);
    status = make_router(&in);
    if (status == MOE_OK) {
        status = make_own(&in);
    }
    if (status == MOE_OK) {
        status = compare_own(&in);
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
