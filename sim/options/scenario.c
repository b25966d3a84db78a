/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shorthand for a scenario: --tokens 1,128 --method all and their like
 * become changes of the scenario's keys.
 */
#include "sim/options/options.h"

#include "base/text.h"
#include "sim/methods/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words of a comma list: calls use(), if any, with each; an empty one is a
 * problem. */
static void each_word(moe_parse_t *parse, const char *list,
                      void (*use)(moe_parse_t *parse, const char *word,
                                  void *self),
                      void *self)
{
    const char *word = list;
    bool told = false;

    for (;;) {
        size_t n = strcspn(word, ",");
        char *copy = strndup(word, n);

        if (n == 0 && !told) {
            moe_parse_problem(parse,
                              "'%s' has an empty item, expected values between "
                              "commas",
                              list);
            told = true;
        }
        if (copy == NULL) {
            parse->status =
                moe_fail(MOE_ERR_NOMEM, "out of memory in the options");
            return;
        }
        if (n > 0 && use != NULL) {
            use(parse, copy, self);
        }
        free(copy);
        if (word[n] == '\0') {
            return;
        }
        word += n + 1;
    }
}

static void take_list(moe_parse_t *parse, const char *key, const char *list)
{
    moe_swept_t *swept =
        realloc(parse->swept, (parse->n_swept + 1) * sizeof(*swept));

    if (swept == NULL) {
        parse->status = moe_fail(MOE_ERR_NOMEM, "out of memory in the options");
        return;
    }
    swept[parse->n_swept++] = (moe_swept_t){key, list};
    parse->swept = swept;
}

void moe_parse_key(moe_parse_t *parse, const char *value)
{
    const char *key = parse->option->key;
    const char *comma = strchr(value, ',');
    char *first;

    if (comma == NULL || value[0] == '[' || value[0] == '{') {
        moe_parse_change(parse, key, value);
        return;
    }
    each_word(parse, value, NULL, NULL);
    first = moe_parse_own(parse, strndup(value, (size_t)(comma - value)));
    if (first != NULL) {
        moe_parse_change(parse, key, first);
        take_list(parse, key, value);
    }
}

/* All lists as one value of the key sweep. */
static void finish_sweep(moe_parse_t *parse)
{
    char *text = moe_parse_own(parse, strdup(""));
    size_t i;

    for (i = 0; i < parse->n_swept && text != NULL; ++i) {
        text = moe_parse_own(parse, moe_strdup_printf("%s%s%s: [%s]", text,
                                                      i > 0 ? ", " : "",
                                                      parse->swept[i].key,
                                                      parse->swept[i].list));
    }
    if (text != NULL) {
        text = moe_parse_own(parse, moe_strdup_printf("{%s}", text));
    }
    if (text != NULL) {
        moe_parse_change(parse, "sweep", text);
    }
}

/* The value of `methods` as it grows. */
typedef struct {
    char *text;
    const moe_method_t *method;
    bool taken; /* a word of --dispatch was */
    bool open;  /* --set changes an entry: each is a map */
} moe_method_list_t;

static void add_item(moe_parse_t *parse, moe_method_list_t *list,
                     const char *name, const char *dispatch)
{
    const char *comma = list->text[0] != '\0' ? ", " : "";
    char *text;

    if (dispatch != NULL) {
        text = moe_strdup_printf("%s%s{%s: {dispatch: %s}}", list->text, comma,
                                 name, dispatch);
    } else {
        text = moe_strdup_printf(list->open ? "%s%s{%s: {}}" : "%s%s%s",
                                 list->text, comma, name);
    }
    text = moe_parse_own(parse, text);
    if (text != NULL) {
        list->text = text;
    }
}

/* One dispatch format of a method that was named: left to the loader to
 * judge. Of `all`: taken where the method has it. */
static void add_dispatch(moe_parse_t *parse, const char *word, void *self)
{
    moe_method_list_t *list = self;
    int64_t options[MOE_OPTIONS_MAX] = {0};

    if (strcmp(parse->method, "all") != 0 ||
        moe_option_set(list->method, "dispatch", word, options, NULL)) {
        add_item(parse, list, list->method->name, word);
        list->taken = true;
    }
}

static bool has_dispatch(const moe_method_t *method)
{
    const moe_option_t *option;

    for (option = method->options; option->key != NULL; ++option) {
        if (strcmp(option->key, "dispatch") == 0) {
            return true;
        }
    }
    return false;
}

static void add_method(moe_parse_t *parse, const moe_method_t *method,
                       moe_method_list_t *list)
{
    list->method = method;
    if (parse->dispatch != NULL && has_dispatch(method)) {
        each_word(parse, parse->dispatch, add_dispatch, list);
    } else {
        add_item(parse, list, method->name, NULL);
    }
}

