/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The state of a YAML parse: shared by base/yaml_parse.c (text, syntax),
 * base/yaml_problem.c (its errors), base/yaml_events.c (events to nodes) and
 * base/yaml_keys.c (duplicates).
 */
#ifndef BASE_YAML_READER_H
#define BASE_YAML_READER_H

#include "base/yaml_tree.h"

#include <yaml.h>

#define MOE_YAML_SHOWN "%.80s" /* of a text that may be megabytes */

/* A list or map that is not ended yet. */
typedef struct {
    moe_yaml_node_t *node;
    moe_yaml_key_t key; /* of a map, while its value is awaited */
    bool has_key;
    bool drop; /* the key was wrong: drop its value */
} moe_yaml_frame_t;

typedef struct {
    char *name;
    moe_yaml_node_t *node;
} moe_yaml_anchor_t;

typedef struct {
    yaml_parser_t yaml;
    moe_yaml_doc_t *doc;
    moe_diag_t *diag;
    const char *name;
    const char *option;
    const char *text;
    size_t size;
    int base; /* depth of the root, less 1 */
    int depth;
    moe_yaml_frame_t frame[MOE_YAML_MAX_DEPTH];
    int n_aliases;
    int n_anchors;
    moe_yaml_anchor_t anchor[MOE_YAML_MAX_ANCHORS];
    moe_yaml_node_t *root;
    moe_status_t status;
    bool ended;
} moe_yaml_reader_t;

/* Report a problem at the key path where the reader is. */
void moe_yaml_report(const moe_yaml_reader_t *r, int line, int column,
                     const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What was expected where libyaml has a problem. */
const char *moe_yaml_expected(const char *problem);

/* Line and column of a mark, from 1; 0 for an option. */
int moe_yaml_line(const moe_yaml_reader_t *r, yaml_mark_t mark);
int moe_yaml_column(const moe_yaml_reader_t *r, yaml_mark_t mark);

/* A problem after which nothing more can be read. */
void moe_yaml_give_up(moe_yaml_reader_t *r, moe_status_t status);

/* The tree could not grow: a bound was hit or the memory ran out. */
void moe_yaml_give_up_growing(moe_yaml_reader_t *r, yaml_mark_t mark);

/* Of equal keys of the map that ends, keep the first, report the others. */
void moe_yaml_drop_duplicates(moe_yaml_reader_t *r, yaml_mark_t mark);

/* One event of libyaml; the reader has not ended. */
void moe_yaml_on_event(moe_yaml_reader_t *r, const yaml_event_t *event);

#endif
