/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * YAML documents as trees with places, read through libyaml.
 *
 * Hostile input is bounded: 16 MiB a file, a bound on nesting and on the
 * number of nodes that aliases may stand for. Duplicate keys are reported.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/diag.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    MOE_YAML_SCALAR,
    MOE_YAML_LIST,
    MOE_YAML_MAP
} moe_yaml_kind_t;

typedef struct moe_yaml_node moe_yaml_node_t;

/** A node; owned by its document. */
struct moe_yaml_node {
    moe_yaml_kind_t kind;
    int line;               /* from 1; of the node's first character */
    int column;             /* from 1 */
    char *text;             /* scalars: text, else NULL */
    bool quoted;            /* scalars: written in quotes */
    size_t n;               /* children of a list or map */
    moe_yaml_node_t **item; /* [n] values */
    char **key;             /* [n] keys of a map, in order of the file */
    int *key_line;          /* [n] */
    int *key_column;        /* [n] */
};

typedef struct moe_yaml_doc moe_yaml_doc_t;

/**
 * Parse a file, or text. A syntax error ends the parse; it, duplicate keys
 * and broken limits go to diag with their places.
 *
 * @param[in]  name   File name as messages show it.
 * @param[out] doc_p  Ended with moe_yaml_free(). Untouched on error.
 * @return MOE_OK (diag may still have got duplicate keys); MOE_ERR_INPUT;
 *         MOE_ERR_IO if the file cannot be read; MOE_ERR_NOMEM.
 */
moe_status_t moe_yaml_read(const char *path, moe_diag_t *diag,
                           moe_yaml_doc_t **doc_p);
moe_status_t moe_yaml_parse(const char *name, const char *text, size_t size,
                            moe_diag_t *diag, moe_yaml_doc_t **doc_p);
void moe_yaml_free(moe_yaml_doc_t *doc);

/** Root node; never NULL. */
moe_yaml_node_t *moe_yaml_root(const moe_yaml_doc_t *doc);

/** Value of a key of a map; NULL if node is no map or has no such key. */
moe_yaml_node_t *moe_yaml_get(const moe_yaml_node_t *node, const char *key);

/**
 * Set key.path of a document to a value given as YAML text (a flow
 * collection or a scalar); makes maps on the way. As of --set.
 */
moe_status_t moe_yaml_set(moe_yaml_doc_t *doc, const char *path,
                          const char *value, moe_diag_t *diag);

#endif
