/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/price/selection.h"

#include "sim/methods/registry.h"
#include "sim/report/method_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON 768

/* A method with a price, which is that of an output. */
typedef struct {
    size_t number;
    double us;
    double low_us;
    double high_us;
    const char *label;
} place_t;

typedef struct {
    const moe_scenario_t *scenario;
    place_t *place; /* [n] cheapest first; equal ones in the list's order */
    size_t n;
    int chosen;
    char reason[REASON];
} ranking_t;

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static int by_price(const void *a, const void *b)
{
    const place_t *x = a;
    const place_t *y = b;

    if (x->us < y->us || x->us > y->us) {
        return x->us < y->us ? -1 : 1;
    }
    return x->number < y->number ? -1 : 1;
}

static moe_status_t rank(const json_t *methods, ranking_t *r)
{
    size_t n = r->scenario->n_methods;

    r->place = calloc(n + 1, sizeof(*r->place));
    if (r->place == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a ranking");
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *method = json_array_get(methods, i);
        const moe_chain_t *chain = &r->scenario->method[i].chain;

        if (moe_contract_computes(&chain->contract) &&
            json_is_number(json_object_get(method, "predicted_us"))) {
            r->place[r->n++] = (place_t){
                i, number_of(method, "predicted_us"),
                number_of(method, "low_us"), number_of(method, "high_us"),
                json_string_value(json_object_get(method, "label"))};
        }
    }
    qsort(r->place, r->n, sizeof(*r->place), by_price);
    return MOE_OK;
}

/* The 90 % interval overlaps that of the cheapest. */
static bool is_tied(const ranking_t *r, size_t i)
{
    return i > 0 && r->place[i].low_us <= r->place[0].high_us;
}

static void choose_cheapest(ranking_t *r)
{
    const place_t *p = r->place;

    if (r->n == 0) {
        (void)snprintf(r->reason, REASON,
                       "no method that computes an output has a "
                       "price here");
        return;
    }
    r->chosen = (int)p[0].number;
    if (r->n == 1) {
        (void)snprintf(r->reason, REASON,
                       "the only method that computes an "
                       "output and has a price");
        return;
    }
    (void)snprintf(r->reason, REASON, "the lowest prediction of %zu methods%s",
                   r->n,
                   is_tied(r, 1) ? "; the next is indistinguishable: the 90 % "
                                   "intervals overlap"
                                 : "");
}

moe_ascend_facts_t moe_selection_facts(const moe_scenario_t *s)
{
    const moe_layer_t *layer = &s->layer;
    moe_ascend_facts_t f = {.dp = layer->layout.dp,
                            .tp = layer->layout.tp,
                            .ep = layer->layout.ep,
                            .experts = layer->model->experts,
                            .topk = s->model.topk,
                            .prefill = layer->phase == MOE_PHASE_prefill,
                            .device = (moe_ascend_on_t)s->select.ascend.device,
                            .settings = s->select.ascend};

    for (int i = 0; i < layer->layout.dp; i++) {
        f.tokens = layer->tokens[i] > f.tokens ? layer->tokens[i] : f.tokens;
    }
    return f;
}

/* Why what a rule takes is not among the methods. */
static void tell_missing(ranking_t *r, const char *name)
{
    const moe_scenario_t *s = r->scenario;
    size_t used = strlen(r->reason);
    const char *why = NULL;

    for (size_t i = 0; i < s->n_left_out; i++) {
        if (strcmp(s->left_out[i].label, name) == 0) {
            why = s->left_out[i].why;
        }
    }
    (void)snprintf(r->reason + used, REASON - used, ": %s",
                   why != NULL ? why
                               : "it is not among the scenario's methods");
}

static void choose_ascend(ranking_t *r)
{
    const moe_scenario_t *s = r->scenario;
    const moe_ascend_t revision = s->select.revision;
    const moe_ascend_facts_t f = moe_selection_facts(s);
    const char *name = moe_ascend_method(moe_ascend_choose(revision, &f));

    (void)snprintf(r->reason, REASON,
                   "takes %s: at most %lld token%s a dp rank, capacity of MC2 "
                   "%lld, device %s, tp %d, ep %d, %d ranks",
                   name, (long long)f.tokens, f.tokens == 1 ? "" : "s",
                   (long long)moe_ascend_capacity(revision, &f),
                   moe_ascend_device_word(f.device), f.tp, f.ep, f.dp * f.tp);
    for (size_t i = 0; i < s->n_methods && r->chosen < 0; i++) {
        if (strcmp(s->method[i].method->name, name) == 0) {
            r->chosen = (int)i;
        }
    }
    if (r->chosen < 0) {
        tell_missing(r, name);
    }
}

static json_t *ranking_list(const ranking_t *r)
{
    json_t *list = json_array();
    bool good = list != NULL;

    for (size_t i = 0; i < r->n && good; i++) {
        const place_t *p = &r->place[i];

        good = moe_json_append(
            list,
            json_pack("{s:s, s:f, s:f, s:f, s:b}", "label", p->label,
                      "predicted_us", p->us, "low_us", p->low_us, "high_us",
                      p->high_us, "indistinguishable", (int)is_tied(r, i)));
    }
    return list;
}

/* Predicted time of a place over that of the cheapest, less 1. */
static json_t *excess(const ranking_t *r, size_t place)
{
    if (place >= r->n || r->place[0].us <= 0.0) {
        return json_null();
    }
    return json_real(r->place[place].us / r->place[0].us - 1.0);
}

static size_t place_of(const ranking_t *r, int number)
{
    size_t i = 0;

    while (i < r->n && (int)r->place[i].number != number) {
        i++;
    }
    return i;
}

static json_t *selection_object(const ranking_t *r)
{
    const moe_scenario_t *s = r->scenario;
    const bool rule = s->select.kind == MOE_SELECT_ascend;
    char name[MOE_SELECT_TEXT];
    json_t *object = json_object();
    const bool good =
        moe_json_set(object, "rule",
                     json_string(moe_select_name(&s->select, name))) &&
        moe_json_set(
            object, "source",
            rule ? json_string(moe_ascend_revision(s->select.revision)->source)
                 : json_null()) &&
        moe_json_set(object, "chosen",
                     r->chosen < 0 ? json_null()
                                   : json_string(s->method[r->chosen].label)) &&
        moe_json_set(object, "reason", json_string(r->reason)) &&
        moe_json_set(object, "margin", excess(r, 1)) &&
        moe_json_set(object, "above_cheapest",
                     excess(r, place_of(r, r->chosen))) &&
        moe_json_set(object, "ranking", ranking_list(r));

    if (!good) {
        json_decref(object);
        return NULL;
    }
    return object;
}

moe_status_t moe_selection_make(const moe_scenario_t *scenario,
                                const json_t *methods, int *chosen_p,
                                json_t **json_p)
{
    ranking_t r = {.scenario = scenario, .chosen = -1};
    moe_status_t status = rank(methods, &r);
    json_t *object;

    if (status != MOE_OK) {
        return status;
    }
    if (scenario->select.kind == MOE_SELECT_auto) {
        choose_cheapest(&r);
    } else {
        choose_ascend(&r);
    }
    object = selection_object(&r);
    free(r.place);
    if (object == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a selection");
    }
    *chosen_p = r.chosen;
    *json_p = object;
    return MOE_OK;
}
