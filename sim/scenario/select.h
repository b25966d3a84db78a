/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which of a scenario's methods runs: the cheapest by price, or what a rule
 * of vLLM-Ascend takes.
 *
 * Pure functions of agreed numbers and of prices. In a run rank 0 decides
 * before any rank enters a plan, and tells the others.
 */
#ifndef SIM_SCENARIO_SELECT_H
#define SIM_SCENARIO_SELECT_H

#include "sim/scenario/ascend.h"

typedef enum {
    MOE_SELECT_none, /* every method runs */
    MOE_SELECT_auto, /* the lowest prediction */
    MOE_SELECT_ascend
} moe_select_kind_t;

typedef struct {
    moe_select_kind_t kind;
    moe_ascend_t revision; /* of MOE_SELECT_ascend */
    moe_ascend_settings_t ascend;
} moe_select_t;

/** Name of a rule as scenarios write it: "auto", "ascend-2469".
 * @return out. */
#define MOE_SELECT_TEXT 64
const char *moe_select_name(const moe_select_t *select,
                            char out[MOE_SELECT_TEXT]);

#endif
