/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prices of drawn routings.
 *
 * How it works: one draw says little where a rank has few tokens, so several
 * are priced and the median is the prediction. Their number is odd: the
 * median is a draw, so that its stages, parts and timeline add up to it.
 * Test: tests/e2e/price.sh.
 */
#include "sim/price/draws.h"

#include "moe/placed.h"
#include "sim/report/method_json.h"
#include "sim/price/methods.h"
#include "sim/inputs/inputs.h"

#include <math.h>
#include <string.h>

#define ALL_STAGES  ((1u << MOE_STAGE_COUNT) - 1)
#define SEED_STEP   0x9e3779b97f4a7c15U /* 2^64 / golden ratio */
#define NORMAL_90   1.645
#define FEW_TOKENS  (1 << 12)
#define FEW_RANKS   64
#define MANY_TOKENS (1 << 14) /* more vary by less than the constants: 1 % */
#define MANY_RANKS  1024

int moe_draws_count(const moe_scenario_t *scenario)
{
    int64_t tokens = moe_layer_total_tokens(&scenario->layer);
    int ranks = moe_layout_world(&scenario->layer.layout);

    if (scenario->router == MOE_ROUTER_trace || tokens == 0) {
        return 1;
    }
    if (tokens <= FEW_TOKENS && ranks <= FEW_RANKS) {
        return MOE_DRAWS_MAX;
    }
    return tokens <= MANY_TOKENS && ranks <= MANY_RANKS ? 3 : 1;
}

static moe_status_t draw_one(const moe_scenario_t *scenario, int i,
                             moe_routing_t *routing)
{
    const moe_sampler_t uniform = {.kind = MOE_SAMPLER_uniform};
    int64_t total = moe_layer_total_tokens(&scenario->layer);

    if (scenario->router == MOE_ROUTER_trace) {
        return moe_routing_read(scenario, 0, total, routing);
    }
    return moe_routing_sample(
        &scenario->model,
        scenario->router == MOE_ROUTER_sample ? &scenario->sampler : &uniform,
        scenario->seed + (uint64_t)i * SEED_STEP, 0, total, routing);
}

/* By slots, where experts are placed: by the load of this very draw. */
static moe_status_t make_one(const moe_scenario_t *scenario, int i,
                             moe_routing_t *routing)
{
    moe_status_t status = draw_one(scenario, i, routing);

    if (status == MOE_OK) {
        status = moe_routing_place(&scenario->layer, routing);
        if (status != MOE_OK) {
            moe_routing_fini(routing);
        }
    }
    return status;
}

moe_status_t moe_draws_init(const moe_scenario_t *scenario,
                            moe_draws_t *draws_p)
{
    moe_draws_t draws = {0};
    int n = moe_draws_count(scenario);
    moe_status_t status = MOE_OK;

    while (draws.n < n && status == MOE_OK) {
        status = make_one(scenario, draws.n, &draws.routing[draws.n]);
        draws.n += status == MOE_OK;
    }
    if (status != MOE_OK) {
        moe_draws_fini(&draws);
        return status;
    }
    *draws_p = draws;
    return MOE_OK;
}

void moe_draws_fini(moe_draws_t *draws)
{
    for (int i = 0; i < draws->n; i++) {
        moe_routing_fini(&draws->routing[i]);
    }
    draws->n = 0;
}

static double us_of(const json_t *method, const char *key)
{
    return json_number_value(json_object_get(method, key));
}

/* The draw in the middle; of equal ones the first. */
static int median_of(const double *us, int n)
{
    for (int i = 0; i < n; i++) {
        int below = 0;
        int equal = 0;

        for (int k = 0; k < n; k++) {
            below += us[k] < us[i];
            equal += !(us[k] < us[i]) && !(us[k] > us[i]);
        }
        if (below <= n / 2 && n / 2 < below + equal) {
            return i;
        }
    }
    return 0;
}

static double spread_of(const double *us, int n, double at)
{
    double sum = 0.0;
    double squares = 0.0;

    for (int i = 0; i < n; i++) {
        sum += us[i] - at;
        squares += (us[i] - at) * (us[i] - at);
    }
    return n < 2 ? 0.0 : sqrt(fmax(0.0, squares - sum * sum / n) / (n - 1));
}

/* Interval of the constants and of the draws; and the draws' own times. */
static bool tell_draws(json_t *method, const double *us, int n)
{
    double at = us_of(method, "predicted_us");
    double up = NORMAL_90 * spread_of(us, n, at);
    double down = up;
    json_t *list = json_array();
    bool good = list != NULL;

    for (int i = 0; i < n && good; i++) {
        up = fmax(up, us[i] - at);
        down = fmax(down, at - us[i]);
        good = moe_json_append(list, json_real(us[i]));
    }
    down = at - hypot(at - us_of(method, "low_us"), down);
    up = at + hypot(us_of(method, "high_us") - at, up);
    return moe_json_set(method, "draws_us", list) && good &&
           moe_json_set(method, "low_us",
                        json_real(fmax(at * at / up, down))) &&
           moe_json_set(method, "high_us", json_real(up));
}

static moe_status_t price_one(const moe_scenario_t *scenario,
                              const moe_method_use_t *use,
                              const moe_routing_t *routing, json_t **json_p)
{
    return moe_price_methods_one(scenario, use, routing, NULL, ALL_STAGES,
                                 json_p);
}

/* Times of the draws after the first. */
static moe_status_t time_others(const moe_scenario_t *scenario,
                                const moe_method_use_t *use,
                                const moe_draws_t *draws, double *us)
{
    moe_status_t status = MOE_OK;

    for (int i = 1; i < draws->n && status == MOE_OK; i++) {
        status =
            moe_price_methods_us(scenario, use, &draws->routing[i], &us[i]);
    }
    return status;
}

/* *json_p is draw 0's, and becomes that of the draw in the middle,
 * *draw_p. */
static moe_status_t take_middle(const moe_scenario_t *scenario,
                                const moe_method_use_t *use,
                                const moe_draws_t *draws, int *draw_p,
                                json_t **json_p)
{
    double us[MOE_DRAWS_MAX] = {us_of(*json_p, "predicted_us")};
    moe_status_t status = time_others(scenario, use, draws, us);
    int middle = median_of(us, draws->n);

    if (status == MOE_OK && middle > 0) {
        json_t *first = *json_p;

        status = price_one(scenario, use, &draws->routing[middle], json_p);
        if (status == MOE_OK) {
            json_decref(first);
        }
    }
    if (status == MOE_OK && !tell_draws(*json_p, us, draws->n)) {
        status = moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    *draw_p = middle;
    return status;
}

moe_status_t moe_draws_price(const moe_scenario_t *scenario,
                             const moe_method_use_t *use,
                             const moe_draws_t *draws, int *draw_p,
                             json_t **json_p)
{
    json_t *method = NULL;
    moe_status_t status = price_one(scenario, use, &draws->routing[0], &method);

    *draw_p = 0;
    /* what is refused, or has no machine, is so by every routing alike */
    if (status == MOE_OK &&
        json_is_number(json_object_get(method, "predicted_us"))) {
        status = take_middle(scenario, use, draws, draw_p, &method);
    }
    if (status != MOE_OK) {
        json_decref(method);
        return status;
    }
    *json_p = method;
    return MOE_OK;
}
