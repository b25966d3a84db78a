/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/scenario/parts.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static moe_status_t copy_text(const moe_at_t *at, const char *what,
                              const char *standard, char **text_p)
{
    const char *text = moe_at_given(at) ? moe_at_text(at, what) : standard;

    *text_p = strdup(text == NULL ? "" : text);
    return *text_p != NULL
               ? MOE_OK
               : moe_fail(MOE_ERR_NOMEM, "out of memory for %s", what);
}

#define NAME_BYTES 128 /* schema.def: it becomes a folder's name */

/* Default name: of the file; of options alone, of model and machine. */
static char *standard_name(const moe_scenario_t *s)
{
    const char *base = s->file == NULL ? NULL : strrchr(s->file, '/');
    size_t length;

    if (s->file == NULL) {
        return s->has_machine && s->model.name[0] != '\0'
                   ? moe_strdup_printf("%s-%s", s->model.name, s->machine.name)
                   : strdup(s->model.name);
    }
    base = base == NULL ? s->file : base + 1;
    length = strlen(base);
    if (length > 5 && strcmp(base + length - 5, ".yaml") == 0) {
        length -= 5;
    }
    return strndup(base, length);
}

static moe_status_t read_names(moe_build_t *b)
{
    moe_at_t name = moe_at_key(&b->root, "name");
    moe_at_t source = moe_at_key(&b->root, "source");
    char *standard = standard_name(b->s);
    moe_status_t status = MOE_ERR_NOMEM;

    if (standard != NULL) {
        status = copy_text(&name, "a name", standard, &b->s->name);
    }
    free(standard);
    if (status == MOE_OK && strlen(b->s->name) > NAME_BYTES) {
        moe_at_error(&name, "has %zu bytes, expected at most %d",
                     strlen(b->s->name), NAME_BYTES);
    } else if (status == MOE_OK && b->s->name[0] != '\0') {
        (void)moe_at_is_plain(&name, b->s->name);
    }
    if (status == MOE_OK) {
        status = copy_text(&source, "a text", "", &b->s->source);
    }
    return status;
}

static void read_numbers(moe_build_t *b)
{
    moe_at_t version = moe_at_key(&b->root, "moesim");
    moe_at_t seed = moe_at_key(&b->root, "seed");
    const moe_key_t *key = moe_schema_find(MOE_SECTION_scenario, "seed");
    const moe_key_t *only = moe_schema_find(MOE_SECTION_scenario, "moesim");
    int number;

    if (moe_at_given(&version)) {
        (void)moe_at_value(&version, only, &number, sizeof(number));
    }
    (void)(moe_at_given(&seed)
               ? moe_at_value(&seed, key, &b->s->seed, sizeof(b->s->seed))
               : moe_key_standard(key, &b->s->seed, sizeof(b->s->seed)));
    b->s->layer.seed = b->s->seed;
}

/* All parts; what depends on others comes after them. */
static moe_status_t read_parts(moe_build_t *b, int ranks)
{
    moe_status_t (*const first[])(moe_build_t *) = {
        moe_scenario_read_model, moe_scenario_read_machine, read_names,
        moe_scenario_read_layout, moe_scenario_read_published};
    moe_status_t status = MOE_OK;

    moe_at_check_keys(&b->root, MOE_SECTION_scenario);
    read_numbers(b);
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        status = first[i](b);
        if (status != MOE_OK) {
            return status;
        }
    }
    b->s->layer.model = &b->s->model;
    if (b->layout_ok && ranks > 0) {
        status = moe_scenario_relay(b, ranks);
    }
    if (status != MOE_OK) {
        return status;
    }
    if (b->layout_ok && b->model_ok) {
        moe_scenario_check_shapes(b);
    }
    moe_scenario_read_workload(b);
    status = moe_scenario_read_placement(b); /* data may change the model */
    if (status != MOE_OK) {
        return status;
    }
    moe_scenario_read_precision(b);
    status = moe_scenario_check_tensors(b);
    return status == MOE_OK ? moe_scenario_read_methods(b) : status;
}

moe_status_t moe_scenario_read_tree(const moe_load_t *load, moe_yaml_doc_t *doc,
                                    moe_diag_t *diag, moe_scenario_t *s)
{
    const char *slash = load->path == NULL ? NULL : strrchr(load->path, '/');
    char *folder =
        slash == NULL
            ? strdup(".")
            : strndup(load->path,
                      slash == load->path ? 1 : (size_t)(slash - load->path));
    moe_source_t source = {.diag = diag, .file = load->path, .folder = folder};
    moe_build_t b = {.s = s, .beside = load->path == NULL ? NULL : folder};
    moe_status_t status = MOE_OK;

    s->file = load->path == NULL ? NULL : strdup(load->path);
    if (folder == NULL || (load->path != NULL && s->file == NULL)) {
        free(folder);
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a path");
    }
    b.root = moe_at_root(&source, moe_yaml_root(doc));
    if (load->point == NULL) {
        status = moe_scenario_read_sweep(s, &b.root);
        if (status == MOE_OK) {
            status = moe_scenario_set_base(s, doc, diag);
        }
    }
    if (status == MOE_OK) {
        status = read_parts(&b, load->ranks);
    }
    free(folder);
    return status;
}
