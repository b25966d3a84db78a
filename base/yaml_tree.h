/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Building of YAML trees: shared by the files base/yaml*.c only.
 */
#ifndef BASE_YAML_TREE_H
#define BASE_YAML_TREE_H

#include "base/yaml.h"

typedef struct moe_yaml_chunk moe_yaml_chunk_t;

/* All of a document lives in chunks of memory that end together. */
struct moe_yaml_doc {
    moe_yaml_node_t *root;
    moe_yaml_chunk_t *chunk;
    size_t n_nodes;    /* made so far, at most MOE_YAML_MAX_NODES */
    size_t text_bytes; /* of scalars and keys, at most MOE_YAML_MAX_TEXT */
    const char *why;   /* a bound that was hit; NULL: memory ran out */
};

/* A key with its place. */
typedef struct {
    char *text;
    int line;
    int column;
} moe_yaml_key_t;

/* The functions return NULL or false if there is no memory or a bound is
 * hit; doc->why tells which. */

/* A new node without children; text is NULL for lists and maps. */
moe_yaml_node_t *moe_yaml_node_new(moe_yaml_doc_t *doc, moe_yaml_kind_t kind,
                                   const char *text);

/* A copy of text, counted. */
char *moe_yaml_text_new(moe_yaml_doc_t *doc, const char *text);

/* Append a child; key is NULL for lists. */
bool moe_yaml_node_add(moe_yaml_doc_t *doc, moe_yaml_node_t *node,
                       const moe_yaml_key_t *key, moe_yaml_node_t *child);

/* A copy of a tree that is to stand at a depth (the root's is 1). */
moe_yaml_node_t *moe_yaml_node_copy(moe_yaml_doc_t *doc,
                                    const moe_yaml_node_t *node, int depth);

/*
 * Parse text into a tree of doc. For an option, name is NULL and option its
 * key path: its nodes get no places. base is the number of levels above the
 * root.
 */
moe_status_t moe_yaml_parse_tree(moe_yaml_doc_t *doc, const char *name,
                                 const char *option, const char *text,
                                 size_t size, int base, moe_diag_t *diag,
                                 moe_yaml_node_t **root_p);

/* Bytes before text's first character: 3 if it begins with a byte order
 * mark, else 0. */
size_t moe_yaml_mark_size(const char *text, size_t size);

/*
 * Look for what no YAML text may hold: bytes that are not UTF-8, NUL and other
 * control characters, and directives that libyaml takes too long over.
 * *offset_p is its place, in bytes, why[why_size] what it is.
 * Returns whether the text is free of them.
 */
bool moe_yaml_text_check(const char *text, size_t size, size_t *offset_p,
                         char *why, size_t why_size);

/* Line and column, from 1, of a byte of a text. */
void moe_yaml_place(const char *text, size_t offset, int *line_p,
                    int *column_p);

/* Column, from 1, of a tab in the indentation of a line (from 1); 0: none. */
int moe_yaml_find_tab(const char *text, size_t size, int line);

#endif
