/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/contract.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    moe_role_t role;
    bool exact;
    const char *text;
} points[MOE_ROUNDING_COUNT] = {
#define MOE_ROUNDING(id, role, exact, text)                                    \
    [MOE_ROUNDING_##id] = {#id, MOE_ROLE_##role, exact, text},
#include "moe/rounding.def"
#undef MOE_ROUNDING
};

enum {
    OVER_SLOTS = 1,
    OVER_RANKS = 2,
    OVER_BOTH = 3
};

static const struct {
    const char *name;
    int over;
    const char *text;
    const char *source;
} orders[MOE_ORDER_COUNT] = {
#define MOE_ORDER(id, over, text, source)                                      \
    [MOE_ORDER_##id] = {#id, OVER_##over, text, source},
#include "moe/order.def"
#undef MOE_ORDER
};

static const struct {
    const char *name;
    const char *text;
} weighs[MOE_WEIGH_COUNT] = {
#define MOE_WEIGH(id, text) [MOE_WEIGH_##id] = {#id, text},
#include "moe/weigh.def"
#undef MOE_WEIGH
};

bool moe_contract_rounds(const moe_contract_t *contract, moe_rounding_t point,
                         bool quantised_or_faithful)
{
    return (contract->points >> point & 1) != 0 &&
           (quantised_or_faithful || points[point].exact);
}

moe_contract_t moe_contract_default(void)
{
    moe_contract_t contract = {
        .points = MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(partial) |
                  MOE_ROUND(output),
        .sum = MOE_ORDER_fp32_slot,
        .reduce = MOE_ORDER_rank,
        .weigh = MOE_WEIGH_output,
    };

    return contract;
}

void moe_contract_weigh_activation(bool activation, moe_contract_t *contract)
{
    if (activation) {
        contract->weigh = MOE_WEIGH_activation;
        contract->points |= MOE_ROUND(weighted_act);
        contract->sum = MOE_ORDER_expert;
        contract->points &= ~MOE_ROUND(weighted_sum);
    }
}

void moe_contract_fused_moe(const moe_model_t *model, moe_contract_t *contract)
{
    if (!model->weight_on_input) {
        contract->points |= MOE_ROUND(weighted_sum);
    }
    contract->sum = model->topk >= 2 && model->topk <= 4
                        ? MOE_ORDER_storage
                        : MOE_ORDER_storage_terms;
}

void moe_contract_of_model(const moe_model_t *model, moe_contract_t *contract)
{
    if (model->weight_on_input) {
        contract->weigh = MOE_WEIGH_input;
        contract->points |= MOE_ROUND(weighted_in);
    }
}

void moe_rounding_text(moe_rounding_set_t set, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < MOE_ROUNDING_COUNT && used < size; i++) {
        if ((set >> i & 1) != 0) {
            used += (size_t)snprintf(text + used, size - used, "%s%s",
                                     used > 0 ? ", " : "", points[i].name);
        }
    }
}

const char *moe_rounding_name(moe_rounding_t point)
{
    return (unsigned)point < MOE_ROUNDING_COUNT ? points[point].name : "?";
}

const char *moe_rounding_note(moe_rounding_t point)
{
    return (unsigned)point < MOE_ROUNDING_COUNT ? points[point].text : "?";
}

moe_role_t moe_rounding_role(moe_rounding_t point)
{
    return (unsigned)point < MOE_ROUNDING_COUNT ? points[point].role
                                                : MOE_ROLE_none;
}

const char *moe_order_name(moe_order_t order)
{
    return (unsigned)order < MOE_ORDER_COUNT ? orders[order].name : "?";
}

const char *moe_order_text(moe_order_t order)
{
    return (unsigned)order < MOE_ORDER_COUNT ? orders[order].text : "?";
}

const char *moe_order_source(moe_order_t order)
{
    return (unsigned)order < MOE_ORDER_COUNT ? orders[order].source : "?";
}

const char *moe_weigh_name(moe_weigh_t weigh)
{
    return (unsigned)weigh < MOE_WEIGH_COUNT ? weighs[weigh].name : "?";
}

const char *moe_weigh_text(moe_weigh_t weigh)
{
    return (unsigned)weigh < MOE_WEIGH_COUNT ? weighs[weigh].text : "?";
}

bool moe_order_is_of_slots(moe_order_t order)
{
    return (unsigned)order < MOE_ORDER_COUNT &&
           (orders[order].over & OVER_SLOTS) != 0;
}

bool moe_order_is_of_ranks(moe_order_t order)
{
    return (unsigned)order < MOE_ORDER_COUNT &&
           (orders[order].over & OVER_RANKS) != 0;
}

bool moe_order_find(const char *name, moe_order_t *order_p)
{
    for (int i = 0; i < MOE_ORDER_COUNT; i++) {
        if (strcmp(orders[i].name, name) == 0) {
            *order_p = (moe_order_t)i;
            return true;
        }
    }
    return false;
}
