/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/price/fits.h"

#include "moe/fill.h"
#include "reports/units.h"
#include "sim/report/head.h"

static int64_t matrix_bytes(const moe_scenario_t *scenario, moe_weight_t weight)
{
    return moe_weight_rows(&scenario->model, weight) *
           moe_format_row_bytes(scenario->layer.chain.weights,
                                moe_weight_cols(&scenario->model, weight));
}

int64_t moe_expert_bytes(const moe_scenario_t *scenario)
{
    const moe_layout_t *layout = &scenario->layer.layout;
    moe_range_t most =
        moe_layout_experts(layout, scenario->layer.model->experts, 0);

    return (most.end - most.begin) *
           (matrix_bytes(scenario, MOE_W13) + matrix_bytes(scenario, MOE_W2));
}

moe_status_t moe_price_warn_memory(const moe_scenario_t *scenario,
                                   json_t *document)
{
    const char *format = moe_format_name(scenario->layer.chain.weights);
    const moe_machine_t *machine = &scenario->machine;
    int64_t layer = moe_expert_bytes(scenario);
    int64_t layers = scenario->model.moe_layers;
    char one[MOE_UNIT_SIZE];
    char all[MOE_UNIT_SIZE];
    char room[MOE_UNIT_SIZE];

    if (layer <= machine->hbm_bytes &&
        (layers < 1 || layer <= machine->hbm_bytes / layers)) {
        return MOE_OK;
    }
    (void)moe_unit_bytes(layer, one);
    (void)moe_unit_bytes(machine->hbm_bytes, room);
    if (layer > machine->hbm_bytes || layers < 1) {
        return moe_report_warn(
            document,
            "one layer does not fit: the weights of a rank's experts of %s "
            "take %s in %s with ep %d, a device of %s has %s",
            scenario->model.name, one, format, scenario->layer.layout.ep,
            machine->name, room);
    }
    return moe_report_warn(
        document,
        "the model does not fit: the weights of a rank's experts of %s take "
        "%s a layer and %s in its %lld MoE layers, in %s with ep %d; a device "
        "of %s has %s",
        scenario->model.name, one, moe_unit_bytes(layer * layers, all),
        (long long)layers, format, scenario->layer.layout.ep, machine->name,
        room);
}
