/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Every key of a scenario, a model and a machine file: one table, from which
 * files are read, printed, checked and documented.
 */
#ifndef SIM_SCENARIO_SCHEMA_H
#define SIM_SCENARIO_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum {
#define MOE_SECTION(id, place, text) MOE_SECTION_##id,
#include "sim/scenario/section.def"
#undef MOE_SECTION
    MOE_SECTION_COUNT
} moe_section_t;

/** What the value of a key is. */
typedef enum {
    MOE_TYPE_text,     /* char array of the object */
    MOE_TYPE_int,      /* int */
    MOE_TYPE_int64,    /* int64_t */
    MOE_TYPE_uint64,   /* uint64_t */
    MOE_TYPE_float,    /* float */
    MOE_TYPE_number,   /* double */
    MOE_TYPE_bool,     /* bool */
    MOE_TYPE_choice,   /* int: place of a word in words */
    MOE_TYPE_constant, /* moe_constant_t */
    MOE_TYPE_format,   /* name of a format, or a map of section storage */
    MOE_TYPE_file,     /* path of a file, from the scenario's folder */
    MOE_TYPE_map,
    MOE_TYPE_list,
    MOE_TYPE_mixed, /* forms in the text */
    MOE_TYPE_COUNT
} moe_type_t;

/** Where a value lies in the object of its section; size 0: nowhere, it is
 * read by hand. */
typedef struct {
    size_t offset;
    size_t size;
} moe_field_t;

typedef struct {
    moe_section_t section;
    const char *key;
    moe_type_t type;
    const char *unit;     /* "" without */
    const char *standard; /* default as YAML, or '=' and a rule; NULL: must
                           * be given; "": none */
    const char *why;      /* reason of the default; NULL without */
    double low;           /* range of numbers, inclusive */
    double high;
    const char *words; /* legal words, or the range in words; NULL: any */
    moe_field_t field;
    const char *text;
} moe_key_t;

/** The words of keys whose text names a file or folder. */
extern const char moe_words_plain[];

/** Number of keys, and each, section by section. */
size_t moe_schema_count(void);
const moe_key_t *moe_schema_get(size_t i);

/** Key of a section; NULL if it has none of this name. */
const moe_key_t *moe_schema_find(moe_section_t section, const char *key);

/** Place and text of a section. */
const char *moe_section_place(moe_section_t section);
const char *moe_section_text(moe_section_t section);

/** Name of a type as the documentation shows it. */
const char *moe_type_name(moe_type_t type);

/**
 * Keys of a section.
 * @param[out] names  [max].
 * @return How many were written.
 */
size_t moe_schema_names(moe_section_t section, const char **names, size_t max);

/** Number of a word in a list separated by blanks; -1 if it is not there. */
int moe_words_find(const char *words, const char *word);

/** Word number i of such a list, into a buffer; false if there is none. */
bool moe_words_get(const char *words, int i, char *out, size_t size);

/** All keys as the Markdown tables of doc/scenario.md, method options too. */
void moe_schema_markdown(FILE *stream);

#endif
