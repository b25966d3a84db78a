/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of what lies in files: models, machines, scenarios.
 */
#include "sim/list.h"

#include "sim/scenario_parts.h"

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

static json_t *model_item(const char *name, const char *path,
                          const moe_at_t *root)
{
    moe_model_t m = {0};

    (void)path;
    (void)moe_model_read(root, &m);
    return json_pack("{s:s, s:I, s:I, s:I, s:i, s:I, s:s}", "name", name,
                     "hidden", (json_int_t)m.hidden, "intermediate",
                     (json_int_t)m.intermediate, "experts",
                     (json_int_t)m.experts, "topk", m.topk, "moe_layers",
                     (json_int_t)m.moe_layers, "source", m.source);
}

moe_status_t moe_list_models(json_t *items, moe_diag_t *diag)
{
    return add_folder(items, diag, "models/moe", model_item);
}

static json_t *machine_item(const char *name, const char *path,
                            const moe_at_t *root)
{
    moe_machine_t *m = calloc(1, sizeof(*m));
    json_t *item = NULL;

    (void)path;
    if (m != NULL) {
        (void)moe_machine_read(root, m);
        item = json_pack("{s:s, s:s, s:I, s:f, s:i, s:f, s:s}", "name", name,
                         "device", m->device, "hbm_bytes",
                         (json_int_t)m->hbm_bytes, "hbm_bytes_per_s",
                         m->hbm_bytes_per_s.value, "node", m->tier[0].size,
                         "link_bytes_per_s", m->tier[0].bw_bytes_per_s.value,
                         "source", m->source);
    }
    free(m);
    return item;
}

moe_status_t moe_list_machines(json_t *items, moe_diag_t *diag)
{
    return add_folder(items, diag, "models/machines", machine_item);
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

const char *const moe_scenario_folders[] = {
    "scenarios/seeds", "scenarios/tutorial", "scenarios/planning", NULL};

moe_status_t moe_list_scenarios(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    size_t i;

    for (i = 0; moe_scenario_folders[i] != NULL && status == MOE_OK; ++i) {
        status =
            add_folder(items, diag, moe_scenario_folders[i], scenario_item);
    }
    return status;
}
