/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/scenario/parts.h"

#include "base/text.h"
#include "sim/scenario/yaml_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEPS_MAX 16
#define POINTS_MAX 1024

static char *flow_text(const moe_yaml_node_t *node)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (stream == NULL) {
        return NULL;
    }
    moe_yaml_print_node(node, stream);
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static bool fill(moe_sweep_t *sweep, const moe_yaml_node_t *list,
                 const char *path)
{
    sweep->line = list->line;
    sweep->column = list->column;
    sweep->path = strdup(path);
    sweep->value = calloc(list->n, sizeof(*sweep->value));
    if (sweep->path == NULL || sweep->value == NULL) {
        return false;
    }
    for (size_t i = 0; i < list->n; i++) {
        sweep->value[i] = flow_text(list->item[i]);
        if (sweep->value[i] == NULL) {
            return false;
        }
        sweep->n++;
    }
    return true;
}

static moe_status_t add_sweep(moe_scenario_t *s, const moe_at_t *list,
                              const char *path)
{
    moe_sweep_t *grown;

    if (!moe_at_expect(list, MOE_YAML_LIST, "a list of values")) {
        return MOE_OK;
    }
    if (list->node->n < 1 || list->node->n > POINTS_MAX ||
        s->n_sweeps == SWEEPS_MAX) {
        moe_at_error(list,
                     "has %zu values, expected 1 to %d of at most %d "
                     "keys",
                     list->node->n, POINTS_MAX, SWEEPS_MAX);
        return MOE_OK;
    }
    grown = realloc(s->sweep, (s->n_sweeps + 1) * sizeof(*grown));
    if (grown == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a sweep");
    }
    s->sweep = grown;
    grown[s->n_sweeps] = (moe_sweep_t){0};
    if (!fill(&grown[s->n_sweeps++], list->node, path)) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a sweep");
    }
    return MOE_OK;
}

/* Why a path cannot be swept, NULL if it can: what is resolved to another
 * form has its parts no more. */
static const char *cannot_sweep(const char *path)
{
    const char *dot = strchr(path, '.');
    const char *below = dot != NULL && strncmp(path, "precision.", 10) == 0
                            ? strchr(dot + 1, '.')
                            : NULL;

    if (strcmp(path, "sweep") == 0 || strncmp(path, "sweep.", 6) == 0) {
        return "a sweep of sweeps, expected another key";
    }
    if (strcmp(path, "workload") == 0) {
        return "cannot be swept as a whole, expected one of its keys";
    }
    if (strncmp(path, "workload.tokens.", 16) == 0) {
        return "cannot be swept, expected workload.tokens itself, with values "
               "{total: N}";
    }
    if (below != NULL && strcmp(below, ".global_scale") != 0) {
        return "cannot be swept, expected the place itself, with values "
               "{format: NAME, ...}";
    }
    return NULL;
}

/* True if a section, or the top for "", has no key that the first part of a
 * path names; *near_p is the nearest that it has, NULL if none is near. */
static bool lacks(const char *place, const char *path, const char **near_p)
{
    const char *names[64];
    char part[64];
    size_t n = 0;

    (void)snprintf(part, sizeof(part), "%.*s", (int)strcspn(path, "."), path);
    for (int s = 0; s < MOE_SECTION_COUNT; s++) {
        if (strcmp(moe_section_place((moe_section_t)s), place) == 0) {
            n = moe_schema_names((moe_section_t)s, names, 64);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], part) == 0) {
            return false;
        }
    }
    *near_p = moe_nearest(part, names, n);
    return n > 0; /* what is no section has parts of its own */
}

