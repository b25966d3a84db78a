/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collectives.
 *
 * How it works: one start, a latency a step, and the bytes of the busiest
 * member over what a port reaches on the smallest tier that holds the group.
 * A switch gives a rank its whole port whoever its peers are; on a full mesh
 * n of size ranks use only the links between them.
 * Source: Hockney's alpha-beta; for uneven groups the port law T >= T0 +
 * max over ranks of max(out, in) / B.
 * Cost: collective_s + steps latency_s + bytes / bw; collective_s alone for a
 * rank that calls in a group of its own.
 * Test: tests/check_price.c, tests/check_nccl.c.
 */
#include "models/cost.h"

#include <math.h>
#include <string.h>

moe_status_t moe_cost_tier(const moe_machine_t *machine, int low, int high,
                           int *tier_p)
{
    for (int t = 0; t < machine->n_tiers; t++) {
        int size = machine->tier[t].size;

        if (size > 0 && low / size == high / size) {
            *tier_p = t;
            return MOE_OK;
        }
    }
    return moe_fail(MOE_ERR_RANGE,
                    "machine %s has no tier that joins ranks %d and %d: its "
                    "largest, %s, joins %d",
                    machine->name, low, high,
                    machine->tier[machine->n_tiers - 1].name,
                    machine->tier[machine->n_tiers - 1].size);
}

static double bandwidth(const moe_tier_t *tier, int n)
{
    double bw = tier->bw_bytes_per_s.value;

    if (strcmp(tier->topology, "full_mesh") == 0 && tier->size > n) {
        bw *= (double)(n - 1) / (double)(tier->size - 1);
    }
    return bw;
}

/* Seconds of a constant, and what they lack of certainty beyond its range. */
static void set_term(moe_cost_t *cost, int term, double seconds,
                     const moe_constant_t *constant, int n)
{
    cost->s[term] = seconds;
    if (constant->ranks > 0 && n > constant->ranks) {
        cost->beyond[term] = seconds * log2((double)n / constant->ranks);
    }
}

moe_cost_t moe_cost_collective(const moe_machine_t *machine, int tier, int n,
                               int64_t bytes, int steps)
{
    const moe_tier_t *links = &machine->tier[tier];
    moe_cost_t cost = {.s = {0}};

    if (n == 1) { /* called, with nobody to send to */
        set_term(&cost, MOE_COST_collective, machine->collective_s.value,
                 &machine->collective_s, n);
    } else if (bytes > 0) {
        set_term(&cost, MOE_COST_collective, machine->collective_s.value,
                 &machine->collective_s, n);
        set_term(&cost, MOE_COST_latency + tier, steps * links->latency_s.value,
                 &links->latency_s, n);
        set_term(&cost, MOE_COST_bandwidth + tier,
                 (double)bytes / bandwidth(links, n), &links->bw_bytes_per_s,
                 n);
    }
    return cost;
}
