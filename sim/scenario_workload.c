/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario_parts.h"

#include <string.h>

static void read_sample(moe_build_t *b, const moe_at_t *at)
{
    moe_sampler_t *sampler = &b->s->sampler;
    moe_at_t sample = moe_at_key(at, "sample");
    moe_at_t s = moe_at_key(at, "s");
    const moe_key_t *s_key = moe_schema_find(MOE_SECTION_router, "s");
    int kind;

    if (!moe_at_value(&sample, moe_schema_find(MOE_SECTION_router, "sample"),
                      &kind, sizeof(kind))) {
        return;
    }
    b->s->router = MOE_ROUTER_sample;
    sampler->kind = (moe_sampler_kind_t)kind;
    if (sampler->kind != MOE_SAMPLER_zipf) {
        if (moe_at_given(&s)) {
            moe_at_error(&s, "belongs to zipf, expected none with %s",
                         moe_sampler_name(sampler->kind));
        }
        return;
    }
    if (moe_at_given(&s)) {
        (void)moe_at_value(&s, s_key, &sampler->s, sizeof(sampler->s));
    } else {
        (void)moe_key_standard(s_key, &sampler->s, sizeof(sampler->s));
    }
}

static void read_router(moe_build_t *b, const moe_at_t *at)
{
    static const char *const words[] = {"data"};
    moe_at_t sample = moe_at_key(at, "sample");
    moe_at_t trace = moe_at_key(at, "trace");

    if (!moe_at_given(at)) {
        return;
    }
    if (!moe_at_is(at, MOE_YAML_MAP)) {
        (void)moe_at_name(at, "'data', {sample: NAME} or {trace: FILE}", words,
                          1);
        return;
    }
    moe_at_check_keys(at, MOE_SECTION_router);
    if (moe_at_given(&sample) == moe_at_given(&trace)) {
        moe_at_error(at, "has %s, expected exactly one of 'sample' and 'trace'",
                     moe_at_given(&sample) ? "both" : "neither");
    } else if (moe_at_given(&sample)) {
        read_sample(b, at);
    } else {
        b->s->router = MOE_ROUTER_trace;
        b->s->router_trace = moe_at_file(&trace);
    }
}

static void read_data(moe_build_t *b, const moe_at_t *at)
{
    static const char *const words[] = {"normal"};
    moe_at_t hidden = moe_at_key(at, "hidden");
    moe_at_t gate = moe_at_key(at, "gate");

    if (!moe_at_given(at)) {
        return;
    }
    if (!moe_at_is(at, MOE_YAML_MAP)) {
        (void)moe_at_name(at, "'normal', or {hidden: FILE, gate: FILE}", words,
                          1);
        return;
    }
    moe_at_check_keys(at, MOE_SECTION_data);
    if (moe_at_given(&hidden)) {
        b->s->hidden_file = moe_at_file(&hidden);
    }
    if (moe_at_given(&gate)) {
        b->s->gate_file = moe_at_file(&gate);
    }
}

void moe_scenario_read_workload(moe_build_t *b)
{
    moe_at_t at = moe_at_key(&b->root, "workload");
    moe_at_t phase = moe_at_key(&at, "phase");
    moe_at_t router = moe_at_key(&at, "router");
    moe_at_t data = moe_at_key(&at, "data");
    int value = MOE_PHASE_prefill;

    if (!moe_at_given(&at)) {
        return; /* told by the scenario's own section */
    }
    moe_at_check_keys(&at, MOE_SECTION_workload);
    if (moe_at_given(&phase)) {
        (void)moe_at_value(&phase,
                           moe_schema_find(MOE_SECTION_workload, "phase"),
                           &value, sizeof(value));
    }
    b->s->layer.phase = (moe_phase_t)value;
    read_router(b, &router);
    read_data(b, &data);
}
