/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A method's gate with capacity, in process: what it leaves of each dp rank's
 * choices, of which its capacity is.
 */
#ifndef SIM_GOLDEN_GATE_H
#define SIM_GOLDEN_GATE_H

#include "moe/routing.h"
#include "sim/scenario/scenario.h"

typedef struct {
    const moe_scenario_t *scenario; /* kept */
    const moe_method_use_t *use;    /* kept; NULL: no gate */
    moe_layer_t layer;              /* as the method lays it */
    moe_gate_rule_t rule;
    int64_t capacity;  /* C */
    int32_t *location; /* [tokens][k] row of C that a pair has; -1 dropped */
    int32_t *counts;   /* [dp][E] tokens that choose an expert, before that */
    float *loss;       /* [dp] */
} moe_golden_gate_t;

/**
 * The gate of a method, if it has one, without results yet.
 * @param[in]  all   The routing of all tokens, as the router chose.
 * @param[out] gate_p  Ended with moe_golden_gate_fini(), which accepts a
 *                     zeroed object.
 */
moe_status_t moe_golden_gate_init(const moe_scenario_t *scenario,
                                  const moe_method_use_t *use,
                                  const moe_routing_t *all,
                                  moe_golden_gate_t *gate_p);
void moe_golden_gate_fini(moe_golden_gate_t *gate);

/** True if there is a gate and it can drop. */
bool moe_golden_gate_drops(const moe_golden_gate_t *gate);

/**
 * Gate the tokens of a dp rank.
 * @param[in]     logits   [own tokens][E]; NULL: the scenario's.
 * @param[in,out] ids      [own tokens][k] as routed; then -1 if dropped.
 * @param[in,out] weights  [own tokens][k]; 0 if dropped.
 */
moe_status_t moe_golden_gate_part(moe_golden_gate_t *gate, int dp,
                                  const float *logits, int32_t *ids,
                                  float *weights);

/** The same of all dp ranks. */
moe_status_t moe_golden_gate_all(moe_golden_gate_t *gate, moe_routing_t *all);

/** The same, of what the router chooses by somebody's logits, none of them
 * NaN. */
moe_status_t moe_golden_gate_again(moe_golden_gate_t *gate, int dp,
                                   const float *logits, int32_t *ids,
                                   float *weights);

#endif
