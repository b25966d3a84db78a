/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/data/data.h"

#include "base/text.h"
#include "base/yaml.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *folder;
    const char *name;
    char *path;
    bool by_alias;
} wanted_t;

/* True if a file lists this alias. A file that cannot be read has none. */
static bool has_alias(const char *path, const char *alias)
{
    moe_diag_t *diag = moe_diag_create();
    moe_yaml_doc_t *doc;
    moe_yaml_node_t *list;
    bool found = false;

    if (diag == NULL || moe_yaml_read(path, diag, &doc) != MOE_OK) {
        moe_diag_free(diag);
        return false;
    }
    list = moe_yaml_get(moe_yaml_root(doc), "aliases");
    for (size_t i = 0; list != NULL && i < list->n; i++) {
        found |= list->kind == MOE_YAML_LIST &&
                 list->item[i]->kind == MOE_YAML_SCALAR &&
                 strcmp(list->item[i]->text, alias) == 0;
    }
    moe_yaml_free(doc);
    moe_diag_free(diag);
    return found;
}

static bool find_alias(wanted_t *wanted, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    size_t length;

    while (dir != NULL && wanted->path == NULL &&
           (entry = readdir(dir)) != NULL) {
        length = strlen(entry->d_name);
        if (length < 6 || strcmp(entry->d_name + length - 5, ".yaml") != 0) {
            continue;
        }
        wanted->path = moe_strdup_printf("%s/%s", folder, entry->d_name);
        if (wanted->path != NULL && !has_alias(wanted->path, wanted->name)) {
            free(wanted->path);
            wanted->path = NULL;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return wanted->path != NULL;
}

static bool look_in(void *self, const char *place)
{
    wanted_t *wanted = self;
    char *folder = moe_strdup_printf("%s/%s", place, wanted->folder);
    char *path;

    if (folder == NULL) {
        return true;
    }
    path = moe_strdup_printf("%s/%s.yaml", folder, wanted->name);
    if (path != NULL && !wanted->by_alias && access(path, R_OK) == 0) {
        wanted->path = path;
        path = NULL;
    } else if (wanted->by_alias) {
        (void)find_alias(wanted, folder);
    }
    free(path);
    free(folder);
    return wanted->path != NULL;
}

moe_status_t moe_data_find(const char *beside, const char *folder,
                           const char *name, char **path_p)
{
    wanted_t wanted = {.folder = folder, .name = name};

    if (strchr(name, '/') == NULL) {
        moe_data_visit(beside, look_in, &wanted);
        wanted.by_alias = wanted.path == NULL;
        if (wanted.by_alias) {
            moe_data_visit(beside, look_in, &wanted);
        }
    }
    if (wanted.path == NULL) {
        return MOE_ERR_INPUT;
    }
    *path_p = wanted.path;
    return MOE_OK;
}
