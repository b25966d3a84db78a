/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One parse: what the text must be, libyaml's loop, and its errors.
 */
#include "base/key_path.h"
#include "base/yaml_reader.h"

#include <stdarg.h>
#include <stdio.h>

#define WHY_CHARS 400

/* Key path of the place where the reader is: a.b[2].c */
static void key_path(const moe_yaml_reader_t *r, char *path, size_t size)
{
    path[0] = '\0';
    if (r->option != NULL) {
        moe_key_path_dotted(path, size, r->option);
    }
    for (int i = 0; i < r->depth; i++) {
        const moe_yaml_frame_t *f = &r->frame[i];

        if (f->node->kind == MOE_YAML_LIST) {
            moe_key_path_item(path, size, f->node->n);
        } else if (f->has_key) {
            moe_key_path_key(path, size,
                             f->key.text != NULL ? f->key.text : "?");
        }
    }
}

void moe_yaml_report(const moe_yaml_reader_t *r, int line, int column,
                     const char *format, ...)
{
    char path[MOE_KEY_PATH_SIZE];
    char why[WHY_CHARS];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(why, sizeof(why), format, ap);
    va_end(ap);
    key_path(r, path, sizeof(path));
    moe_diag_add(r->diag, r->name, line, column, path, "%s", why);
}

int moe_yaml_line(const moe_yaml_reader_t *r, yaml_mark_t mark)
{
    return r->option != NULL ? 0 : (int)mark.line + 1;
}

int moe_yaml_column(const moe_yaml_reader_t *r, yaml_mark_t mark)
{
    return r->option != NULL ? 0 : (int)mark.column + 1;
}

void moe_yaml_give_up(moe_yaml_reader_t *r, moe_status_t status)
{
    r->status = status;
    r->ended = true;
}

void moe_yaml_give_up_growing(moe_yaml_reader_t *r, yaml_mark_t mark)
{
    if (r->doc->why == NULL) {
        moe_yaml_give_up(r, moe_fail(MOE_ERR_NOMEM, "out of memory reading %s",
                                     r->name != NULL ? r->name : r->option));
        return;
    }
    moe_yaml_report(r, moe_yaml_line(r, mark), moe_yaml_column(r, mark), "%s",
                    r->doc->why);
    r->doc->why = NULL;
    moe_yaml_give_up(r, MOE_ERR_INPUT);
}

/* What libyaml could not read ends the pass. */
static void on_syntax_error(moe_yaml_reader_t *r)
{
    const yaml_parser_t *y = &r->yaml;
    const char *problem = y->problem != NULL ? y->problem : "not YAML";
    const char *expected = moe_yaml_expected(problem);
    int line = moe_yaml_line(r, y->problem_mark);
    int column = moe_yaml_column(r, y->problem_mark);
    int tab =
        moe_yaml_find_tab(r->text, r->size, (int)y->problem_mark.line + 1);

    moe_yaml_give_up(r, MOE_ERR_INPUT);
    if (y->error == YAML_MEMORY_ERROR) {
        r->status = moe_fail(MOE_ERR_NOMEM, "out of memory reading YAML");
    } else if (y->error == YAML_READER_ERROR) {
        if (r->option == NULL) {
            moe_yaml_place(r->text, y->problem_offset, &line, &column);
        }
        moe_yaml_report(r, line, column, "%s (0x%x), expected UTF-8 text",
                        problem, (unsigned)y->problem_value);
    } else if (tab > 0) {
        moe_yaml_report(r, line, r->option == NULL ? tab : 0,
                        "a tab in the indentation (%s), expected blanks",
                        problem);
    } else if (y->context != NULL && r->option == NULL) {
        moe_yaml_report(r, line, column, "%s (%s in line %d), expected %s",
                        problem, y->context, (int)y->context_mark.line + 1,
                        expected);
    } else {
        moe_yaml_report(r, line, column, "%s, expected %s", problem, expected);
    }
}

/* Whether the text can be given to libyaml. */
static bool check_text(moe_yaml_reader_t *r)
{
    char why[WHY_CHARS];
    size_t offset = 0;
    int line = 0;
    int column = 0;

    if (r->size > MOE_YAML_MAX_BYTES) {
        line = r->option == NULL;
        moe_yaml_report(r, line, line,
                        "larger than %d MiB, expected at most that",
                        MOE_YAML_MAX_BYTES >> 20);
        return false;
    }
    if (moe_yaml_text_check(r->text, r->size, &offset, why, sizeof(why))) {
        return true;
    }
    if (r->option == NULL) {
        moe_yaml_place(r->text, offset, &line, &column);
    }
    moe_yaml_report(r, line, column, "%s", why);
    return false;
}

static void read_events(moe_yaml_reader_t *r)
{
    yaml_event_t event;

    while (!r->ended) {
        if (!yaml_parser_parse(&r->yaml, &event)) {
            on_syntax_error(r);
            break;
        }
        moe_yaml_on_event(r, &event);
        yaml_event_delete(&event);
    }
}

/* A file needs a value; an option without one means null. */
static void check_root(moe_yaml_reader_t *r)
{
    const moe_yaml_node_t *root = r->root;

    if (r->status != MOE_OK) {
        return;
    }
    if (r->option == NULL) {
        if (root == NULL || (root->kind == MOE_YAML_SCALAR && !root->quoted &&
                             root->text[0] == '\0')) {
            moe_yaml_report(r, 1, 1,
                            "the file is empty, expected keys and values");
            r->status = MOE_ERR_INPUT;
        }
    } else if (root == NULL) {
        r->root = moe_yaml_node_new(r->doc, MOE_YAML_SCALAR, "");
        if (r->root == NULL) {
            moe_yaml_give_up_growing(r, (yaml_mark_t){0, 0, 0});
        }
    }
}

moe_status_t moe_yaml_parse_tree(moe_yaml_doc_t *doc, const char *name,
                                 const char *option, const char *text,
                                 size_t size, int base, moe_diag_t *diag,
                                 moe_yaml_node_t **root_p)
{
    const size_t skip = moe_yaml_mark_size(text, size);
    moe_yaml_reader_t r = {
        .doc = doc, .diag = diag, .name = name, .option = option};

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
