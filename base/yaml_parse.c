/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * From libyaml's events to a tree. libyaml's own document loader is not used:
 * it keeps no bound on what aliases stand for, nor the places of problems.
 */
#include "base/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define PATH_CHARS 240
#define WHY_CHARS  400
#define SHOWN      "%.80s" /* of a text in a message, which may be megabytes */

/* A list or map that is not ended yet. */
typedef struct {
    moe_yaml_node_t *node;
    moe_yaml_key_t key; /* of a map, while its value is awaited */
    bool has_key;
    bool drop; /* the key was wrong: drop its value */
} frame_t;

typedef struct {
    char *name;
    moe_yaml_node_t *node;
} anchor_t;

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
    frame_t frame[MOE_YAML_MAX_DEPTH];
    int n_aliases;
    int n_anchors;
    anchor_t anchor[MOE_YAML_MAX_ANCHORS];
    moe_yaml_node_t *root;
    moe_status_t status;
    bool ended;
} reader_t;

/* Key path of the place where the reader is: a.b.2.c */
static void key_path(const reader_t *r, char *path, size_t size)
{
    size_t used = 0;

    path[0] = '\0';
    if (r->option != NULL) {
        used = (size_t)snprintf(path, size, "%s", r->option);
    }
    for (int i = 0; i < r->depth && used < size; i++) {
        const frame_t *f = &r->frame[i];
        const char *dot = used > 0 ? "." : "";
        int n = 0;

        if (f->node->kind == MOE_YAML_LIST) {
            n = snprintf(path + used, size - used, "%s%zu", dot, f->node->n);
        } else if (f->has_key) {
            n = snprintf(path + used, size - used, "%s" SHOWN, dot,
                         f->key.text != NULL ? f->key.text : "?");
        }
        used += n > 0 ? (size_t)n : 0;
    }
}

