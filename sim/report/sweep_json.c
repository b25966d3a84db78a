/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/report/sweep_json.h"

#include "sim/report/method_json.h"
#include "sim/report/head.h"

moe_status_t moe_sweep_point_json(const moe_sweep_points_t *points, size_t i,
                                  const moe_scenario_t *scenario,
                                  json_t **point_p)
{
    const moe_layer_t *layer = &scenario->layer;
    json_t *point = json_object();
    json_t *set = json_object();
    bool good = true;
    size_t k;

    for (k = 0; k < points->n_keys; ++k) {
        good = good && moe_json_set(set, points->key[k],
                                    json_string(moe_sweep_value(points, i, k)));
    }
    good =
        moe_json_set(point, "set", set) && good &&
        moe_json_set(point, "digest", json_string(scenario->digest)) &&
        moe_json_set(point, "ranks",
                     json_integer(moe_layout_world(&layer->layout))) &&
        moe_json_set(point, "model", json_string(scenario->model.name)) &&
        moe_json_set(point, "machine",
                     scenario->has_machine ? json_string(scenario->machine.name)
                                           : json_null()) &&
        moe_json_set(point, "methods", json_array()) &&
        moe_report_set_tokens(point, layer) == MOE_OK;
    if (!good) {
        json_decref(point);
        return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    *point_p = point;
    return MOE_OK;
}
