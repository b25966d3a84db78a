/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/workload.h"
#include "ref/grid.h"
#include "sim/scenario/parts.h"

#include <string.h>

/* The step of a workload, which no other distribution has. */
static void read_step(const moe_at_t *at, moe_sampler_t *sampler)
{
    const moe_key_t *key = moe_schema_find(MOE_SECTION_router, "step");
    moe_at_t step = moe_at_key(at, "step");

    if (!moe_at_given(&step)) {
        return;
    }
    if (moe_sampler_is_workload(sampler->kind)) {
        (void)moe_at_value(&step, key, &sampler->step, sizeof(sampler->step));
    } else {
        moe_at_error(&step, "belongs to W0 to W7, expected none with %s",
                     moe_sampler_name(sampler->kind));
    }
}

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
    read_step(at, sampler);
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

/* A file, and how messages show what is wrong in it. */
static void read_file(const moe_at_t *at, char **path_p, char **where_p)
{
    *path_p = moe_at_file(at);
    *where_p = *path_p == NULL ? NULL : moe_at_where(at, *path_p);
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
        read_file(&trace, &b->s->router_trace, &b->s->router_where);
    }
}

static void read_data(moe_build_t *b, const moe_at_t *at)
{
    const char *words[MOE_DATA_COUNT];
    int kind;
    moe_at_t hidden = moe_at_key(at, "hidden");
    moe_at_t gate = moe_at_key(at, "gate");

    if (!moe_at_given(at)) {
        return;
    }
    if (!moe_at_is(at, MOE_YAML_MAP)) {
        for (int i = 0; i < MOE_DATA_COUNT; i++) {
            words[i] = moe_data_name((moe_data_t)i);
        }
        kind = moe_at_name(
            at, "normal, grid, stamp, identity, or {hidden: FILE, gate: FILE}",
            words, MOE_DATA_COUNT);
        b->s->layer.data = kind < 0 ? MOE_DATA_normal : (moe_data_t)kind;
        return;
    }
    moe_at_check_keys(at, MOE_SECTION_data);
    if (moe_at_given(&hidden)) {
        read_file(&hidden, &b->s->hidden_file, &b->s->hidden_where);
    }
    if (moe_at_given(&gate)) {
        read_file(&gate, &b->s->gate_file, &b->s->gate_where);
    }
}

/* Exact data need a model that is made for them; its shape must do. */
static void fit_data(moe_build_t *b, const moe_at_t *data)
{
    const moe_data_t kind = b->s->layer.data;
    char why[MOE_GRID_WHY];

    if (!b->model_ok || kind == MOE_DATA_normal) {
        return;
    }
    moe_data_set_model(kind, &b->s->model);
    if (!moe_grid_shape_is_exact(kind, &b->s->model, why)) {
        moe_at_error(data, "%s cannot be exact here: %s", moe_data_name(kind),
                     why);
        b->model_ok = false;
    }
}

void moe_scenario_read_workload(moe_build_t *b)
{
    moe_at_t at = moe_at_key(&b->root, "workload");
    moe_at_t phase = moe_at_key(&at, "phase");
    moe_at_t router = moe_at_key(&at, "router");
    moe_at_t data = moe_at_key(&at, "data");
    moe_at_t poison = moe_at_key(&at, "poison");
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
    fit_data(b, &data);
    if (moe_at_given(&poison)) {
        (void)moe_at_value(&poison,
                           moe_schema_find(MOE_SECTION_workload, "poison"),
                           &b->s->layer.poison, sizeof(b->s->layer.poison));
    }
}