static void report(reader_t *r, int line, int column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void report(reader_t *r, int line, int column, const char *format, ...)
{
    char path[PATH_CHARS];
    char why[WHY_CHARS];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(why, sizeof(why), format, ap);
    va_end(ap);
    key_path(r, path, sizeof(path));
    moe_diag_add(r->diag, r->name, line, column, path, "%s", why);
}

static int line_of(const reader_t *r, yaml_mark_t mark)
{
    return r->option != NULL ? 0 : (int)mark.line + 1;
}

static int column_of(const reader_t *r, yaml_mark_t mark)
{
    return r->option != NULL ? 0 : (int)mark.column + 1;
}

/* A problem after which nothing more can be read. */
static void give_up(reader_t *r, moe_status_t status)
{
    r->status = status;
    r->ended = true;
}

/* The tree could not grow: a bound was hit or the memory ran out. */
static void give_up_growing(reader_t *r, yaml_mark_t mark)
{
    if (r->doc->why == NULL) {
        give_up(r, moe_fail(MOE_ERR_NOMEM, "out of memory reading %s",
                            r->name != NULL ? r->name : r->option));
        return;
    }
    report(r, line_of(r, mark), column_of(r, mark), "%s", r->doc->why);
    r->doc->why = NULL;
    give_up(r, MOE_ERR_INPUT);
}

/* The node in key position of a map becomes its key. */
static void take_key(frame_t *f, moe_yaml_node_t *node, reader_t *r)
{
    const char *problem = NULL;

    if (node->kind != MOE_YAML_SCALAR) {
        problem = "a list or map as a key: expected a name";
    } else if (!node->quoted && strcmp(node->text, "<<") == 0) {
        problem = "merge keys (<<) are not supported: write the keys out";
    }
    if (problem != NULL) {
        report(r, node->line, node->column, "%s", problem);
    }
    f->key.text = node->kind == MOE_YAML_SCALAR ? node->text : NULL;
    f->key.line = node->line;
    f->key.column = node->column;
    f->drop = problem != NULL || node->bad;
    f->has_key = true;
}

/* Give a node to the list or map that it is in. */
static void attach(reader_t *r, moe_yaml_node_t *node, yaml_mark_t mark)
{
    frame_t *f;
    bool ok = true;

    if (r->depth == 0) {
        r->root = node;
        return;
    }
    f = &r->frame[r->depth - 1];
    if (f->node->kind == MOE_YAML_LIST) {
        ok = moe_yaml_node_add(r->doc, f->node, NULL, node);
    } else if (!f->has_key) {
        take_key(f, node, r);
    } else {
        f->has_key = false;
        ok = f->drop || moe_yaml_node_add(r->doc, f->node, &f->key, node);
    }
    if (!ok) {
        give_up_growing(r, mark);
    }
}

/* Remember a node by its anchor; a later anchor of the name hides it. */
static void keep_anchor(reader_t *r, const yaml_char_t *name,
                        moe_yaml_node_t *node, yaml_mark_t mark)
{
    if (name == NULL || r->ended) {
        return;
    }
    if (r->n_anchors == MOE_YAML_MAX_ANCHORS) {
        report(r, line_of(r, mark), column_of(r, mark), "more than %d anchors",
               MOE_YAML_MAX_ANCHORS);
        give_up(r, MOE_ERR_INPUT);
        return;
    }
    r->anchor[r->n_anchors].name =
        moe_yaml_text_new(r->doc, (const char *)name);
    r->anchor[r->n_anchors].node = node;
    if (r->anchor[r->n_anchors].name == NULL) {
        give_up_growing(r, mark);
        return;
    }
    r->n_anchors++;
}

/* Tags would change what a value means; none of ours needs one. */
static void refuse_tag(reader_t *r, const yaml_char_t *tag, yaml_mark_t mark)
{
    if (tag != NULL) {
        report(r, line_of(r, mark), column_of(r, mark),
               "tag " SHOWN ": tags are not supported", (const char *)tag);
    }
}

static moe_yaml_node_t *new_node(reader_t *r, moe_yaml_kind_t kind,
                                 const char *text, yaml_mark_t mark)
{
    moe_yaml_node_t *node = moe_yaml_node_new(r->doc, kind, text);

    if (node == NULL) {
        give_up_growing(r, mark);
        return NULL;
    }
    node->line = line_of(r, mark);
    node->column = column_of(r, mark);
    return node;
}

static void on_scalar(reader_t *r, const yaml_event_t *event)
{
    const yaml_mark_t mark = event->start_mark;
    const char *text = (const char *)event->data.scalar.value;
    moe_yaml_node_t *node = new_node(r, MOE_YAML_SCALAR, text, mark);

    if (node == NULL) {
        return;
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (strlen(text) != event->data.scalar.length) {
        report(r, node->line, node->column, "a NUL character in a text");
        node->bad = true;
    }
    refuse_tag(r, event->data.scalar.tag, mark);
    keep_anchor(r, event->data.scalar.anchor, node, mark);
    attach(r, node, mark);
}

static void on_start(reader_t *r, moe_yaml_kind_t kind, const yaml_char_t *tag,
                     const yaml_char_t *anchor, yaml_mark_t mark)
{
    moe_yaml_node_t *node;

    if (r->base + r->depth == MOE_YAML_MAX_DEPTH) {
        report(r, line_of(r, mark), column_of(r, mark),
               "nested deeper than %d levels", MOE_YAML_MAX_DEPTH);
        give_up(r, MOE_ERR_INPUT);
        return;
    }
    node = new_node(r, kind, NULL, mark);
    if (node == NULL) {
        return;
    }
    refuse_tag(r, tag, mark);
    keep_anchor(r, anchor, node, mark);
    r->frame[r->depth] = (frame_t){.node = node};
    r->depth++;
}

/* A key of a map, to be sorted by text, then place. */
typedef struct {
    const char *text;
    size_t i;
} sorted_key_t;

static int compare_keys(const void *a, const void *b)
{
    const sorted_key_t *x = a;
    const sorted_key_t *y = b;
    int order = strcmp(x->text, y->text);

    return order != 0 ? order : (x->i > y->i) - (x->i < y->i);
}

/* Report a key that is a map's second, and mark it by having no value. */
static void refuse_duplicate(reader_t *r, size_t first, size_t again)
{
    frame_t *f = &r->frame[r->depth - 1];
    moe_yaml_node_t *map = f->node;

    f->key.text = map->key[again];
    f->has_key = true;
    report(r, map->key_line[again], map->key_column[again],
           r->option != NULL ? "key given twice"
                             : "key given twice, first in line %d, column %d",
           map->key_line[first], map->key_column[first]);
    f->has_key = false;
    map->item[again] = NULL;
}

/* Take the keys without a value out of a map. */
static void close_up(moe_yaml_node_t *map)
{
    size_t kept = 0;

    for (size_t i = 0; i < map->n; i++) {
        if (map->item[i] != NULL) {
            map->item[kept] = map->item[i];
            map->key[kept] = map->key[i];
            map->key_line[kept] = map->key_line[i];
            map->key_column[kept] = map->key_column[i];
            kept++;
        }
    }
    map->n = kept;
}

/* Of equal keys of the map that ends, keep the first. */
static void drop_duplicates(reader_t *r, yaml_mark_t mark)
{
    moe_yaml_node_t *map = r->frame[r->depth - 1].node;
    sorted_key_t *key;
    size_t first = 0;

    if (map->n < 2) {
        return;
    }
    key = calloc(map->n, sizeof(*key));
    if (key == NULL) {
        give_up_growing(r, mark);
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        key[i] = (sorted_key_t){map->key[i], i};
    }
    qsort(key, map->n, sizeof(*key), compare_keys);
    for (size_t i = 1; i < map->n; i++) {
        if (strcmp(key[i].text, key[first].text) == 0) {
            refuse_duplicate(r, key[first].i, key[i].i);
        } else {
            first = i;
        }
    }
    free(key);
    close_up(map);
}

static void on_end(reader_t *r, yaml_mark_t mark)
{
    moe_yaml_node_t *node = r->frame[r->depth - 1].node;

    if (node->kind == MOE_YAML_MAP) {
        drop_duplicates(r, mark);
    }
    r->depth--;
    if (!r->ended) {
        attach(r, node, mark);
    }
}

/* The node of an anchor; NULL with a message if none can be used. */
static const moe_yaml_node_t *find_anchor(reader_t *r, const char *name,
                                          yaml_mark_t mark)
{
    for (int i = r->n_anchors - 1; i >= 0; i--) {
        const moe_yaml_node_t *node = r->anchor[i].node;

        if (strcmp(r->anchor[i].name, name) != 0) {
            continue;
        }
        for (int d = 0; d < r->depth; d++) {
            if (r->frame[d].node == node) {
                report(r, line_of(r, mark), column_of(r, mark),
                       "alias *" SHOWN " stands for what it is a part of",
                       name);
                return NULL;
            }
        }
        return node;
    }
    report(r, line_of(r, mark), column_of(r, mark),
           "alias *" SHOWN " has no anchor &" SHOWN " before it", name, name);
    return NULL;
}

static void on_alias(reader_t *r, const yaml_event_t *event)
{
    const yaml_mark_t mark = event->start_mark;
    const moe_yaml_node_t *node;
    moe_yaml_node_t *copy;

    if (r->n_aliases++ == MOE_YAML_MAX_ALIASES) {
        report(r, line_of(r, mark), column_of(r, mark), "more than %d aliases",
               MOE_YAML_MAX_ALIASES);
        give_up(r, MOE_ERR_INPUT);
        return;
    }
    node = find_anchor(r, (const char *)event->data.alias.anchor, mark);
    if (node == NULL) {
        copy = new_node(r, MOE_YAML_SCALAR, "", mark);
        if (copy != NULL) {
            copy->bad = true;
        }
    } else {
        copy = moe_yaml_node_copy(r->doc, node, r->base + r->depth + 1);
        if (copy == NULL) {
            give_up_growing(r, mark);
        }
    }
    if (copy != NULL) {
        attach(r, copy, mark);
    }
}

static void on_document(reader_t *r, yaml_mark_t mark)
{
    if (r->root != NULL) {
        report(r, line_of(r, mark), column_of(r, mark),
               "a second document begins: expected one");
        r->ended = true;
    }
}

static void on_event(reader_t *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        on_document(r, event->start_mark);
        break;
    case YAML_ALIAS_EVENT:
        on_alias(r, event);
        break;
    case YAML_SCALAR_EVENT:
        on_scalar(r, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        on_start(r, MOE_YAML_LIST, event->data.sequence_start.tag,
                 event->data.sequence_start.anchor, event->start_mark);
        break;
    case YAML_MAPPING_START_EVENT:
        on_start(r, MOE_YAML_MAP, event->data.mapping_start.tag,
                 event->data.mapping_start.anchor, event->start_mark);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_end(r, event->start_mark);
        break;
    case YAML_STREAM_END_EVENT:
        r->ended = true;
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
}

/* What libyaml could not read ends the pass. */
static void on_syntax_error(reader_t *r)
{
    const yaml_parser_t *y = &r->yaml;
    const char *problem = y->problem != NULL ? y->problem : "not YAML";
    int line = line_of(r, y->problem_mark);
    int column = column_of(r, y->problem_mark);
    int tab =
        moe_yaml_find_tab(r->text, r->size, (int)y->problem_mark.line + 1);

    give_up(r, MOE_ERR_INPUT);
    if (y->error == YAML_MEMORY_ERROR) {
        r->status = moe_fail(MOE_ERR_NOMEM, "out of memory reading YAML");
    } else if (y->error == YAML_READER_ERROR) {
        if (r->option == NULL) {
            moe_yaml_place(r->text, y->problem_offset, &line, &column);
        }
        report(r, line, column, "%s (0x%x)", problem,
               (unsigned)y->problem_value);
    } else if (tab > 0) {
        report(r, line, r->option == NULL ? tab : 0,
               "a tab in the indentation: expected blanks (%s)", problem);
    } else if (y->context != NULL && r->option == NULL) {
        report(r, line, column, "%s (%s in line %d)", problem, y->context,
               (int)y->context_mark.line + 1);
    } else {
        report(r, line, column, "%s", problem);
    }
}

/* Whether the text can be given to libyaml. */
static bool check_text(reader_t *r)
{
    char why[WHY_CHARS];
    size_t offset = 0;
    int line = 0;
    int column = 0;

    if (r->size > MOE_YAML_MAX_BYTES) {
        report(r, 0, 0, "larger than %d MiB", MOE_YAML_MAX_BYTES >> 20);
        return false;
    }
    if (moe_yaml_text_check(r->text, r->size, &offset, why, sizeof(why))) {
        return true;
    }
    if (r->option == NULL) {
        moe_yaml_place(r->text, offset, &line, &column);
    }
    report(r, line, column, "%s", why);
    return false;
}

static void read_events(reader_t *r)
{
    yaml_event_t event;

    while (!r->ended) {
        if (!yaml_parser_parse(&r->yaml, &event)) {
            on_syntax_error(r);
            break;
        }
        on_event(r, &event);
        yaml_event_delete(&event);
    }
}

/* A file needs a value; an option without one means null. */
static void check_root(reader_t *r)
{
    const moe_yaml_node_t *root = r->root;

    if (r->status != MOE_OK) {
        return;
    }
    if (r->option == NULL) {
        if (root == NULL || (root->kind == MOE_YAML_SCALAR && !root->quoted &&
                             root->text[0] == '\0')) {
            report(r, 1, 1, "the file is empty: expected keys and values");
            r->status = MOE_ERR_INPUT;
        }
    } else if (root == NULL) {
        r->root = new_node(r, MOE_YAML_SCALAR, "", (yaml_mark_t){0, 0, 0});
    }
}

moe_status_t moe_yaml_parse_tree(moe_yaml_doc_t *doc, const char *name,
                                 const char *option, const char *text,
                                 size_t size, int base, moe_diag_t *diag,
                                 moe_yaml_node_t **root_p)
{
    const size_t skip = moe_yaml_mark_size(text, size);
    reader_t r = {.doc = doc, .diag = diag, .name = name, .option = option};

    r.text = text + skip;
    r.size = size - skip;
    r.base = base;
    if (!check_text(&r)) {
        return MOE_ERR_INPUT;
    }
    if (!yaml_parser_initialize(&r.yaml)) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory reading YAML");
    }
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)r.text,
                                 r.size);
    read_events(&r);
    yaml_parser_delete(&r.yaml);
    check_root(&r);
    if (r.status == MOE_OK) {
        *root_p = r.root;
    }
    return r.status;
}
