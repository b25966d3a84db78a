/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * From libyaml's events to a tree. libyaml's own document loader is not used:
 * it keeps no bound on what aliases stand for, nor the places of problems.
 */
#include "base/yaml_reader.h"

#include <string.h>

/* The node in key position of a map becomes its key. */
static void take_key(moe_yaml_frame_t *f, moe_yaml_node_t *node,
                     moe_yaml_reader_t *r)
{
    const char *problem = NULL;

    if (node->kind != MOE_YAML_SCALAR) {
        problem = "a list or map as a key, expected a name";
    } else if (!node->quoted && strcmp(node->text, "<<") == 0) {
        problem = "merge keys (<<) are not supported, expected the keys "
                  "themselves";
    }
    if (problem != NULL) {
        moe_yaml_report(r, node->line, node->column, "%s", problem);
    }
    f->key.text = node->kind == MOE_YAML_SCALAR ? node->text : NULL;
    f->key.line = node->line;
    f->key.column = node->column;
    f->drop = problem != NULL || node->bad;
    f->has_key = true;
}

/* Give a node to the list or map that it is in. */
static void attach(moe_yaml_reader_t *r, moe_yaml_node_t *node,
                   yaml_mark_t mark)
{
    moe_yaml_frame_t *f;
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
        moe_yaml_give_up_growing(r, mark);
    }
}

/* Remember a node by its anchor; a later anchor of the name hides it. */
static void keep_anchor(moe_yaml_reader_t *r, const yaml_char_t *name,
                        moe_yaml_node_t *node, yaml_mark_t mark)
{
    if (name == NULL || r->ended) {
        return;
    }
    if (r->n_anchors == MOE_YAML_MAX_ANCHORS) {
        moe_yaml_report(r, moe_yaml_line(r, mark), moe_yaml_column(r, mark),
                        "more than %d anchors, expected at most that",
                        MOE_YAML_MAX_ANCHORS);
        moe_yaml_give_up(r, MOE_ERR_INPUT);
        return;
    }
    r->anchor[r->n_anchors].name =
        moe_yaml_text_new(r->doc, (const char *)name);
    r->anchor[r->n_anchors].node = node;
    if (r->anchor[r->n_anchors].name == NULL) {
        moe_yaml_give_up_growing(r, mark);
        return;
    }
    r->n_anchors++;
}

/* Tags would change what a value means; none of ours needs one. */
static void refuse_tag(moe_yaml_reader_t *r, const yaml_char_t *tag,
                       yaml_mark_t mark)
{
    if (tag != NULL) {
        moe_yaml_report(r, moe_yaml_line(r, mark), moe_yaml_column(r, mark),
                        "tag " MOE_YAML_SHOWN
                        ": tags are not supported, expected none",
                        (const char *)tag);
    }
}

static moe_yaml_node_t *new_node(moe_yaml_reader_t *r, moe_yaml_kind_t kind,
                                 const char *text, yaml_mark_t mark)
{
    moe_yaml_node_t *node = moe_yaml_node_new(r->doc, kind, text);

    if (node == NULL) {
        moe_yaml_give_up_growing(r, mark);
        return NULL;
    }
    node->line = moe_yaml_line(r, mark);
    node->column = moe_yaml_column(r, mark);
    return node;
}

static void on_scalar(moe_yaml_reader_t *r, const yaml_event_t *event)
{
    const yaml_mark_t mark = event->start_mark;
    const char *text = (const char *)event->data.scalar.value;
    moe_yaml_node_t *node = new_node(r, MOE_YAML_SCALAR, text, mark);

    if (node == NULL) {
        return;
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (strlen(text) != event->data.scalar.length) {
        moe_yaml_report(r, node->line, node->column,
                        "a NUL character in a text, expected none");
        node->bad = true;
    }
    refuse_tag(r, event->data.scalar.tag, mark);
    keep_anchor(r, event->data.scalar.anchor, node, mark);
    attach(r, node, mark);
}

static void on_start(moe_yaml_reader_t *r, moe_yaml_kind_t kind,
                     const yaml_char_t *tag, const yaml_char_t *anchor,
                     yaml_mark_t mark)
{
    moe_yaml_node_t *node;

    if (r->base + r->depth == MOE_YAML_MAX_DEPTH) {
        moe_yaml_report(r, moe_yaml_line(r, mark), moe_yaml_column(r, mark),
                        "nested deeper than %d levels, expected at most that",
                        MOE_YAML_MAX_DEPTH);
        moe_yaml_give_up(r, MOE_ERR_INPUT);
        return;
    }
    node = new_node(r, kind, NULL, mark);
    if (node == NULL) {
        return;
    }
    refuse_tag(r, tag, mark);
    keep_anchor(r, anchor, node, mark);
    r->frame[r->depth] = (moe_yaml_frame_t){.node = node};
    r->depth++;
}

static void on_end(moe_yaml_reader_t *r, yaml_mark_t mark)
{
    moe_yaml_node_t *node = r->frame[r->depth - 1].node;

    if (node->kind == MOE_YAML_MAP) {
        moe_yaml_drop_duplicates(r, mark);
    }
    r->depth--;
    if (!r->ended) {
        attach(r, node, mark);
    }
}

/* The node of an anchor; NULL with a message if none can be used. */
static const moe_yaml_node_t *find_anchor(moe_yaml_reader_t *r,
                                          const char *name, yaml_mark_t mark)
{
    for (int i = r->n_anchors - 1; i >= 0; i--) {
        const moe_yaml_node_t *node = r->anchor[i].node;

        if (strcmp(r->anchor[i].name, name) != 0) {
            continue;
        }
        for (int d = 0; d < r->depth; d++) {
            if (r->frame[d].node == node) {
                moe_yaml_report(
                    r, moe_yaml_line(r, mark), moe_yaml_column(r, mark),
                    "alias *" MOE_YAML_SHOWN
                    " stands for what it is a part of, expected another value",
                    name);
                return NULL;
            }
        }
        return node;
    }
    moe_yaml_report(r, moe_yaml_line(r, mark), moe_yaml_column(r, mark),
                    "alias *" MOE_YAML_SHOWN " has no anchor &" MOE_YAML_SHOWN
                    " before it, expected one",
                    name, name);
    return NULL;
}

static void on_alias(moe_yaml_reader_t *r, const yaml_event_t *event)
{
    const yaml_mark_t mark = event->start_mark;
    const moe_yaml_node_t *node;
    moe_yaml_node_t *copy;

    if (r->n_aliases++ == MOE_YAML_MAX_ALIASES) {
        moe_yaml_report(r, moe_yaml_line(r, mark), moe_yaml_column(r, mark),
                        "more than %d aliases, expected at most that",
                        MOE_YAML_MAX_ALIASES);
        moe_yaml_give_up(r, MOE_ERR_INPUT);
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
            moe_yaml_give_up_growing(r, mark);
        }
    }
    if (copy != NULL) {
        attach(r, copy, mark);
    }
}

static void on_document(moe_yaml_reader_t *r, yaml_mark_t mark)
{
    if (r->root != NULL) {
        moe_yaml_report(r, moe_yaml_line(r, mark), moe_yaml_column(r, mark),
                        "a second document begins, expected one");
        r->ended = true;
    }
}

void moe_yaml_on_event(moe_yaml_reader_t *r, const yaml_event_t *event)
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
