/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What sim/check/gate.c and sim/check/gate_given.c share.
 */
#ifndef SIM_CHECK_GATE_INSIDE_H
#define SIM_CHECK_GATE_INSIDE_H

#include "sim/check/gate.h"
#include "sim/golden/gate.h"

struct moe_check_gate {
    moe_golden_gate_t gate;
    moe_routing_t routing; /* of all tokens, by the scenario's logits */
    moe_range_t tokens;    /* whose choices are by GOT's logits */
    int32_t *ids;          /* [tokens][k] those; NULL: nobody's */
    float *weights;
    int64_t doubt; /* dropped choices of the rank that may be other experts';
                    * -1: its router was not judged */
    int64_t *room; /* [E] of these, how many may be an expert's, or not */
};

#endif
