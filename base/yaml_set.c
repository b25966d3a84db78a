/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Changes of a document by key path: --set key.path=value.
 */
#include "base/key_path.h"
#include "base/yaml_tree.h"
#include "base/yaml_value.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WHY_CHARS 400

/* A change being made. */
typedef struct {
    moe_yaml_doc_t *doc;
    moe_diag_t *diag;
    const char *path;
    const char *rest; /* of path, still to go */
} change_t;

/* Add a problem of a path, or of what is put there. */
static void report(moe_diag_t *diag, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void report(moe_diag_t *diag, const char *path, const char *format, ...)
{
    char shown[MOE_KEY_PATH_SIZE] = "";
    char why[WHY_CHARS];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(why, sizeof(why), format, ap);
    va_end(ap);
    moe_key_path_dotted(shown, sizeof(shown), path);
    moe_diag_add(diag, NULL, 0, 0, shown, "%s", why);
}

/* Length of the part of the path that a key matches: all of it up to a dot or
 * the end; 0 if it does not match. */
static size_t match_key(const char *rest, const char *key)
{
    size_t n = strlen(key);

    return strncmp(rest, key, n) == 0 && (rest[n] == '.' || rest[n] == '\0')
               ? n
               : 0;
}

/* Place in a map of the longest key that rest goes on with, map->n if there
 * is none, and the length of the part. */
static size_t find_key(const moe_yaml_node_t *map, const char *rest,
                       size_t *part_p)
{
    size_t best = map->n;

    *part_p = 0;
    for (size_t i = 0; i < map->n; i++) {
        size_t n = match_key(rest, map->key[i]);

        if (n > *part_p) {
            *part_p = n;
            best = i;
        }
    }
    if (best == map->n) {
        *part_p = strcspn(rest, ".");
    }
    return best;
}

/* Place in a list that the first part of rest names; false with a message if
 * it is none. */
static bool find_place(const change_t *c, const moe_yaml_node_t *list,
                       size_t *place_p, size_t *part_p)
{
    const size_t part = strcspn(c->rest, ".");
    size_t place = 0;

    for (size_t i = 0; i < part; i++) {
        if (c->rest[i] < '0' || c->rest[i] > '9' || part > 7) {
            report(c->diag, c->path,
                   "'%.*s' is no place in a list, expected a number "
                   "from 0",
                   part < 80 ? (int)part : 80, c->rest);
            return false;
        }
        place = 10 * place + (size_t)(c->rest[i] - '0');
    }
    if (place > list->n) {
        report(c->diag, c->path,
               "no place %zu in a list of %zu, expected at most %zu, "
               "which appends",
               place, list->n, list->n);
        return false;
    }
    *place_p = place;
    *part_p = part;
    return true;
}

static moe_status_t no_room(const change_t *c)
{
    if (c->doc->why == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory setting %s", c->path);
    }
    report(c->diag, c->path, "%s", c->doc->why);
    c->doc->why = NULL;
    return MOE_ERR_INPUT;
}

/* Append a null to a node, for the first part of rest. */
static moe_status_t append(const change_t *c, moe_yaml_node_t *node,
                           size_t part)
{
    moe_yaml_key_t key = {NULL, 0, 0};
    moe_yaml_node_t *child = moe_yaml_node_new(c->doc, MOE_YAML_SCALAR, "");
    bool map = node->kind == MOE_YAML_MAP;

    if (child != NULL && map) {
        key.text = moe_yaml_text_new(c->doc, c->rest);
        if (key.text != NULL) {
            key.text[part] = '\0';
        }
    }
    if (child == NULL || (map && key.text == NULL) ||
        !moe_yaml_node_add(c->doc, node, map ? &key : NULL, child)) {
        return no_room(c);
    }
    return MOE_OK;
}

/* One part of the path on: *child_pp is where node keeps the child. */
static moe_status_t descend(change_t *c, moe_yaml_node_t *node,
                            moe_yaml_node_t ***child_pp)
{
    size_t part;
    size_t place;

    if (moe_yaml_is_null(node)) {
        node->kind = MOE_YAML_MAP;
        node->text = NULL;
    }
    if (node->kind == MOE_YAML_SCALAR) {
        report(c->diag, c->path,
               "nothing is below '%.80s', which is a plain value, expected a "
               "map or a list",
               node->text);
        return MOE_ERR_INPUT;
    }
    if (node->kind == MOE_YAML_MAP) {
        place = find_key(node, c->rest, &part);
    } else if (!find_place(c, node, &place, &part)) {
        return MOE_ERR_INPUT;
    }
    if (place == node->n) {
        moe_status_t status = append(c, node, part);

        if (status != MOE_OK) {
            return status;
        }
    }
    c->rest += part;
    *child_pp = &node->item[place];
    return MOE_OK;
}

/* Number of parts of a path, none of them empty; 0 with a message if it is no
 * path. */
static int count_parts(const char *path, moe_diag_t *diag)
{
    size_t length = strlen(path);
    int parts = 1;

    if (length == 0 || path[0] == '.' || path[length - 1] == '.' ||
        strstr(path, "..") != NULL) {
        moe_diag_add(diag, NULL, 0, 0, path,
                     "an empty part in a key path, expected key.path=value");
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        parts += path[i] == '.';
        if (parts == MOE_YAML_MAX_DEPTH) {
            report(diag, path,
                   "nested deeper than %d levels, expected at most that",
                   MOE_YAML_MAX_DEPTH);
            return 0;
        }
    }
    return parts;
}

moe_status_t moe_yaml_set(moe_yaml_doc_t *doc, const char *path,
                          const char *value, moe_diag_t *diag)
{
    change_t c = {doc, diag, path, path};
    moe_yaml_node_t **at = &doc->root;
    moe_yaml_node_t *tree;
    moe_status_t status;
    int parts;

    parts = count_parts(path, diag);
    if (parts == 0) {
        return MOE_ERR_INPUT;
    }
    status = moe_yaml_parse_tree(doc, NULL, path, value, strlen(value), parts,
                                 diag, &tree);
    while (status == MOE_OK && *c.rest != '\0') {
        c.rest += *c.rest == '.';
        status = descend(&c, *at, &at);
    }
    if (status == MOE_OK) {
        *at = tree;
    }
    return status;
}
