/* SPDX-License-Identifier: Apache-2.0 */
#include "models/cost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define US_PER_S 1e6

/* Constants before and after the matrix rates, in the file's order. */
enum {
    HBM,
    MEMORY_EFFICIENCY,
    FLOPS,
    MATMUL_EFFICIENCY = FLOPS + MOE_FORMAT_COUNT,
    LAUNCH,
    COLLECTIVE,
    TIERS, /* bandwidth and latency of each */
    CONSTANTS_MAX = TIERS + 2 * MOE_TIERS_MAX
};

/* A constant, or several of one fit, and what it moves of a cost. */
typedef struct {
    moe_constant_t constant;
    double rise_us;
    double fall_us;
} mover_t;

void moe_cost_add(moe_cost_t *sum, const moe_cost_t *more)
{
    for (int i = 0; i < MOE_COST_COUNT; i++) {
        sum->s[i] += more->s[i];
    }
}

static double sum_of(const moe_cost_t *cost, int first, int n)
{
    double sum = 0.0;

    for (int i = first; i < first + n; i++) {
        sum += cost->s[i];
    }
    return sum;
}

double moe_cost_seconds(const moe_cost_t *cost)
{
    return sum_of(cost, 0, MOE_COST_COUNT);
}

moe_parts_t moe_cost_parts(const moe_cost_t *cost)
{
    moe_parts_t parts;

    parts.launch = US_PER_S * sum_of(cost, MOE_COST_launch, 2);
    parts.latency = US_PER_S * sum_of(cost, MOE_COST_latency, MOE_TIERS_MAX);
    parts.bandwidth =
        US_PER_S * sum_of(cost, MOE_COST_bandwidth, MOE_TIERS_MAX);
    parts.memory = US_PER_S * cost->s[MOE_COST_memory];
    parts.compute = US_PER_S * sum_of(cost, MOE_COST_compute, MOE_FORMAT_COUNT);
    return parts;
}

/* Constants that one fit gave err together. */
static bool err_together(const moe_constant_t *a, const moe_constant_t *b)
{
    return a->kind == MOE_PROVENANCE_fitted && b->kind == a->kind &&
           strcmp(a->source, b->source) == 0;
}

/* Constants that move a cost, those of one fit joined; their number. */
static int movers_of(const moe_machine_t *machine, const moe_cost_t *cost,
                     mover_t *mover)
{
    int n = 0;

    for (int i = 0; i < moe_constant_count(machine); i++) {
        moe_price_constant_t c = moe_constant_get(machine, i, cost);
        double rise = c.us * c.constant.error;
        int m = 0;

        if (!(rise > 0.0)) {
            continue;
        }
        while (m < n && !err_together(&mover[m].constant, &c.constant)) {
            m++;
        }
        if (m == n) {
            mover[n++] = (mover_t){.constant = c.constant};
        }
        mover[m].rise_us += rise;
        mover[m].fall_us += rise / (1.0 + c.constant.error);
    }
    return n;
}

moe_time_t moe_cost_time(const moe_machine_t *machine, const moe_cost_t *cost)
{
    mover_t mover[CONSTANTS_MAX];
    moe_time_t time = {.us = US_PER_S * moe_cost_seconds(cost)};
    double up = 0.0;
    double down = 0.0;
    int n = movers_of(machine, cost, mover);

    for (int i = 0; i < n; i++) {
        up += mover[i].rise_us * mover[i].rise_us;
        down += mover[i].fall_us * mover[i].fall_us;
    }
    time.high_us = time.us + sqrt(up);
    time.low_us = fmax(0.0, time.us - sqrt(down));
    return time;
}

int moe_constant_count(const moe_machine_t *machine)
{
    return TIERS + 2 * machine->n_tiers;
}

static moe_price_constant_t constant_of(const char *name, const char *unit,
                                        const moe_constant_t *constant,
                                        double seconds)
{
    moe_price_constant_t c = {.unit = unit, .us = US_PER_S * seconds};

    c.constant = *constant;
    (void)snprintf(c.name, sizeof(c.name), "%s", name);
    return c;
}

static moe_price_constant_t flops_at(const moe_machine_t *machine, int format,
                                     const moe_cost_t *cost)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "flops.%s",
                   moe_format_name((moe_format_t)format));
    return constant_of(name, "flop/s", &machine->flops[format],
                       cost->s[MOE_COST_compute + format]);
}

static moe_price_constant_t tier_at(const moe_machine_t *machine, int i,
                                    const moe_cost_t *cost)
{
    const moe_tier_t *tier = &machine->tier[i / 2];
    bool is_latency = i % 2 == 1;
    char name[128];

    (void)snprintf(name, sizeof(name), "tiers.%s.%s", tier->name,
                   is_latency ? "latency_s" : "bw_bytes_per_s");
    if (is_latency) {
        return constant_of(name, "s", &tier->latency_s,
                           cost->s[MOE_COST_latency + i / 2]);
    }
    return constant_of(name, "bytes/s", &tier->bw_bytes_per_s,
                       cost->s[MOE_COST_bandwidth + i / 2]);
}

moe_price_constant_t moe_constant_get(const moe_machine_t *machine, int i,
                                      const moe_cost_t *cost)
{
    switch (i) {
    case HBM:
        return constant_of("hbm_bytes_per_s", "bytes/s",
                           &machine->hbm_bytes_per_s, cost->s[MOE_COST_memory]);
    case MEMORY_EFFICIENCY:
        return constant_of("memory_efficiency", "", &machine->memory_efficiency,
                           cost->s[MOE_COST_memory]);
    case MATMUL_EFFICIENCY:
        return constant_of("matmul_efficiency", "", &machine->matmul_efficiency,
                           sum_of(cost, MOE_COST_compute, MOE_FORMAT_COUNT));
    case LAUNCH:
        return constant_of("launch_s", "s", &machine->launch_s,
                           cost->s[MOE_COST_launch]);
    case COLLECTIVE:
        return constant_of("collective_s", "s", &machine->collective_s,
                           cost->s[MOE_COST_collective]);
    default:
        return i < MATMUL_EFFICIENCY ? flops_at(machine, i - FLOPS, cost)
                                     : tier_at(machine, i - TIERS, cost);
    }
}

/* Times may be 0, rates not; a matrix rate of 0 says that there is none. */
static bool is_sound(const moe_price_constant_t *c, int i)
{
    bool may_be_zero = i == LAUNCH || i == COLLECTIVE ||
                       (i >= FLOPS && i < MATMUL_EFFICIENCY) ||
                       (i >= TIERS && (i - TIERS) % 2 == 1);
    double v = c->constant.value;

    return isfinite(v) && (v > 0.0 || (may_be_zero && v >= 0.0)) &&
           isfinite(c->constant.error) && c->constant.error >= 0.0;
}

moe_status_t moe_machine_check(const moe_machine_t *machine)
{
    moe_cost_t nothing = {{0}};

    if (machine->n_tiers < 1 || machine->n_tiers > MOE_TIERS_MAX) {
        return moe_fail(MOE_ERR_RANGE, "machine %s has %d tiers, not 1 to %d",
                        machine->name, machine->n_tiers, MOE_TIERS_MAX);
    }
    for (int i = 0; i < moe_constant_count(machine); i++) {
        moe_price_constant_t c = moe_constant_get(machine, i, &nothing);

        if (!is_sound(&c, i)) {
            return moe_fail(MOE_ERR_RANGE, "machine %s: %s is %g with error %g",
                            machine->name, c.name, c.constant.value,
                            c.constant.error);
        }
    }
    return MOE_OK;
}
