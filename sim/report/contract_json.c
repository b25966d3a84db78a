/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report/method_json.h"

/* The points that round, in the order of a token's way, with their formats. */
static json_t *rounds(const moe_chain_t *chain)
{
    json_t *list = json_array();

    for (int p = 0; p < (int)MOE_ROUNDING_COUNT; p++) {
        const moe_rounding_t point = (moe_rounding_t)p;
        const moe_role_t role = moe_rounding_role(point);

        if (moe_chain_rounds(chain, point) &&
            !moe_json_append(
                list,
                json_pack("{s:s, s:s}", "point", moe_rounding_name(point),
                          "format", moe_format_name(chain->at[role].format)))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *moe_json_contract(const moe_chain_t *chain)
{
    const bool exact = chain->numerics == MOE_NUMERICS_exact;
    const moe_contract_t *contract = &chain->contract;

    return json_pack("{s:o, s:s, s:s, s:s}", "rounds", rounds(chain), "sum",
                     moe_order_name(exact ? MOE_ORDER_exact : contract->sum),
                     "reduce",
                     moe_order_name(exact ? MOE_ORDER_exact : contract->reduce),
                     "weigh", moe_weigh_name(contract->weigh));
}
