/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void name_after(const char *path, char *name)
{
    const char *file = strrchr(path, '/');
    size_t length;

    file = file == NULL ? path : file + 1;
    length = strlen(file);
    if (length > 5 && strcmp(file + length - 5, ".yaml") == 0) {
        length -= 5;
    }
    (void)snprintf(name, MOE_NAME_MAX, "%.*s", (int)length, file);
}

static moe_status_t read_file(const char *path, moe_diag_t *diag,
                              const moe_named_t *named, bool *ok_p)
{
    moe_source_t source = {.diag = diag, .file = path, .folder = "."};
    size_t before = moe_diag_count(diag);
    moe_yaml_doc_t *doc;
    moe_status_t status = moe_yaml_read(path, diag, &doc);
    moe_at_t root;

    if (status != MOE_OK) {
        return status == MOE_ERR_INPUT ? MOE_OK : status;
    }
    root = moe_at_root(&source, moe_yaml_root(doc));
    *ok_p = named->read(&root, named->object) && moe_diag_count(diag) == before;
    if (*ok_p && named->name[0] == '\0') {
        name_after(path, named->name);
    }
    moe_yaml_free(doc);
    return MOE_OK;
}

void moe_at_check_aliases(const moe_at_t *map)
{
    moe_at_t list = moe_at_key(map, "aliases");
    moe_at_t item;
    const char *text;

    if (!moe_at_given(&list) ||
        !moe_at_expect(&list, MOE_YAML_LIST, "a list of names")) {
        return;
    }
    for (size_t i = 0; i < list.node->n; i++) {
        item = moe_at_item(&list, i);
        text = moe_at_text(&item, "a name");
        if (text != NULL) {
            (void)moe_at_is_plain(&item, text);
        }
    }
}

static moe_status_t unknown_name(const moe_at_t *at, const char *beside,
                                 const moe_named_t *named)
{
    char what[2 * MOE_NAME_MAX + 128];
    moe_names_t names;
    moe_status_t status = moe_data_list(beside, named->folder, &names);

    (void)snprintf(what, sizeof(what), "%s", named->what);
    if (beside != NULL) {
        (void)snprintf(what, sizeof(what),
                       "%s, or %s/%.100s.yaml below the scenario's folder",
                       named->what, named->folder, at->node->text);
    }
    if (status == MOE_OK) {
        (void)moe_at_name(at, what, (const char *const *)names.name, names.n);
        moe_names_fini(&names);
    }
    return status;
}

moe_status_t moe_at_named(const moe_at_t *at, const char *beside,
                          const moe_named_t *named, bool *ok_p)
{
    moe_status_t status;
    const char *name;
    char *path;

    *ok_p = false;
    if (!moe_at_given(at)) {
        return MOE_OK; /* told by the scenario's own section */
    }
    if (moe_at_is(at, MOE_YAML_MAP)) {
        *ok_p = named->read(at, named->object);
        if (named->name[0] == '\0') {
            (void)snprintf(named->name, MOE_NAME_MAX, "inline");
        }
        return MOE_OK;
    }
    name = moe_at_text(at, named->what);
    if (name == NULL || !moe_at_is_plain(at, name)) {
        return MOE_OK;
    }
    if (moe_data_find(beside, named->folder, name, &path) != MOE_OK) {
        return unknown_name(at, beside, named);
    }
    status = read_file(path, at->source->diag, named, ok_p);
    free(path);
    return status;
}
