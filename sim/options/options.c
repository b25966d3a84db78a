/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/options/options.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* True if the scenario is known without this option's value: of bad methods
 * the good ones, or all, are looked at. */
static bool is_apart(const moe_opt_t *option)
{
    static const char *const names[] = {"method", "color", "stages",
                                        "memory-limit", "backend"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        if (strcmp(option->name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What is wrong with the scenario too, where the line's problems leave open
 * no key of it: what follows from a lost value is not told. */
static void add_scenario(moe_parse_t *parse)
{
    const moe_command_t *c = parse->command;
    moe_scenario_t *scenario = NULL;

    if (parse->n_apart == 0 || parse->n_apart != moe_diag_count(parse->diag) ||
        (c->verb != MOE_VERB_run && c->verb != MOE_VERB_price &&
         c->verb != MOE_VERB_golden) ||
        (c->operand == NULL && c->n_changes < 2)) {
        return;
    }
    (void)moe_scenario_load(c->operand, c->change, c->n_changes, c->ranks,
                            parse->diag, &scenario);
    moe_scenario_free(scenario);
}

void moe_parse_problem(moe_parse_t *parse, const char *format, ...)
{
    char name[64];
    char text[512];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    (void)snprintf(name, sizeof(name), "--%s", parse->option->name);
    parse->n_apart += is_apart(parse->option);
    moe_diag_add(parse->diag, NULL, 0, 0, name, "%s", text);
}

static void no_memory(moe_parse_t *parse)
{
    parse->status = moe_fail(MOE_ERR_NOMEM, "out of memory in the options");
}

char *moe_parse_own(moe_parse_t *parse, char *text)
{
    moe_command_t *command = parse->command;
    char **owned;

    if (text == NULL) {
        no_memory(parse);
        return NULL;
    }
    owned = realloc(command->owned, (command->n_owned + 1) * sizeof(*owned));
    if (owned == NULL) {
        free(text);
        no_memory(parse);
        return NULL;
    }
    owned[command->n_owned++] = text;
    command->owned = owned;
    return text;
}

/* A key that is set has one value: earlier lists of it are off. */
static void drop_list(moe_parse_t *parse, const char *path)
{
    size_t kept = 0;

    for (size_t i = 0; i < parse->n_swept; i++) {
        if (strcmp(parse->swept[i].key, path) != 0) {
            parse->swept[kept++] = parse->swept[i];
        }
    }
    parse->n_swept = kept;
}

void moe_parse_change(moe_parse_t *parse, const char *path, const char *value)
{
    moe_command_t *command = parse->command;
    moe_change_t *change;

    drop_list(parse, path);
    change =
        realloc(command->change, (command->n_changes + 1) * sizeof(*change));
    if (change == NULL) {
        no_memory(parse);
        return;
    }
    change[command->n_changes++] = (moe_change_t){path, value};
    command->change = change;
}

static void take(moe_parse_t *parse, const char *value)
{
    const moe_opt_t *option = parse->option;
    char *base = (char *)parse->command;

    switch (option->kind) {
    case MOE_OPT_flag:
        *(bool *)(void *)(base + option->field) = true;
        break;
    case MOE_OPT_text:
        *(const char **)(void *)(base + option->field) = value;
        break;
    case MOE_OPT_value:
        option->parse(parse, value);
        break;
    case MOE_OPT_key:
        moe_parse_key(parse, value);
        break;
    }
}

/* An option with its value: what follows '=' or the next word. Returns the
 * number of further words used. */
static int take_option(moe_parse_t *parse, const char *given, const char *next)
{
    const moe_opt_t *option = parse->option;
    unsigned verb = 1u << parse->command->verb;

    if (given == NULL && option->arg != NULL && option->arg[0] == '[' &&
        (next == NULL || (next[0] == '-' && next[1] != '\0'))) {
        given = "-"; /* a value that may be left out */
    }
    if (option->arg == NULL) {
        if (given != NULL) {
            moe_parse_problem(parse, "takes no value, got '%s'", given);
        } else if ((option->verbs & verb) != 0) {
            take(parse, NULL);
        }
    } else if (given == NULL && next == NULL) {
        moe_parse_problem(parse, "expected a value: %s", option->arg);
    } else if (*(given != NULL ? given : next) == '\0') {
        moe_parse_problem(parse, "is empty, expected %s", option->arg);
    } else if ((option->verbs & verb) != 0) {
        take(parse, given != NULL ? given : next);
    }
    if ((option->verbs & verb) == 0) {
        moe_parse_problem(parse, "is no option of '%s'; see 'moesim %s --help'",
                          moe_verb_name(parse->command->verb),
                          moe_verb_name(parse->command->verb));
    }
    return option->arg != NULL && given == NULL && next != NULL;
}

/* Returns 1 if the next word looks like the value of what was meant. */
static int unknown_option(moe_parse_t *parse, const char *word, size_t n,
                          const char *next)
{
    const moe_opt_t *meant;
    const char *names[64];
    char name[64];
    const char *near;
    size_t count = 0;
    size_t i;

    (void)snprintf(name, sizeof(name), "%.*s", (int)(n < 60 ? n : 60), word);
    for (i = 0; i < moe_opt_count() && count < 64; ++i) {
        names[count++] = moe_opt_get(i)->name;
    }
    near = moe_nearest(name, names, count);
    if (near == NULL) {
        moe_diag_add(parse->diag, NULL, 0, 0, NULL,
                     "--%s: unknown option; 'moesim %s --help' lists them",
                     name, moe_verb_name(parse->command->verb));
        return 0;
    }
    moe_diag_add(parse->diag, NULL, 0, 0, NULL,
                 "--%s: unknown option, did you mean --%s?", name, near);
    meant = moe_opt_find(near, strlen(near));
    return meant->arg != NULL && word[n] != '=' && next != NULL &&
           next[0] != '-';
}

static int take_long(moe_parse_t *parse, const char *word, const char *next)
{
    size_t n = strcspn(word, "=");

    parse->option = moe_opt_find(word, n);
    if (parse->option == NULL) {
        return unknown_option(parse, word, n, next);
    }
    return take_option(parse, word[n] == '=' ? word + n + 1 : NULL, next);
}

/* -q, -o DIR, -oDIR, -qo DIR. */
static int take_letters(moe_parse_t *parse, const char *word, const char *next)
{
    for (; *word != '\0'; ++word) {
        parse->option = moe_opt_find_letter(*word);
        if (parse->option == NULL) {
            moe_diag_add(parse->diag, NULL, 0, 0, NULL,
                         "-%c: unknown option; 'moesim %s --help' lists them",
                         *word, moe_verb_name(parse->command->verb));
        } else if (parse->option->arg != NULL) {
            return take_option(parse, word[1] != '\0' ? word + 1 : NULL, next);
        } else {
            (void)take_option(parse, NULL, NULL);
        }
    }
    return 0;
}

/* Words of a verb's operand text: how many operands it takes. */
static int count_operands(const char *text)
{
    int n = *text != '\0';

    for (; *text != '\0'; ++text) {
        n += *text == ' ';
    }
    return n;
}

/* Where the next operand goes; NULL if there is no room for one more. */
static const char **next_operand(moe_command_t *command)
{
    const char **places[] = {&command->operand, &command->more[0],
                             &command->more[1]};
    int n = count_operands(moe_verb_operand(command->verb));
    int i;

    for (i = 0; i < n && i < 3; ++i) {
        if (*places[i] == NULL) {
            return places[i];
        }
    }
    return NULL;
}

/* True if a verb takes any number of operands. */
static bool takes_many(moe_verb_t verb)
{
    return strstr(moe_verb_operand(verb), "...") != NULL;
}

static void take_one_of_many(moe_parse_t *parse, int at)
{
    moe_command_t *command = parse->command;
    int *more =
        realloc(command->operand_at, (command->n_operands + 1) * sizeof(*more));

    if (more == NULL) {
        parse->status = moe_fail(MOE_ERR_NOMEM, "no memory for operands");
        return;
    }
    command->operand_at = more;
    command->operand_at[command->n_operands++] = at;
    command->operand = command->argv[command->operand_at[0]];
}

static void take_operand(moe_parse_t *parse, int at)
{
    moe_command_t *command = parse->command;
    const char *word = command->argv[at];
    const char **place = next_operand(command);

    if (takes_many(command->verb)) {
        take_one_of_many(parse, at);
    } else if (*moe_verb_operand(command->verb) == '\0') {
        moe_diag_add(parse->diag, NULL, 0, 0, NULL, "'%s': %s takes no operand",
                     word, moe_verb_name(command->verb));
    } else if (place == NULL && command->more[0] == NULL) {
        moe_diag_add(parse->diag, NULL, 0, 0, NULL,
                     "'%s': %s takes one operand, '%s' was given already", word,
                     moe_verb_name(command->verb), command->operand);
    } else if (place == NULL) {
        moe_diag_add(parse->diag, NULL, 0, 0, NULL,
                     "'%s': one operand too many, %s takes %s", word,
                     moe_verb_name(command->verb),
                     moe_verb_operand(command->verb));
    } else {
        *place = word;
    }
}

static void take_words(moe_parse_t *parse)
{
    int argc = parse->command->argc;
    char **argv = parse->command->argv;
    bool ended = false;
    int i;

    for (i = 2; i < argc && parse->status == MOE_OK; ++i) {
        const char *word = argv[i];
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;

        if (!ended && strcmp(word, "--") == 0) {
            ended = true;
        } else if (!ended && strncmp(word, "--", 2) == 0) {
            i += take_long(parse, word + 2, next);
        } else if (!ended && word[0] == '-' && word[1] != '\0') {
            i += take_letters(parse, word + 1, next);
        } else {
            take_operand(parse, i);
        }
    }
}

/* The verb; false if there is none to go on with. */
static bool take_verb(moe_parse_t *parse)
{
    moe_command_t *command = parse->command;
    const char *names[MOE_VERB_COUNT];
    const char *word = command->argc > 1 ? command->argv[1] : NULL;
    const char *near;
    size_t n = 0;
    int i;

    for (i = 0; i < MOE_VERB_COUNT; ++i) {
        if (word != NULL && strcmp(word, moe_verb_name((moe_verb_t)i)) == 0) {
            command->verb = (moe_verb_t)i;
            return true;
        }
        if (moe_verb_is_shown((moe_verb_t)i)) {
            names[n++] = moe_verb_name((moe_verb_t)i);
        }
    }
    if (word == NULL) {
        moe_diag_add(parse->diag, NULL, 0, 0, "moesim",
                     "expected a command; 'moesim --help' lists them");
        return false;
    }
    command->help = strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
    command->version =
        strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0;
    if (command->help || command->version) {
        return false;
    }
    near = moe_nearest(word, names, n);
    moe_diag_add(parse->diag, NULL, 0, 0, "moesim",
                 "'%s': unknown command%s%s%s", word,
                 near != NULL ? ", did you mean '" : "",
                 near != NULL ? near : "; 'moesim --help' lists them",
                 near != NULL ? "'?" : "");
    return false;
}

moe_status_t moe_command_parse(int argc, char **argv, moe_diag_t *diag,
                               moe_command_t *command_p)
{
    moe_parse_t parse = {.command = command_p, .diag = diag};

    memset(command_p, 0, sizeof(*command_p));
    command_p->max_ulp = -1;
    command_p->only_rank = -1;
    command_p->verb = MOE_VERB_COUNT;
    command_p->argc = argc;
    command_p->started = time(NULL);
    command_p->argv = argv;
    (void)moe_stage_set_find("all", &command_p->stages);
    if (take_verb(&parse)) {
        take_words(&parse);
        if (parse.status == MOE_OK && !command_p->help && !command_p->version) {
            moe_parse_finish(&parse);
            add_scenario(&parse);
        }
    }
    free(parse.swept);
    if (parse.status != MOE_OK) {
        return parse.status;
    }
    if (command_p->help || command_p->version || moe_diag_count(diag) == 0) {
        return MOE_OK;
    }
    return MOE_ERR_INPUT;
}

void moe_command_fini(moe_command_t *command)
{
    size_t i;

    for (i = 0; i < command->n_owned; ++i) {
        free(command->owned[i]);
    }
    free(command->owned);
    free(command->change);
    free(command->tensor);
    free(command->injection);
    free(command->operand_at);
    memset(command, 0, sizeof(*command));
}
