/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * YAML documents as trees with places, read through libyaml.
 *
 * Files come from strangers. Their size, nesting, number of nodes (what
 * aliases stand for included) and anchors are bounded. Duplicate keys, keys
 * that are not plain text, merge keys, tags, further documents and unknown
 * aliases are problems too: they are collected, and what they concern is left
 * out of the tree or marked, so that the rest can still be checked.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/diag.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOE_YAML_MAX_BYTES   (16 << 20) /* of a file */
#define MOE_YAML_MAX_DEPTH   64
#define MOE_YAML_MAX_NODES   200000
#define MOE_YAML_MAX_TEXT    (32 << 20) /* bytes of all texts, aliased too */
#define MOE_YAML_MAX_ANCHORS 256
#define MOE_YAML_MAX_ALIASES 10000

typedef enum {
    MOE_YAML_SCALAR,
    MOE_YAML_LIST,
    MOE_YAML_MAP
} moe_yaml_kind_t;

typedef struct moe_yaml_node moe_yaml_node_t;

/**
 * A node; owned by its document. No node is in a tree twice: an alias is a
 * copy, with the places of what it stands for.
 */
struct moe_yaml_node {
    moe_yaml_kind_t kind;
    int line;               /* from 1, of the node's first character; 0 if it
                             * was set by an option */
    int column;             /* from 1, in characters */
    char *text;             /* scalars: text, else NULL */
    bool quoted;            /* scalars: in quotes, or a block */
    bool bad;               /* its problem is reported: say no more of it */
    size_t n;               /* children of a list or map */
    moe_yaml_node_t **item; /* [n] values */
    char **key;             /* [n] keys of a map, in order of the file */
    int *key_line;          /* [n] */
    int *key_column;        /* [n] */
};

typedef struct moe_yaml_doc moe_yaml_doc_t;

/**
 * Parse a file, or text. A syntax error or a broken bound ends the parse;
 * every problem goes to diag with its place.
 *
 * @param[in]  name   File name as messages show it.
 * @param[in]  text   [size]; need not end in a NUL.
 * @param[out] doc_p  Ended with moe_yaml_free(). Untouched on error.
 * @return MOE_OK: there is a tree, though diag may have got problems;
 *         MOE_ERR_INPUT: there is none, and diag says why: bad text, no such
 *         file, no regular file; MOE_ERR_IO if reading failed; MOE_ERR_NOMEM.
 */
moe_status_t moe_yaml_read(const char *path, moe_diag_t *diag,
                           moe_yaml_doc_t **doc_p);
moe_status_t moe_yaml_parse(const char *name, const char *text, size_t size,
                            moe_diag_t *diag, moe_yaml_doc_t **doc_p);
void moe_yaml_free(moe_yaml_doc_t *doc);

/** A document whose root is an empty map; NULL if out of memory. For
 * scenarios that options alone make, by moe_yaml_set(). */
moe_yaml_doc_t *moe_yaml_create(void);

/** Root node; never NULL. */
moe_yaml_node_t *moe_yaml_root(const moe_yaml_doc_t *doc);

/** Value of a key of a map; NULL if node is no map or has no such key. */
moe_yaml_node_t *moe_yaml_get(const moe_yaml_node_t *node, const char *key);

/**
 * Set key.path of a document to a value given as YAML text (a flow
 * collection or a scalar; "" is null); makes maps on the way. As of --set.
 *
 * A part of the path names a key of a map, or the place in a list (from 0;
 * the list's length appends). Where a map has a key with dots in it that the
 * path goes on with, that key is meant. A null on the way becomes a map.
 * Problems go to diag with the key path and no file; line and column of the
 * new nodes are 0.
 *
 * @return MOE_OK; MOE_ERR_INPUT, the document unchanged; MOE_ERR_NOMEM.
 */
moe_status_t moe_yaml_set(moe_yaml_doc_t *doc, const char *path,
                          const char *value, moe_diag_t *diag);

/** Version of the library beneath; never NULL. */
const char *moe_yaml_version(void);

#endif
