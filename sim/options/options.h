/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The table of options, and the pieces that moe_command_parse() is made of.
 */
#ifndef SIM_OPTIONS_OPTIONS_H
#define SIM_OPTIONS_OPTIONS_H

#include "sim/options/command.h"

typedef struct moe_parse moe_parse_t;

typedef enum {
    MOE_OPT_flag,  /* a bool field */
    MOE_OPT_text,  /* a text field */
    MOE_OPT_value, /* parse() */
    MOE_OPT_key    /* a change of a key of the scenario */
} moe_opt_kind_t;

/** One option of sim/options/options.def. */
typedef struct {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    const char *arg;  /* as help shows it; NULL: takes none */
    unsigned verbs;   /* bits of moe_verb_t */
    const char *text;
    moe_opt_kind_t kind;
    size_t field;    /* offset in moe_command_t; flag and text */
    const char *key; /* key options */
    void (*parse)(moe_parse_t *parse, const char *text);
} moe_opt_t;

/** Number of options, and each, in the order of the list. */
size_t moe_opt_count(void);
const moe_opt_t *moe_opt_get(size_t i);

/** Option of a name (n bytes) or of a letter; NULL if there is none. */
const moe_opt_t *moe_opt_find(const char *name, size_t n);
const moe_opt_t *moe_opt_find_letter(char letter);

/** A comma list given to a key option. */
typedef struct {
    const char *key;
    const char *list;
} moe_swept_t;

/** What a pass over the words has gathered. */
struct moe_parse {
    moe_command_t *command;
    moe_diag_t *diag;
    const moe_opt_t *option; /* the one whose value is looked at */
    moe_status_t status;     /* MOE_ERR_NOMEM ends the pass */
    size_t n_swept;
    moe_swept_t *swept;
    size_t n_apart;     /* problems that leave the scenario's keys known */
    const char *method; /* --method, --dispatch as given; or NULL */
    const char *dispatch;
};

/** Add a problem of the option that is looked at. */
void moe_parse_problem(moe_parse_t *parse, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Text that lives as long as the command; NULL if out of memory. */
char *moe_parse_own(moe_parse_t *parse, char *text);

/** Append a change; both texts are kept. */
void moe_parse_change(moe_parse_t *parse, const char *path, const char *value);

/** Take the value of a key option. */
void moe_parse_key(moe_parse_t *parse, const char *value);

/** Turn what was gathered (lists, --method) into changes. */
void moe_parse_finish(moe_parse_t *parse);

/** Help of one verb, or of the program for MOE_VERB_COUNT. */
void moe_options_help(FILE *stream, moe_verb_t verb);

#define MOE_OPT_PARSE(id) void moe_parse_##id(moe_parse_t *, const char *);
#define MOE_FLAG(name, id, letter, verbs, text)
#define MOE_TEXT(name, id, letter, arg, verbs, text)
#define MOE_VALUE(name, id, letter, arg, verbs, text) MOE_OPT_PARSE(id)
#define MOE_KEY(name, id, letter, arg, key, verbs, text)
#include "sim/options/options.def"
#undef MOE_FLAG
#undef MOE_TEXT
#undef MOE_VALUE
#undef MOE_KEY
#undef MOE_OPT_PARSE

#endif
