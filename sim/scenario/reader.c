/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/reader.h"

#include "base/key_path.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

moe_at_t moe_at_root(const moe_source_t *source, const moe_yaml_node_t *node)
{
    return (moe_at_t){.source = source, .node = node};
}

moe_at_t moe_at_key(const moe_at_t *map, const char *key)
{
    moe_at_t at = {.source = map->source, .up = map, .key = key};

    if (map->node != NULL) {
        at.node = moe_yaml_get(map->node, key);
    }
    return at;
}

moe_at_t moe_at_item(const moe_at_t *list, size_t i)
{
    return (moe_at_t){.source = list->source,
                      .up = list,
                      .index = i,
                      .node = list->node->item[i]};
}

moe_at_t moe_at_entry(const moe_at_t *map, size_t i)
{
    return (moe_at_t){.source = map->source,
                      .up = map,
                      .key = map->node->key[i],
                      .node = map->node->item[i]};
}

void moe_at_path(const moe_at_t *at, char *out, size_t size)
{
    out[0] = '\0';
    if (at->up != NULL) {
        moe_at_path(at->up, out, size);
    }
    if (at->key != NULL) {
        moe_key_path_key(out, size, at->key);
    } else if (at->up != NULL) {
        moe_key_path_item(out, size, at->index);
    }
}

__attribute__((format(printf, 5, 0))) static void
report(const moe_at_t *at, int line, int column, const char *key,
       const char *format, va_list ap)
{
    char path[MOE_KEY_PATH_SIZE];
    char text[1024];

    moe_at_path(at, path, sizeof(path));
    if (key != NULL) {
        moe_key_path_key(path, sizeof(path), key);
    }
    (void)vsnprintf(text, sizeof(text), format, ap);
    moe_diag_add(at->source->diag, line > 0 ? at->source->file : NULL, line,
                 column, path[0] == '\0' ? NULL : path, "%s", text);
}

void moe_at_error(const moe_at_t *at, const char *format, ...)
{
    const moe_at_t *seen = at; /* the nearest that stands in the file */
    va_list ap;

    while (seen->node == NULL && seen->up != NULL) {
        seen = seen->up;
    }
    va_start(ap, format);
    report(at, seen->node == NULL ? 0 : seen->node->line,
           seen->node == NULL ? 0 : seen->node->column, NULL, format, ap);
    va_end(ap);
}

void moe_at_key_error(const moe_at_t *map, size_t i, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    report(map, map->node->key_line[i], map->node->key_column[i],
           map->node->key[i], format, ap);
    va_end(ap);
}

char *moe_at_where(const moe_at_t *at, const char *path)
{
    const moe_source_t *source = at->source;
    char key[MOE_KEY_PATH_SIZE];
    char *where;

    moe_at_path(at, key, sizeof(key));
    where = source->file != NULL && at->node != NULL && at->node->line > 0
                ? moe_strdup_printf("%s:%d:%d: %s: %s", source->file,
                                    at->node->line, at->node->column, key, path)
                : moe_strdup_printf("%s: %s", key, path);
    if (where == NULL) {
        moe_at_error(at, "out of memory for its place");
    }
    return where;
}

bool moe_at_given(const moe_at_t *at)
{
    return at->node != NULL;
}

bool moe_at_is(const moe_at_t *at, moe_yaml_kind_t kind)
{
    return at->node != NULL && at->node->kind == kind;
}

bool moe_at_expect(const moe_at_t *at, moe_yaml_kind_t kind,
                   const char *expected)
{
    static const char *const kinds[] = {[MOE_YAML_SCALAR] = "a single value",
                                        [MOE_YAML_LIST] = "a list",
                                        [MOE_YAML_MAP] = "a map"};

    if (at->node == NULL) {
        moe_at_error(at, "is missing, expected %s", expected);
        return false;
    }
    if (at->node->bad) {
        return false;
    }
    if (at->node->kind != kind) {
        moe_at_error(at, "is %s, expected %s", kinds[at->node->kind], expected);
        return false;
    }
    return true;
}

int moe_at_name(const moe_at_t *at, const char *what, const char *const *names,
                size_t n)
{
    const char *text = moe_at_text(at, what);
    const char *near;

    if (text == NULL) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (int)i;
        }
    }
    near = moe_nearest(text, names, n);
    if (near != NULL) {
        moe_at_error(at, "'%.100s' is unknown, expected %s; did you mean '%s'?",
                     text, what, near);
    } else {
        moe_at_error(at, "'%.100s' is unknown, expected %s", text, what);
    }
    return -1;
}
