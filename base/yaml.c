/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include "base/infile.h"
#include "base/yaml_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

moe_status_t moe_yaml_parse(const char *name, const char *text, size_t size,
                            moe_diag_t *diag, moe_yaml_doc_t **doc_p)
{
    moe_yaml_doc_t *doc = calloc(1, sizeof(*doc));
    moe_status_t status;

    if (doc == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory reading %s", name);
    }
    status =
        moe_yaml_parse_tree(doc, name, NULL, text, size, 0, diag, &doc->root);
    if (status != MOE_OK) {
        moe_yaml_free(doc);
        return status;
    }
    *doc_p = doc;
    return MOE_OK;
}

/* Read a file whose size may not be what fstat() said. */
static moe_status_t read_text(const char *path, int fd, char **text_p,
                              size_t *size_p)
{
    const size_t room = MOE_YAML_MAX_BYTES + 1;
    char *text = malloc(room);
    int64_t n;

    if (text == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory reading %s", path);
    }
    n = moe_infile_read(fd, text, room, 0);
    if (n < 0) {
        free(text);
        return moe_fail(MOE_ERR_IO, "%s: %s", path, strerror(errno));
    }
    *text_p = text;
    *size_p = (size_t)n;
    return MOE_OK;
}

moe_status_t moe_yaml_read(const char *path, moe_diag_t *diag,
                           moe_yaml_doc_t **doc_p)
{
    moe_status_t status;
    const char *why;
    char *text = NULL;
    size_t size = 0;
    int64_t file_bytes;
    bool user;
    int fd;

    fd = moe_infile_open(path, &file_bytes, &why, &user);
    if (fd < 0 && user) {
        moe_diag_add(diag, path, 0, 0, NULL, "%s", why);
        return MOE_ERR_INPUT;
    }
    if (fd < 0) {
        return moe_fail(MOE_ERR_IO, "%s: %s", path, why);
    }
    status = read_text(path, fd, &text, &size);
    (void)close(fd);
    if (status != MOE_OK) {
        return status;
    }
    status = moe_yaml_parse(path, text, size, diag, doc_p);
    free(text);
    return status;
}

moe_yaml_doc_t *moe_yaml_create(void)
{
    moe_yaml_doc_t *doc = calloc(1, sizeof(*doc));

    if (doc == NULL) {
        return NULL;
    }
    doc->root = moe_yaml_node_new(doc, MOE_YAML_MAP, NULL);
    if (doc->root == NULL) {
        moe_yaml_free(doc);
        return NULL;
    }
    return doc;
}

moe_yaml_node_t *moe_yaml_root(const moe_yaml_doc_t *doc)
{
    return doc->root;
}

moe_yaml_node_t *moe_yaml_get(const moe_yaml_node_t *node, const char *key)
{
    if (node == NULL || node->kind != MOE_YAML_MAP) {
        return NULL;
    }
    for (size_t i = 0; i < node->n; i++) {
        if (strcmp(node->key[i], key) == 0) {
            return node->item[i];
        }
    }
    return NULL;
}

const char *moe_yaml_version(void)
{
    return yaml_get_version_string();
}
