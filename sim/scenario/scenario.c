/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/scenario/parts.h"

#include "base/text.h"
#include "base/yaml_value.h"

#include <stdlib.h>
#include <string.h>

void moe_scenario_free(moe_scenario_t *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->n_sweeps; i++) {
        for (size_t k = 0; k < s->sweep[i].n; k++) {
            free(s->sweep[i].value[k]);
        }
        free(s->sweep[i].value);
        free(s->sweep[i].path);
    }
    for (size_t i = 0; i < s->n_published; i++) {
        free(s->published[i].what);
        free(s->published[i].unit);
        free(s->published[i].source);
        free(s->published[i].method);
        free(s->published[i].to);
        free(s->published[i].at);
    }
    free(s->sweep);
    free(s->published);
    for (size_t i = 0; i < s->n_methods; i++) {
        moe_method_use_fini(&s->method[i]);
    }
    free(s->method);
    free(s->left_out);
    free(s->tokens);
    free(s->expert_load);
    free(s->router_trace);
    free(s->hidden_file);
    free(s->gate_file);
    free(s->router_where);
    free(s->hidden_where);
    free(s->gate_where);
    free(s->file);
    free(s->name);
    free(s->source);
    free(s);
}

/* What to write where a key is a name and a change goes below it. */
static const struct {
    const char *key;
    const char *instead;
} names[] = {
    {"model", "an inline model, or a changed copy of its file as "
              "models/moe/NAME.yaml in a folder of MOESIM_PATH"},
    {"machine", "an inline machine, or a changed copy of its file as "
                "models/machines/NAME.yaml in a folder of MOESIM_PATH"},
    {"methods", "a list of methods: --method NAME, or "
                "--set 'methods=[{NAME: {OPTION: VALUE}}]'"},
};

/* True if a change goes below a name: told. */
static bool below_name(const moe_yaml_doc_t *doc, const char *path,
                       moe_diag_t *diag)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const moe_yaml_node_t *node =
            moe_yaml_get(moe_yaml_root(doc), names[i].key);
        size_t n = strlen(names[i].key);

        if (strncmp(path, names[i].key, n) == 0 && path[n] == '.' &&
            node != NULL && node->kind == MOE_YAML_SCALAR &&
            !moe_yaml_is_null(node)) {
            moe_diag_add(diag, NULL, 0, 0, path,
                         "nothing is below '%.80s', which is a name, "
                         "expected %s",
                         node->text, names[i].instead);
            return true;
        }
    }
    return false;
}

static moe_status_t set_key(moe_yaml_doc_t *doc, const moe_change_t *change,
                            moe_diag_t *diag)
{
    return below_name(doc, change->path, diag)
               ? MOE_ERR_INPUT
               : moe_yaml_set(doc, change->path, change->value, diag);
}

static moe_status_t open_doc(const moe_load_t *load, moe_diag_t *diag,
                             moe_yaml_doc_t **doc_p)
{
    moe_status_t status;
    moe_yaml_doc_t *doc;

    if (load->path == NULL) {
        doc = moe_yaml_create();
        status = doc == NULL ? moe_fail(MOE_ERR_NOMEM, "out of memory")
                             : moe_yaml_set(doc, "moesim", "1", diag);
    } else {
        status = moe_yaml_read(load->path, diag, &doc);
    }
    if (status != MOE_OK) {
        return status;
    }
    for (size_t i = 0; i < load->n && status != MOE_ERR_NOMEM; i++) {
        status = set_key(doc, &load->changes[i], diag);
    }
    if (load->point != NULL && status != MOE_ERR_NOMEM) {
        status = moe_yaml_set(doc, load->point->path, load->point->value, diag);
    }
    if (status == MOE_ERR_NOMEM) {
        moe_yaml_free(doc);
        return status;
    }
    *doc_p = doc;
    return MOE_OK;
}

static moe_status_t load_once(const moe_load_t *load, moe_diag_t *diag,
                              moe_scenario_t **scenario_p);

/* True if the command line set this key itself, after any sweep of it: it
 * stays what it was set to. */
static bool is_set_after(const moe_load_t *load, const char *path)
{
    bool set = false;

    for (size_t i = 0; i < load->n; i++) {
        if (strncmp(load->changes[i].path, "sweep", 5) == 0) {
            set = false;
        } else {
            set |= strcmp(load->changes[i].path, path) == 0;
        }
    }
    return set;
}

