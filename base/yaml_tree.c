/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml_tree.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES  ((size_t)64 << 10)
#define DIGITS(x)    #x
#define DIGITS_OF(x) DIGITS(x)

struct moe_yaml_chunk {
    moe_yaml_chunk_t *next;
    size_t used;
    size_t size;
    max_align_t data[];
};

/* Zeroed memory of the document. Sizes are bounded by the bounds on nodes and
 * text, so that none overflows. */
static void *take(moe_yaml_doc_t *doc, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    moe_yaml_chunk_t *chunk = doc->chunk;
    char *p;

    size = (size + align - 1) / align * align;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

        chunk = calloc(1, sizeof(*chunk) + room);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->size = room;
        chunk->next = doc->chunk;
        doc->chunk = chunk;
    }
    p = (char *)chunk->data + chunk->used;
    chunk->used += size;
    return p;
}

void moe_yaml_free(moe_yaml_doc_t *doc)
{
    moe_yaml_chunk_t *chunk;

    if (doc == NULL) {
        return;
    }
    chunk = doc->chunk;
    while (chunk != NULL) {
        moe_yaml_chunk_t *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    free(doc);
}

char *moe_yaml_text_new(moe_yaml_doc_t *doc, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy;

    if (size > MOE_YAML_MAX_TEXT - doc->text_bytes) {
        doc->why = "more than 32 MiB of text, aliases counted as often as "
                   "they stand, expected at most that";
        return NULL;
    }
    copy = take(doc, size);
    if (copy != NULL) {
        memcpy(copy, text, size);
        doc->text_bytes += size;
    }
    return copy;
}

moe_yaml_node_t *moe_yaml_node_new(moe_yaml_doc_t *doc, moe_yaml_kind_t kind,
                                   const char *text)
{
    moe_yaml_node_t *node;

    if (doc->n_nodes == MOE_YAML_MAX_NODES) {
        doc->why = "more than " DIGITS_OF(
            MOE_YAML_MAX_NODES) " values, aliases counted as often as they "
                                "stand, expected at most that";
        return NULL;
    }
    node = take(doc, sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    node->kind = kind;
    if (text != NULL) {
        node->text = moe_yaml_text_new(doc, text);
        if (node->text == NULL) {
            return NULL;
        }
    }
    doc->n_nodes++;
    return node;
}

/* Arrays of a node hold a power of two, and are full when n is one. */
static bool grow(moe_yaml_doc_t *doc, moe_yaml_node_t *node)
{
    const size_t n = node->n;
    const size_t room = n == 0 ? 1 : 2 * n;
    const bool map = node->kind == MOE_YAML_MAP;
    moe_yaml_node_t **item = take(doc, room * sizeof(node->item[0]));
    char **key = map ? take(doc, room * sizeof(node->key[0])) : NULL;
    int *place = map ? take(doc, 2 * room * sizeof(place[0])) : NULL;

    if (item == NULL || (map && (key == NULL || place == NULL))) {
        return false;
    }
    if (n > 0) {
        memcpy(item, node->item, n * sizeof(item[0]));
    }
    if (n > 0 && map) {
        memcpy(key, node->key, n * sizeof(key[0]));
        memcpy(place, node->key_line, n * sizeof(place[0]));
        memcpy(place + room, node->key_column, n * sizeof(place[0]));
    }
    node->item = item;
    if (map) {
        node->key = key;
        node->key_line = place;
        node->key_column = place + room;
    }
    return true;
}

bool moe_yaml_node_add(moe_yaml_doc_t *doc, moe_yaml_node_t *node,
                       const moe_yaml_key_t *key, moe_yaml_node_t *child)
{
    const size_t n = node->n;

    if ((n & (n - 1)) == 0 && !grow(doc, node)) {
        return false;
    }
    node->item[n] = child;
    if (key != NULL) {
        node->key[n] = key->text;
        node->key_line[n] = key->line;
        node->key_column[n] = key->column;
    }
    node->n = n + 1;
    return true;
}

moe_yaml_node_t *moe_yaml_node_copy(moe_yaml_doc_t *doc,
                                    const moe_yaml_node_t *node, int depth)
{
    moe_yaml_node_t *copy;

    if (depth > MOE_YAML_MAX_DEPTH) {
        doc->why = "nested deeper than " DIGITS_OF(
            MOE_YAML_MAX_DEPTH) " levels, expected at most that";
        return NULL;
    }
    copy = moe_yaml_node_new(doc, node->kind, node->text);
    if (copy == NULL) {
        return NULL;
    }
    copy->line = node->line;
    copy->column = node->column;
    copy->quoted = node->quoted;
    copy->bad = node->bad;
    for (size_t i = 0; i < node->n; i++) {
        moe_yaml_key_t key = {NULL, 0, 0};
        moe_yaml_node_t *child;

        child = moe_yaml_node_copy(doc, node->item[i], depth + 1);
        if (child != NULL && node->kind == MOE_YAML_MAP) {
            key.text = moe_yaml_text_new(doc, node->key[i]);
            key.line = node->key_line[i];
            key.column = node->key_column[i];
        }
        if (child == NULL || (node->kind == MOE_YAML_MAP && key.text == NULL) ||
            !moe_yaml_node_add(
                doc, copy, node->kind == MOE_YAML_MAP ? &key : NULL, child)) {
            return NULL;
        }
    }
    return copy;
}
