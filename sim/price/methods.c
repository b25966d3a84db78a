/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/price/methods.h"

#include "models/backend_meta.h"
#include "models/price.h"
#include "models/summary.h"
#include "sim/report/method_json.h"

#include <stdlib.h>
#include <string.h>

/* What one method's trace came to. */
typedef struct {
    moe_summary_t summary;
    moe_price_t *price; /* NULL without a machine */
    moe_price_result_t result;
    bool has_result;
} priced_t;

static void priced_fini(priced_t *priced)
{
    if (priced->has_result) {
        moe_price_result_fini(&priced->result);
    }
    moe_price_free(priced->price);
    moe_summary_fini(&priced->summary);
}

static moe_status_t priced_init(const moe_scenario_t *scenario,
                                priced_t *priced)
{
    int world = moe_layout_world(&scenario->layer.layout);
    moe_status_t status;

    memset(priced, 0, sizeof(*priced));
    status = moe_summary_init(world, world <= MOE_JSON_RANKS, &priced->summary);
    if (status == MOE_OK && scenario->has_machine) {
        status = moe_price_create(&scenario->machine, world, &priced->price);
        if (status != MOE_OK) {
            moe_summary_fini(&priced->summary);
        }
    }
    return status;
}

static moe_status_t play(const moe_scenario_t *scenario,
                         const moe_method_use_t *use,
                         const moe_routing_t *routing,
                         const moe_backend_t *like, moe_stage_set_t stages,
                         priced_t *priced)
{
    const moe_trace_sink_t sums = moe_summary_sink(&priced->summary);
    const moe_trace_sink_t times = {.self = priced->price,
                                    .record = moe_price_record};
    moe_tee_t tee = {.n = priced->price != NULL ? 2 : 1,
                     .sink = {&sums, &times}};
    const moe_trace_sink_t both = moe_tee_sink(&tee);
    moe_status_t status;

    status =
        moe_meta_run(&scenario->layer, use, routing, like, stages, &both, NULL);
    if (status == MOE_OK && priced->price != NULL) {
        status = moe_price_finish(priced->price, &priced->result);
        priced->has_result = status == MOE_OK;
    }
    return status;
}

static moe_status_t describe(const moe_scenario_t *scenario,
                             const moe_method_use_t *use,
                             const moe_layer_t *layer,
                             const moe_routing_t *routing,
                             const priced_t *priced, json_t *method)
{
    const moe_price_result_t *result =
        priced->has_result ? &priced->result : NULL;

    if (moe_json_bytes(method, &scenario->model, &priced->summary) &&
        moe_json_counted(method, use, layer, routing) &&
        moe_json_rows(method, use, layer, routing, &priced->summary) &&
        moe_json_imbalance(method, layer, routing) &&
        moe_json_stages(method, &priced->summary, result) &&
        moe_json_price(method, result)) {
        return MOE_OK;
    }
    return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
}

/* A method that cannot run here is a result, no failure. */
static moe_status_t refuse(json_t *method, const char *label, const char *why)
{
    size_t n = strlen(label);

    if (strncmp(why, label, n) == 0 && strncmp(why + n, ": ", 2) == 0) {
        why += n + 2;
    }
    if (json_object_set_new(method, "refused", json_string(why)) != 0) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    return MOE_OK;
}

static moe_status_t price_into(const moe_scenario_t *scenario,
                               const moe_method_use_t *use,
                               const moe_routing_t *routing,
                               const moe_backend_t *like,
                               moe_stage_set_t stages, json_t *method)
{
    const moe_layer_t layer = moe_method_layer(&scenario->layer, use);
    const char *why = NULL;
    moe_status_t status;
    priced_t priced;

    if (use->method->check != NULL) {
        why = use->method->check(&layer, use->options);
    }
    if (why != NULL) {
        return refuse(method, use->label, why);
    }
    status = priced_init(scenario, &priced);
    if (status != MOE_OK) {
        return status;
    }
    status = play(scenario, use, routing, like, stages, &priced);
    if (status == MOE_OK) {
        status = describe(scenario, use, &layer, routing, &priced, method);
    } else if (status == MOE_ERR_UNSUPPORTED) {
        status = refuse(method, use->label, moe_error_text());
        moe_error_clear();
    }
    priced_fini(&priced);
    return status;
}

moe_status_t moe_price_methods_one(const moe_scenario_t *scenario,
                                   const moe_method_use_t *use,
                                   const moe_routing_t *routing,
                                   const moe_backend_t *like,
                                   moe_stage_set_t stages, json_t **json_p)
{
    json_t *method = moe_json_method(use);
    moe_status_t status;

    if (method == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    status = price_into(scenario, use, routing, like, stages, method);
    if (status != MOE_OK) {
        json_decref(method);
        return status;
    }
    *json_p = method;
    return MOE_OK;
}

moe_status_t moe_price_methods_us(const moe_scenario_t *scenario,
                                  const moe_method_use_t *use,
                                  const moe_routing_t *routing, double *us_p)
{
    moe_price_result_t result;
    moe_trace_sink_t times = {.record = moe_price_record};
    moe_price_t *price;
    moe_status_t status = moe_price_create(
        &scenario->machine, moe_layout_world(&scenario->layer.layout), &price);

    if (status != MOE_OK) {
        return status;
    }
    times.self = price;
    status = moe_meta_run(&scenario->layer, use, routing, NULL,
                          (1u << MOE_STAGE_COUNT) - 1, &times, NULL);
    if (status == MOE_OK) {
        status = moe_price_finish(price, &result);
    }
    if (status == MOE_OK) {
        *us_p = result.total.us;
        moe_price_result_fini(&result);
    }
    moe_price_free(price);
    return status;
}