/* True if the list has this problem, with or without a place before it. */
static bool is_known(const moe_diag_t *diag, const char *text)
{
    size_t length = strlen(text);
    const char *known;

    for (size_t i = 0; (known = moe_diag_text(diag, i)) != NULL; i++) {
        size_t n = strlen(known);

        if (n >= length && strcmp(known + n - length, text) == 0) {
            return true;
        }
    }
    return false;
}

/* Problems that a point has and the base point has not. */
static void tell_point(const moe_scenario_t *s, const moe_sweep_t *sweep,
                       size_t point, const moe_diag_t *found, moe_diag_t *diag)
{
    char *path = moe_strdup_printf("sweep.%s", sweep->path);
    const char *text;

    for (size_t i = 0; (text = moe_diag_text(found, i)) != NULL; i++) {
        if (!is_known(diag, text)) {
            moe_diag_add(diag, sweep->line > 0 ? s->file : NULL, sweep->line,
                         sweep->column, path, "at %.60s: %s",
                         sweep->value[point], text);
        }
    }
    free(path);
}

static moe_status_t check_point(const moe_load_t *load, const moe_scenario_t *s,
                                const moe_sweep_t *sweep, size_t point,
                                moe_diag_t *diag)
{
    const moe_change_t change = {sweep->path, sweep->value[point]};
    moe_load_t one = *load;
    moe_scenario_t *made = NULL;
    moe_diag_t *found = moe_diag_create();
    moe_status_t status;

    if (found == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a sweep");
    }
    one.point = &change;
    status = load_once(&one, found, &made);
    if (status == MOE_ERR_INPUT) {
        tell_point(s, sweep, point, found, diag);
        status = MOE_OK;
    }
    moe_scenario_free(made);
    moe_diag_free(found);
    return status;
}

/* Each value of each sweep, the other keys at the base point. */
static moe_status_t check_points(const moe_load_t *load,
                                 const moe_scenario_t *s, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;

    for (size_t i = 0; i < s->n_sweeps; i++) {
        if (is_set_after(load, s->sweep[i].path)) {
            continue;
        }
        for (size_t k = 0; k < s->sweep[i].n && status == MOE_OK; k++) {
            status = check_point(load, s, &s->sweep[i], k, diag);
        }
    }
    return status;
}

static moe_status_t load_once(const moe_load_t *load, moe_diag_t *diag,
                              moe_scenario_t **scenario_p)
{
    size_t before = moe_diag_count(diag);
    moe_scenario_t *s = calloc(1, sizeof(*s));
    moe_yaml_doc_t *doc;
    moe_status_t status;

    if (s == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a scenario");
    }
    status = open_doc(load, diag, &doc);
    if (status == MOE_OK) {
        status = moe_scenario_read_tree(load, doc, diag, s);
        moe_yaml_free(doc);
    }
    if (status == MOE_OK && load->point == NULL) {
        status = check_points(load, s, diag);
    }
    if (status == MOE_OK && moe_diag_count(diag) > before) {
        status = MOE_ERR_INPUT;
    }
    if (status == MOE_OK && load->point == NULL) {
        status = moe_scenario_set_digest(s);
    }
    if (status != MOE_OK) {
        moe_scenario_free(s);
        return status;
    }
    *scenario_p = s;
    return MOE_OK;
}

moe_status_t moe_scenario_load(const char *path, const moe_change_t *changes,
                               size_t n, int ranks, moe_diag_t *diag,
                               moe_scenario_t **scenario_p)
{
    moe_load_t load = {.changes = changes, .n = n, .ranks = ranks};
    moe_status_t status = MOE_OK;
    char *found = NULL;

    if (path == NULL && n == 0) {
        return moe_fail(MOE_ERR_INPUT,
                        "no scenario: expected a file, a name of 'moesim list "
                        "scenarios', or options that make one, such as "
                        "--model NAME --ep N --tokens N");
    }
    if (path != NULL) {
        status = moe_scenario_find(path, diag, &found);
    }
    load.path = found;
    if (status == MOE_OK) {
        status = load_once(&load, diag, scenario_p);
    }
    free(found);
    return status;
}