/* True, with a problem, if the first two parts of a path are no scenario's. */
static bool is_unknown(const moe_at_t *map, size_t i, const char *path)
{
    const size_t part = strcspn(path, ".");
    const char *near = NULL;
    char place[64] = "";
    bool unknown = lacks("", path, &near);

    if (!unknown && path[part] == '.') {
        (void)snprintf(place, sizeof(place), "%.*s", (int)part, path);
        unknown = lacks(place, path + part + 1, &near);
    }
    if (unknown && near != NULL) {
        moe_at_key_error(map, i, "unknown key; did you mean '%s%s%s'?", place,
                         place[0] != '\0' ? "." : "", near);
    } else if (unknown) {
        moe_at_key_error(map, i,
                         "unknown key, expected one of doc/scenario.md");
    }
    return unknown;
}

/* {a.b: [..]} and {a: {b: [..]}} are the same. */
static moe_status_t read_map(moe_scenario_t *s, const moe_at_t *map,
                             const char *prefix)
{
    moe_status_t status = MOE_OK;
    moe_at_t entry;
    char *path;

    for (size_t i = 0; i < map->node->n && status == MOE_OK; i++) {
        entry = moe_at_entry(map, i);
        path = moe_strdup_printf("%s%s%s", prefix, prefix[0] == '\0' ? "" : ".",
                                 entry.key);
        if (path == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "out of memory for a sweep");
        }
        if (moe_at_is(&entry, MOE_YAML_MAP)) {
            status = read_map(s, &entry, path);
        } else if (cannot_sweep(path) != NULL) {
            moe_at_key_error(map, i, "%s", cannot_sweep(path));
        } else if (!is_unknown(map, i, path)) {
            status = add_sweep(s, &entry, path);
        }
        free(path);
    }
    return status;
}

moe_status_t moe_scenario_read_sweep(moe_scenario_t *s, const moe_at_t *root)
{
    moe_at_t at = moe_at_key(root, "sweep");

    if (!moe_at_given(&at) ||
        !moe_at_expect(&at, MOE_YAML_MAP, "a map {key.path: [values]}")) {
        return MOE_OK;
    }
    return read_map(s, &at, "");
}

/* A key of a map, or the place in a list, that the first part of a path
 * names; n if there is none. */
static size_t find_part(const moe_yaml_node_t *node, const char *path,
                        size_t part)
{
    char *end;
    unsigned long place;

    if (node->kind == MOE_YAML_LIST) {
        place = strtoul(path, &end, 10);
        return end == path + part && place < node->n ? place : node->n;
    }
    for (size_t i = 0; i < node->n; i++) {
        if (strncmp(node->key[i], path, part) == 0 &&
            node->key[i][part] == '\0') {
            return i;
        }
    }
    return node->n;
}

/* True if the path leads to a value of the tree. What a change has put there
 * gets a place in the file, if one is given. */
static bool follow(moe_yaml_node_t *node, const char *path,
                   const moe_sweep_t *place)
{
    while (*path != '\0') {
        size_t part = strcspn(path, ".");
        size_t i = find_part(node, path, part);

        if (i == node->n) {
            return false;
        }
        if (place != NULL && node->item[i]->line == 0) {
            node->item[i]->line = place->line;
            node->item[i]->column = place->column;
        }
        if (place != NULL && node->kind == MOE_YAML_MAP &&
            node->key_line[i] == 0) {
            node->key_line[i] = place->line;
            node->key_column[i] = place->column;
        }
        node = node->item[i];
        path += part + (path[part] == '.');
    }
    return true;
}

moe_status_t moe_scenario_set_base(const moe_scenario_t *s, moe_yaml_doc_t *doc,
                                   moe_diag_t *diag)
{
    const moe_sweep_t *sweep;
    moe_status_t status = MOE_OK;

    for (size_t i = 0; i < s->n_sweeps && status != MOE_ERR_NOMEM; i++) {
        sweep = &s->sweep[i];
        if (follow(moe_yaml_root(doc), sweep->path, NULL)) {
            continue;
        }
        status = moe_yaml_set(doc, sweep->path, sweep->value[0], diag);
        if (status == MOE_OK) {
            (void)follow(moe_yaml_root(doc), sweep->path, sweep);
        }
    }
    return status == MOE_ERR_NOMEM ? status : MOE_OK;
}
