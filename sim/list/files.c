/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of what lies in files: models, machines, scenarios.
 */
#include "sim/list/list.h"

#include "sim/scenario/parts.h"

#include <stdlib.h>
#include <string.h>

/* The item of one file; NULL if out of memory. */
typedef json_t *item_func_t(const char *name, const char *path,
                            const moe_at_t *root);

/* A file that cannot be read is told in diag, and the list goes on. */
static moe_status_t add_file(json_t *items, moe_diag_t *diag,
                             const char *folder, const char *name,
                             item_func_t *make)
{
    moe_source_t source = {.diag = diag, .folder = "."};
    moe_yaml_doc_t *doc = NULL;
    char *path = NULL;
    moe_status_t status;

    status = moe_data_find(NULL, folder, name, &path);
    if (status == MOE_ERR_INPUT) {
        return MOE_OK; /* gone since it was listed */
    }
    if (status != MOE_OK) {
        return status;
    }
    status = moe_yaml_read(path, diag, &doc);
    if (status == MOE_OK) {
        moe_at_t root;

        source.file = path;
        root = moe_at_root(&source, moe_yaml_root(doc));
        status = moe_list_add(items, make(name, path, &root));
        moe_yaml_free(doc);
    } else if (status == MOE_ERR_INPUT) {
        status = MOE_OK;
    }
    free(path);
    return status;
}

static moe_status_t add_folder(json_t *items, moe_diag_t *diag,
                               const char *folder, item_func_t *make)
{
    moe_names_t names;
    moe_status_t status = moe_data_list(NULL, folder, &names);
    size_t i;

    if (status != MOE_OK) {
        return status;
    }
    for (i = 0; i < names.n && status == MOE_OK; ++i) {
        status = add_file(items, diag, folder, names.name[i], make);
    }
    moe_names_fini(&names);
    return status;
}

/* Places, one after the other. */
typedef struct {
    char text[1024];
    const char *folder;
} places_t;

static bool add_place(void *self, const char *place)
{
    places_t *places = self;
    size_t used = strlen(places->text);

    (void)snprintf(places->text + used, sizeof(places->text) - used, "%s%s/%s",
                   used > 0 ? ", " : "", place, places->folder);
    return false;
}

/* An empty list says where it looked. */
static moe_status_t none_found(const json_t *items, moe_diag_t *diag,
                               const char *folder)
{
    places_t places = {.folder = folder};

    if (json_array_size(items) == 0) {
        moe_data_visit(NULL, add_place, &places);
        moe_diag_add(diag, NULL, 0, 0, NULL,
                     "no file was found in %s; MOESIM_PATH names other places",
                     places.text);
    }
    return MOE_OK;
}

/* What else a file may be called, separated by blanks. */
static const char *aliases(const moe_at_t *root, char *out, size_t size)
{
    const moe_yaml_node_t *list = moe_yaml_get(root->node, "aliases");
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0;
         list != NULL && list->kind == MOE_YAML_LIST && i < list->n; ++i) {
        const moe_yaml_node_t *item = list->item[i];

        if (item->kind == MOE_YAML_SCALAR && used < size) {
            used += (size_t)snprintf(out + used, size - used, "%s%s",
                                     used > 0 ? " " : "", item->text);
        }
    }
    return out;
}

static json_t *model_item(const char *name, const char *path,
                          const moe_at_t *root)
{
    moe_model_t m = {0};
    char other[256];

    (void)path;
    (void)moe_model_read(root, &m);
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:i, s:I, s:s}", "name", name,
                     "aliases", aliases(root, other, sizeof(other)), "hidden",
                     (json_int_t)m.hidden, "intermediate",
                     (json_int_t)m.intermediate, "experts",
                     (json_int_t)m.experts, "topk", m.topk, "moe_layers",
                     (json_int_t)m.moe_layers, "source", m.source);
}

moe_status_t moe_list_models(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = add_folder(items, diag, "models/moe", model_item);

    return status == MOE_OK ? none_found(items, diag, "models/moe") : status;
}

static json_t *machine_item(const char *name, const char *path,
                            const moe_at_t *root)
{
    moe_machine_t *m = calloc(1, sizeof(*m));
    json_t *item = NULL;
    char other[256];

    (void)path;
    if (m != NULL) {
        (void)moe_machine_read(root, m);
        item =
            json_pack("{s:s, s:s, s:s, s:I, s:f, s:i, s:f, s:s}", "name", name,
                      "aliases", aliases(root, other, sizeof(other)), "device",
                      m->device, "hbm_bytes", (json_int_t)m->hbm_bytes,
                      "hbm_bytes_per_s", m->hbm_bytes_per_s.value, "node",
                      m->tier[0].size, "link_bytes_per_s",
                      m->tier[0].bw_bytes_per_s.value, "source", m->source);
    }
    free(m);
    return item;
}

moe_status_t moe_list_machines(json_t *items, moe_diag_t *diag)
{
    moe_status_t status =
        add_folder(items, diag, "models/machines", machine_item);

    return status == MOE_OK ? none_found(items, diag, "models/machines")
                            : status;
}

static const char *scalar(const moe_at_t *root, const char *key)
{
    const moe_yaml_node_t *node = moe_yaml_get(root->node, key);

    return node != NULL && node->text != NULL ? node->text : "";
}

static json_t *scenario_item(const char *name, const char *path,
                             const moe_at_t *root)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "name", name, "model",
                     scalar(root, "model"), "source", scalar(root, "source"),
                     "file", path);
}

moe_status_t moe_list_scenarios(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    size_t i;

    for (i = 0; moe_scenario_folders[i] != NULL && status == MOE_OK; ++i) {
        status =
            add_folder(items, diag, moe_scenario_folders[i], scenario_item);
    }
    return status == MOE_OK ? none_found(items, diag, "scenarios") : status;
}
