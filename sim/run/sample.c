/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run/sample.h"

#include <stdlib.h>

/* Marks of the tokens chosen so far. */
typedef struct {
    bool *chosen; /* [total] */
    int64_t total;
    int64_t n;
    bool cut; /* MOE_SAMPLE_MAX left some of an expert out */
} marks_t;

static void mark(marks_t *m, int64_t token)
{
    if (!m->chosen[token]) {
        m->chosen[token] = true;
        m->n++;
    }
}

static bool is_small(const moe_layer_t *layer, int64_t total)
{
    const moe_model_t *m = layer->model;
    double macs = 3.0 * (double)m->hidden * (double)m->intermediate *
                  (double)m->topk * (double)total;

    return macs <= (double)MOE_SAMPLE_ALL_MACS || total <= MOE_SAMPLE_MIN;
}

static void mark_ends(marks_t *m, const moe_layer_t *layer)
{
    for (int i = 0; i < layer->layout.dp; i++) {
        moe_range_t own = moe_layer_tokens(layer, i);

        if (own.end > own.begin) {
            mark(m, own.begin);
            mark(m, own.end - 1);
        }
    }
}

static void mark_expert(marks_t *m, const moe_routing_t *r, int32_t expert)
{
    for (int64_t i = 0; i < m->total * r->topk; i++) {
        int64_t token = i / r->topk;

        if (r->ids[i] != expert) {
            continue;
        }
        if (m->n < MOE_SAMPLE_MAX) {
            mark(m, token);
        }
        m->cut = m->cut || !m->chosen[token];
    }
}

static moe_status_t mark_extremes(marks_t *m, const moe_model_t *model,
                                  const moe_routing_t *routing)
{
    int64_t *counts = calloc((size_t)model->experts, sizeof(*counts));
    int32_t fullest = 0;
    int32_t emptiest = -1;

    if (counts == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the oracle's sample");
    }
    moe_routing_count(routing, 0, m->total, counts);
    for (int32_t e = 0; e < model->experts; e++) {
        if (counts[e] > counts[fullest]) {
            fullest = e;
        }
        if (counts[e] > 0 && (emptiest < 0 || counts[e] < counts[emptiest])) {
            emptiest = e;
        }
    }
    free(counts);
    mark_expert(m, routing, emptiest);
    mark_expert(m, routing, fullest);
    return MOE_OK;
}

static void mark_spread(marks_t *m)
{
    for (int64_t i = 0; m->n < MOE_SAMPLE_MIN && i < m->total; i++) {
        int64_t stride = m->total / MOE_SAMPLE_MIN;
        int64_t at = i * stride % m->total + i * stride / m->total;

        mark(m, at % m->total);
    }
}

static moe_status_t choose(marks_t *m, const moe_layer_t *layer,
                           const moe_routing_t *routing, bool all)
{
    moe_status_t status = MOE_OK;

    if (all) {
        for (int64_t t = 0; t < m->total; t++) {
            mark(m, t);
        }
        return MOE_OK;
    }
    mark_ends(m, layer);
    status = mark_extremes(m, layer->model, routing);
    mark_spread(m);
    return status;
}

moe_status_t moe_sample_tokens(const moe_layer_t *layer,
                               const moe_routing_t *routing,
                               moe_sample_t *sample_p)
{
    int64_t total = moe_layer_total_tokens(layer);
    moe_sample_t sample = {.all = is_small(layer, total)};
    marks_t m = {.total = total};
    moe_status_t status;

    m.chosen = calloc((size_t)total + 1, sizeof(*m.chosen));
    sample.token = calloc((size_t)total + 1, sizeof(*sample.token));
    if (m.chosen == NULL || sample.token == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for the oracle's sample");
    } else {
        status = choose(&m, layer, routing, sample.all);
    }
    for (int64_t t = 0; status == MOE_OK && t < total; t++) {
        if (m.chosen[t]) {
            sample.token[sample.n++] = t;
        }
    }
    free(m.chosen);
    sample.cut = m.cut;
    if (status != MOE_OK) {
        free(sample.token);
        return status;
    }
    *sample_p = sample;
    return MOE_OK;
}

void moe_sample_fini(moe_sample_t *sample)
{
    free(sample->token);
    sample->token = NULL;
}
