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
    const moe_constant_t *constant;
    double rise_us;
    double fall_us;
} mover_t;

void moe_cost_add(moe_cost_t *sum, const moe_cost_t *more)
{
    for (int i = 0; i < MOE_COST_COUNT; i++) {
        sum->s[i] += more->s[i];
        sum->beyond[i] += more->beyond[i];
    }
}

static double sum_of(const double *s, int first, int n)
{
    double sum = 0.0;

    for (int i = first; i < first + n; i++) {
        sum += s[i];
    }
    return sum;
}

double moe_cost_seconds(const moe_cost_t *cost)
{
    return sum_of(cost->s, 0, MOE_COST_COUNT);
}

moe_parts_t moe_cost_parts(const moe_cost_t *cost)
{
    moe_parts_t parts;

    parts.launch = US_PER_S * sum_of(cost->s, MOE_COST_launch, 2);
    parts.latency = US_PER_S * sum_of(cost->s, MOE_COST_latency, MOE_TIERS_MAX);
    parts.bandwidth =
        US_PER_S * sum_of(cost->s, MOE_COST_bandwidth, MOE_TIERS_MAX);
    parts.memory = US_PER_S * cost->s[MOE_COST_memory];
    parts.compute =
        US_PER_S * sum_of(cost->s, MOE_COST_compute, MOE_FORMAT_COUNT);
    return parts;
}

/* Constants that one fit gave err together. */
static bool err_together(const moe_constant_t *a, const moe_constant_t *b)
{
    return a->kind == MOE_PROVENANCE_fitted && b->kind == a->kind &&
           strcmp(a->source, b->source) == 0;
}

static const moe_constant_t *constant_at(const moe_machine_t *machine, int i)
{
    switch (i) {
    case HBM:
        return &machine->hbm_bytes_per_s;
    case MEMORY_EFFICIENCY:
        return &machine->memory_efficiency;
    case MATMUL_EFFICIENCY:
        return &machine->matmul_efficiency;
    case LAUNCH:
        return &machine->launch_s;
    case COLLECTIVE:
        return &machine->collective_s;
    default:
        if (i < MATMUL_EFFICIENCY) {
            return &machine->flops[i - FLOPS];
        }
        return (i - TIERS) % 2 == 1
                   ? &machine->tier[(i - TIERS) / 2].latency_s
                   : &machine->tier[(i - TIERS) / 2].bw_bytes_per_s;
    }
}

/* Of seconds by term those that are proportional to a constant. */
static double seconds_at(const double *s, int i)
{
    switch (i) {
    case HBM:
    case MEMORY_EFFICIENCY:
        return s[MOE_COST_memory];
    case MATMUL_EFFICIENCY:
        return sum_of(s, MOE_COST_compute, MOE_FORMAT_COUNT);
    case LAUNCH:
        return s[MOE_COST_launch];
    case COLLECTIVE:
        return s[MOE_COST_collective];
    default:
        if (i < MATMUL_EFFICIENCY) {
            return s[MOE_COST_compute + i - FLOPS];
        }
        return s[((i - TIERS) % 2 == 1 ? MOE_COST_latency
                                       : MOE_COST_bandwidth) +
                 (i - TIERS) / 2];
    }
}

/* Constants that move a cost, those of one fit joined; their number. */
static int movers_of(const moe_machine_t *machine, const moe_cost_t *cost,
                     mover_t *mover)
{
    int n = 0;

    for (int i = 0; i < moe_constant_count(machine); i++) {
        const moe_constant_t *c = constant_at(machine, i);
        double rise = US_PER_S * c->error *
                      (seconds_at(cost->s, i) + seconds_at(cost->beyond, i));
        int m = 0;

        if (!(rise > 0.0)) {
            continue;
        }
        while (m < n && !err_together(mover[m].constant, c)) {
            m++;
        }
        if (m == n) {
            mover[n++] = (mover_t){.constant = c};
        }
        mover[m].rise_us += rise;
        mover[m].fall_us += rise / (1.0 + c->error);
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

/* Key of a constant in the machine file, and its unit. */
static const char *name_of(const moe_machine_t *machine, int i, char *name,
                           size_t size)
{
    static const struct {
        const char *name;
        const char *unit;
    } single[TIERS] = {
        [HBM] = {"hbm_bytes_per_s", "bytes/s"},
        [MEMORY_EFFICIENCY] = {"memory_efficiency", ""},
        [MATMUL_EFFICIENCY] = {"matmul_efficiency", ""},
        [LAUNCH] = {"launch_s", "s"},
        [COLLECTIVE] = {"collective_s", "s"},
    };
    bool is_latency = (i - TIERS) % 2 == 1;

    if (i >= TIERS) {
        (void)snprintf(name, size, "tiers.%s.%s",
                       machine->tier[(i - TIERS) / 2].name,
                       is_latency ? "latency_s" : "bw_bytes_per_s");
        return is_latency ? "s" : "bytes/s";
    }
    if (i >= FLOPS && i < MATMUL_EFFICIENCY) {
        (void)snprintf(name, size, "flops.%s",
                       moe_format_name((moe_format_t)(i - FLOPS)));
        return "flop/s";
    }
    (void)snprintf(name, size, "%s", single[i].name);
    return single[i].unit;
}

moe_price_constant_t moe_constant_get(const moe_machine_t *machine, int i,
                                      const moe_cost_t *cost)
{
    moe_price_constant_t c = {.us = US_PER_S * seconds_at(cost->s, i)};

    c.constant = *constant_at(machine, i);
    c.unit = name_of(machine, i, c.name, sizeof(c.name));
    return c;
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
    moe_cost_t nothing = {.s = {0}};

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
