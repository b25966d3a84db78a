/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/parts.h"

#include <string.h>

static void read_flops(const moe_at_t *at, moe_machine_t *machine)
{
    const moe_key_t *key = moe_schema_find(MOE_SECTION_flops, "FORMAT");
    const char *names[MOE_FORMAT_COUNT];
    moe_at_t entry;
    moe_format_t format;
    const char *near;

    if (!moe_at_given(at) ||
        !moe_at_expect(at, MOE_YAML_MAP, "a map of formats")) {
        return;
    }
    for (int i = 0; i < MOE_FORMAT_COUNT; i++) {
        names[i] = moe_format_name((moe_format_t)i);
    }
    for (size_t i = 0; i < at->node->n; i++) {
        entry = moe_at_entry(at, i);
        if (moe_format_find(entry.key, &format)) {
            (void)moe_at_value(&entry, key, &machine->flops[format],
                               sizeof(machine->flops[format]));
            continue;
        }
        near = moe_nearest(entry.key, names, MOE_FORMAT_COUNT);
        moe_at_key_error(at, i, "unknown format%s%s%s",
                         near == NULL ? ", see 'moesim list formats'"
                                      : "; did you mean '",
                         near == NULL ? "" : near, near == NULL ? "" : "'?");
    }
}

static void read_tiers(const moe_at_t *at, moe_machine_t *machine)
{
    moe_at_t tier;
    moe_at_t size;

    if (!moe_at_given(at) ||
        !moe_at_expect(at, MOE_YAML_LIST, "a list of tiers")) {
        return;
    }
    if (at->node->n < 1 || at->node->n > MOE_TIERS_MAX) {
        moe_at_error(at, "has %zu items, expected 1 to %d", at->node->n,
                     MOE_TIERS_MAX);
        return;
    }
    machine->n_tiers = (int)at->node->n;
    for (int i = 0; i < machine->n_tiers; i++) {
        tier = moe_at_item(at, (size_t)i);
        if (!moe_at_expect(&tier, MOE_YAML_MAP, "a map, one tier")) {
            continue;
        }
        moe_at_section(&tier, MOE_SECTION_tier, &machine->tier[i]);
        size = moe_at_key(&tier, "size");
        if (i > 0 && machine->tier[i].size > 0 &&
            machine->tier[i].size <= machine->tier[i - 1].size) {
            moe_at_error(&size, "is %d, expected more than the tier before, %d",
                         machine->tier[i].size, machine->tier[i - 1].size);
        }
    }
}

bool moe_machine_read(const moe_at_t *at, moe_machine_t *machine_p)
{
    size_t before = moe_diag_count(at->source->diag);
    moe_at_t flops = moe_at_key(at, "flops");
    moe_at_t tiers = moe_at_key(at, "tiers");

    *machine_p = (moe_machine_t){0};
    moe_at_check_aliases(at);
    moe_at_section(at, MOE_SECTION_machine, machine_p);
    read_flops(&flops, machine_p);
    read_tiers(&tiers, machine_p);
    return moe_diag_count(at->source->diag) == before;
}

static bool read_machine(const moe_at_t *at, void *object)
{
    return moe_machine_read(at, object);
}

moe_status_t moe_scenario_read_machine(moe_build_t *b)
{
    const moe_named_t machine = {.what = "a machine of 'moesim list machines'",
                                 .folder = "models/machines",
                                 .read = read_machine,
                                 .object = &b->s->machine,
                                 .name = b->s->machine.name};
    moe_at_t at = moe_at_key(&b->root, "machine");
    moe_status_t status;

    if (!moe_at_given(&at) || (moe_at_is(&at, MOE_YAML_SCALAR) &&
                               strcmp(at.node->text, "none") == 0)) {
        b->machine_ok = true;
        return MOE_OK;
    }
    status = moe_at_named(&at, b->beside, &machine, &b->machine_ok);
    b->s->has_machine = b->machine_ok;
    return status;
}