static void add_name(moe_parse_t *parse, const char *word, void *self)
{
    const char *names[64];
    const moe_method_t *method = moe_method_find(word);
    const char *near;
    size_t n = 0;

    if (method != NULL) {
        add_method(parse, method, self);
        return;
    }
    if (strcmp(word, "all") == 0) {
        moe_parse_problem(parse, "'all' stands alone: it is every method");
        return;
    }
    for (n = 0; n < 64 && n < (size_t)moe_method_count(); ++n) {
        names[n] = moe_method_get((int)n)->name;
    }
    near = moe_nearest(word, names, n);
    moe_parse_problem(parse,
                      "'%s' is no method, expected one of 'moesim list "
                      "methods'%s%s%s",
                      word, near != NULL ? "; did you mean '" : "",
                      near != NULL ? near : "", near != NULL ? "'?" : "");
}

/* Formats that no method of `all` dispatches: which methods have which. */
static void no_dispatch(moe_parse_t *parse)
{
    char takes[1024] = "";
    size_t used = 0;

    for (int i = 0; i < moe_method_count() && used < sizeof(takes); ++i) {
        const moe_method_t *method = moe_method_get(i);
        const moe_option_t *option = method->options;

        while (option->key != NULL && strcmp(option->key, "dispatch") != 0) {
            ++option;
        }
        if (option->key != NULL) {
            used += (size_t)snprintf(takes + used, sizeof(takes) - used,
                                     "%s%s: %s", used > 0 ? "; " : "",
                                     method->name, option->choices);
        }
    }
    parse->option = moe_opt_find("dispatch", strlen("dispatch"));
    moe_parse_problem(parse, "no method dispatches '%s', expected of %s",
                      parse->dispatch, takes);
}

/* True if a path leads to what is below a key. */
static bool is_below(const char *path, const char *key)
{
    size_t n = strlen(key);

    return strncmp(path, key, n) == 0 && path[n] == '.';
}

/* True if --set names the methods (below: what is below them). */
static bool sets_methods(const moe_command_t *command, bool below)
{
    for (size_t i = 0; i < command->n_changes; ++i) {
        const char *path = command->change[i].path;

        if (below ? is_below(path, "methods") : strcmp(path, "methods") == 0) {
            return true;
        }
    }
    return false;
}

static void finish_methods(moe_parse_t *parse)
{
    moe_method_list_t list = {.text = moe_parse_own(parse, strdup("")),
                              .open = sets_methods(parse->command, true)};
    bool all = strcmp(parse->method, "all") == 0;
    bool taken = false;
    char *text;
    int i;

    if (all && parse->dispatch == NULL) {
        moe_parse_change(parse, "methods", "all");
        return;
    }
    if (list.text == NULL) {
        return;
    }
    for (i = 0; all && i < moe_method_count(); ++i) {
        list.taken = false;
        add_method(parse, moe_method_get(i), &list);
        taken = taken || list.taken;
    }
    if (all && !taken) {
        no_dispatch(parse);
        return;
    }
    if (!all) {
        each_word(parse, parse->method, add_name, &list);
    }
    text = list.text[0] == '\0' /* none is known: told */
               ? moe_parse_own(parse, strdup("all"))
               : moe_parse_own(parse, moe_strdup_printf("[%s]", list.text));
    if (text != NULL) {
        moe_parse_change(parse, "methods", text);
    }
}

/* Changes of what is below a key go behind the change of all of it, in their
 * order. */
static void order_changes(moe_command_t *command)
{
    moe_change_t *change = command->change;

    for (size_t i = 1; i < command->n_changes; ++i) {
        const char *whole = change[i].path;
        size_t last = i;

        for (size_t k = i; k-- > 0;) {
            moe_change_t below = change[k];

            if (is_below(below.path, whole)) {
                memmove(&change[k], &change[k + 1],
                        (last - k) * sizeof(*change));
                change[last--] = below;
            }
        }
    }
}

/* --method and --dispatch, as far as they were given. */
static void take_methods(moe_parse_t *parse)
{
    parse->option = moe_opt_find("method", strlen("method"));
    if (sets_methods(parse->command, false)) {
        moe_parse_problem(parse, "is beside --set methods=, expected one of "
                                 "them");
        return;
    }
    finish_methods(parse);
}

void moe_parse_finish(moe_parse_t *parse)
{
    /* Options alone make the scenario: all methods unless they say which. */
    bool whole = parse->command->operand == NULL &&
                 (parse->command->n_changes > 0 || parse->dispatch != NULL) &&
                 !sets_methods(parse->command, false) &&
                 !sets_methods(parse->command, true);

    if (parse->dispatch != NULL && parse->method == NULL && !whole) {
        parse->option = moe_opt_find("dispatch", strlen("dispatch"));
        moe_parse_problem(parse, "needs --method: which methods?");
        return;
    }
    if (parse->n_swept > 0) {
        finish_sweep(parse);
    }
    if (parse->method == NULL && whole) {
        parse->method = "all";
    }
    if (parse->method != NULL) {
        take_methods(parse);
    }
    order_changes(parse->command);
}
