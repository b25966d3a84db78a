/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/field_print.h"
#include "sim/scenario/parts.h"

#include <stdio.h>
#include <string.h>

#define ASCEND   "ascend-"
#define EXPECTED "'none', 'auto', 'ascend-head', 'ascend-PR' or 'ascend-DATE'"

const char *moe_select_name(const moe_select_t *select,
                            char out[MOE_SELECT_TEXT])
{
    static const char *const words[] = {
        [MOE_SELECT_none] = "none", [MOE_SELECT_auto] = "auto"};

    if (select->kind == MOE_SELECT_ascend) {
        (void)snprintf(out, MOE_SELECT_TEXT, ASCEND "%s",
                       moe_ascend_revision(select->revision)->change);
    } else {
        (void)snprintf(out, MOE_SELECT_TEXT, "%s", words[select->kind]);
    }
    return out;
}

/* Revisions as a message lists them. */
static void list_revisions(char *out, size_t size)
{
    size_t used = 0;

    for (int i = 0; i < MOE_ASCEND_COUNT && used < size; i++) {
        const moe_ascend_revision_t *r = moe_ascend_revision((moe_ascend_t)i);

        used += (size_t)snprintf(out + used, size - used, "%s%s (%s)",
                                 i > 0 ? ", " : "", r->change, r->date);
    }
}

static void read_rule(const moe_at_t *at, moe_select_t *select)
{
    const char *text = moe_at_text(at, EXPECTED);
    char all[400];

    if (text == NULL || strcmp(text, "none") == 0) {
        return;
    }
    if (strcmp(text, "auto") == 0) {
        select->kind = MOE_SELECT_auto;
        return;
    }
    if (strncmp(text, ASCEND, strlen(ASCEND)) != 0) {
        moe_at_error(at, "is '%.100s', expected " EXPECTED, text);
        return;
    }
    select->revision = moe_ascend_find(text + strlen(ASCEND));
    if (select->revision == MOE_ASCEND_COUNT) {
        list_revisions(all, sizeof(all));
        moe_at_error(at,
                     "'%.100s' is no revision, expected one of %s, or a date "
                     "YYYY-MM-DD from the first on",
                     text, all);
        return;
    }
    select->kind = MOE_SELECT_ascend;
}

static void check_auto(const moe_build_t *b, const moe_at_t *at)
{
    moe_at_t machine = moe_at_key(&b->root, "machine");
    bool none =
        !moe_at_given(&machine) || (moe_at_is(&machine, MOE_YAML_SCALAR) &&
                                    strcmp(machine.node->text, "none") == 0);

    if (none) {
        moe_at_error(at, "is auto, which takes the lowest prediction: nothing "
                         "is priced without a machine, expected one");
    }
}

static void check_ascend(const moe_build_t *b, const moe_at_t *at)
{
    moe_select_t *select = &b->s->select;
    moe_ascend_settings_t *settings = &select->ascend;
    moe_ascend_on_t device = (moe_ascend_on_t)settings->device;
    char name[MOE_SELECT_TEXT];

    if (device == MOE_ASCEND_ON_machine && b->s->has_machine) {
        device = moe_ascend_device(b->s->machine.device);
    }
    if (!moe_ascend_knows(select->revision, device)) {
        moe_at_error(at,
                     "%s does not know device %s, expected an Ascend machine "
                     "or select.device: %s",
                     moe_select_name(select, name),
                     device == MOE_ASCEND_ON_machine && b->s->has_machine
                         ? b->s->machine.device
                         : moe_ascend_device_word(device),
                     select->revision == MOE_ASCEND_head ? "a2, a3, a5 or 310p"
                                                         : "a2 or a3");
    }
    settings->device = (int)device;
}

/* Keys of the ascend rules say nothing to others. */
static void check_keys(const moe_at_t *map, const moe_select_t *select)
{
    for (size_t i = 0; i < map->node->n; i++) {
        if (select->kind != MOE_SELECT_ascend &&
            strcmp(map->node->key[i], "rule") != 0) {
            moe_at_key_error(map, i,
                             "belongs to the ascend rules, expected "
                             "none without one");
        }
    }
}

void moe_scenario_read_select(const moe_build_t *b, bool by_methods)
{
    const moe_at_t absent = {0};
    moe_select_t *select = &b->s->select;
    moe_at_t at = moe_at_key(&b->root, "select");
    moe_at_t rule = at;

    moe_at_section(moe_at_is(&at, MOE_YAML_MAP) ? &at : &absent,
                   MOE_SECTION_select, &select->ascend);
    if (moe_at_is(&at, MOE_YAML_MAP)) {
        rule = moe_at_key(&at, "rule");
    }
    if (moe_at_given(&rule)) {
        read_rule(&rule, select);
    }
    if (moe_at_is(&at, MOE_YAML_MAP)) {
        check_keys(&at, select);
    }
    if (by_methods && !moe_at_given(&at)) {
        select->kind = MOE_SELECT_auto;
    }
    if (select->kind == MOE_SELECT_auto) {
        check_auto(b, &rule);
    } else if (select->kind == MOE_SELECT_ascend) {
        check_ascend(b, &rule);
    }
}

void moe_print_select(const moe_printer_t *p, const moe_select_t *select)
{
    const moe_key_t *key = moe_schema_find(MOE_SECTION_scenario, "select");
    char name[MOE_SELECT_TEXT];

    (void)moe_select_name(select, name);
    if (select->kind == MOE_SELECT_ascend) {
        (void)fprintf(p->stream, "select:\n  rule: %s\n", name);
        moe_print_section(p, 2, MOE_SECTION_select, &select->ascend);
    } else if (select->kind != MOE_SELECT_none || p->comments) {
        (void)fprintf(p->stream, "select: %s", name);
        moe_print_why(p, key, select->kind == MOE_SELECT_none);
    }
}
