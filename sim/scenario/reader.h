/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Reads a YAML tree by the table of keys: a cursor that knows its place, so
 * that every problem is told with file, line, column and key path.
 *
 * A reader adds its problems to the list and goes on: a file's errors come
 * out in one pass.
 */
#ifndef SIM_SCENARIO_READER_H
#define SIM_SCENARIO_READER_H

#include "base/diag.h"
#include "base/yaml.h"
#include "moe/chain.h"
#include "sim/scenario/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The file that a tree is from. */
typedef struct {
    moe_diag_t *diag;   /* kept */
    const char *file;   /* as messages show it; NULL: options; kept */
    const char *folder; /* where its relative paths begin; kept */
} moe_source_t;

typedef struct moe_at moe_at_t;

/** A value and how it was reached. Lives on the stack. */
struct moe_at {
    const moe_source_t *source;
    const moe_at_t *up; /* NULL: the root */
    const char *key;    /* own key; NULL for a list's item */
    size_t index;
    const moe_yaml_node_t *node; /* NULL: not given */
};

moe_at_t moe_at_root(const moe_source_t *source, const moe_yaml_node_t *node);

/** Value of a key of a map; its node is NULL if it is not given. */
moe_at_t moe_at_key(const moe_at_t *map, const char *key);

/** Item i of a list. */
moe_at_t moe_at_item(const moe_at_t *list, size_t i);

/** Value number i of a map, in order of the file. */
moe_at_t moe_at_entry(const moe_at_t *map, size_t i);

/** Add a problem at this place: what is wrong, what was expected. */
void moe_at_error(const moe_at_t *at, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The same at the place of key number i of a map. */
void moe_at_key_error(const moe_at_t *map, size_t i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** True if the value is given. */
bool moe_at_given(const moe_at_t *at);

/** True if the value is given and of this kind; no problem is added. */
bool moe_at_is(const moe_at_t *at, moe_yaml_kind_t kind);

/** True if it is; else a problem that says what was expected, unless one was
 * told of this node before. */
bool moe_at_expect(const moe_at_t *at, moe_yaml_kind_t kind,
                   const char *expected);

/** Key path of a place, as messages show it. */
void moe_at_path(const moe_at_t *at, char *out, size_t size);

/* --- values -------------------------------------------------------------- */

/**
 * Text of a scalar that is not empty; NULL and a problem otherwise.
 * @param[in] expected  What the message says was expected.
 */
const char *moe_at_text(const moe_at_t *at, const char *expected);

/** True if text may name a file or folder: moe_words_plain; else a
 * problem. */
bool moe_at_is_plain(const moe_at_t *at, const char *text);

/** A whole number in a range; false and a problem otherwise. */
bool moe_at_int64(const moe_at_t *at, int64_t low, int64_t high,
                  int64_t *value_p);

/** A key of the table with a field or a type of one number or word, into
 * value; false and a problem otherwise. value_p as moe_type_t says. */
bool moe_at_value(const moe_at_t *at, const moe_key_t *key, void *value_p,
                  size_t size);

/** Default of a key, as moe_at_value(). False if it is a rule or none. */
bool moe_key_standard(const moe_key_t *key, void *value_p, size_t size);

/** A name out of some: its place; -1 and a problem with the nearest one. */
int moe_at_name(const moe_at_t *at, const char *what, const char *const *names,
                size_t n);

/**
 * Read a map by its section: unknown and missing keys are problems, keys
 * with a field are read into object or get their default. A rule that names
 * another key of the section copies that one. The value may be not given.
 */
void moe_at_section(const moe_at_t *at, moe_section_t section, void *object);

/**
 * True if these keys of a section (NULL-terminated; each a number or a word)
 * hold good values or may be left out: what they are to each other can be
 * checked, whatever is wrong with the others. No problem is added.
 */
bool moe_at_keys_read(const moe_at_t *map, moe_section_t section,
                      const char *const *keys);

/** The checks of moe_at_section() alone: unknown and missing keys. */
void moe_at_check_keys(const moe_at_t *at, moe_section_t section);

/** Path of a readable file, absolute, owned by the caller; NULL and a
 * problem otherwise. */
char *moe_at_file(const moe_at_t *at);

/** "file:line:column: key: path", for messages of what is found in the file
 * only later; without the first part of an option. NULL and a problem if out
 * of memory. Owned by the caller. */
char *moe_at_where(const moe_at_t *at, const char *path);

#endif
