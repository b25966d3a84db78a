/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/run_method.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Place of a word in a list of words separated by blanks; -1 if none. */
static int word_place(const char *words, const char *word)
{
    size_t n = strlen(word);
    int place = 0;

    while (words != NULL && *words != '\0') {
        size_t len = strcspn(words, " ");

        if (len == n && strncmp(words, word, n) == 0) {
            return place;
        }
        place++;
        words += len;
        words += strspn(words, " ");
    }
    return -1;
}

static bool set_int(const char *text, int64_t *value_p)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0) {
        return false;
    }
    *value_p = v;
    return true;
}

static bool set_number(const char *text, int64_t *value_p)
{
    char *end;
    double v;

    errno = 0;
    v = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(v)) {
        return false;
    }
    memcpy(value_p, &v, sizeof(v));
    return true;
}

double moe_option_number(int64_t value)
{
    double v;

    memcpy(&v, &value, sizeof(v));
    return v;
}

static bool set_value(const moe_option_t *option, const char *text,
                      int64_t *value_p)
{
    moe_format_t format;
    moe_order_t order;
    int place;

    switch (option->kind) {
    case MOE_OPTION_choice:
        place = word_place(option->choices, text);
        *value_p = place >= 0 ? place : *value_p;
        return place >= 0;
    case MOE_OPTION_order:
        if (!moe_order_find(text, &order) ||
            word_place(option->choices, text) < 0) {
            return false;
        }
        *value_p = (int64_t)order;
        return true;
    case MOE_OPTION_format:
        if (!moe_format_find(text, &format) ||
            word_place(option->choices, moe_format_name(format)) < 0) {
            return false;
        }
        *value_p = (int64_t)format;
        return true;
    case MOE_OPTION_bool:
        place = word_place("false true", text);
        *value_p = place >= 0 ? place : *value_p;
        return place >= 0;
    case MOE_OPTION_number:
        return set_number(text, value_p);
    case MOE_OPTION_int:
    default:
        return set_int(text, value_p);
    }
}

static void say_expected(const moe_option_t *option, char *out)
{
    switch (option->kind) {
    case MOE_OPTION_choice:
    case MOE_OPTION_order:
    case MOE_OPTION_format:
        (void)snprintf(out, MOE_OPTION_TEXT, "one of: %s", option->choices);
        break;
    case MOE_OPTION_bool:
        (void)snprintf(out, MOE_OPTION_TEXT, "true or false");
        break;
    case MOE_OPTION_number:
        (void)snprintf(out, MOE_OPTION_TEXT, "a number");
        break;
    case MOE_OPTION_int:
    default:
        (void)snprintf(out, MOE_OPTION_TEXT, "an integer");
        break;
    }
}

bool moe_option_set(const moe_method_t *method, const char *key,
                    const char *value, int64_t *options,
                    char expected[MOE_OPTION_TEXT])
{
    char unasked[MOE_OPTION_TEXT];
    int i;

    if (expected == NULL) {
        expected = unasked;
    }
    if (!moe_option_find(method, key, &i)) {
        (void)snprintf(expected, MOE_OPTION_TEXT, "an option of the method");
        return false;
    }
    if (!set_value(&method->options[i], value, &options[i])) {
        say_expected(&method->options[i], expected);
        return false;
    }
    return true;
}

void moe_option_defaults(const moe_method_t *method, moe_format_t hidden,
                         int64_t *options)
{
    memset(options, 0, MOE_OPTIONS_MAX * sizeof(*options));
    for (int i = 0; method->options[i].key != NULL; i++) {
        const moe_option_t *option = &method->options[i];

        if (option->standard == NULL) {
            options[i] = (int64_t)hidden;
        } else {
            (void)set_value(option, option->standard, &options[i]);
        }
    }
}

/* The shortest text that is the number. */
static const char *number_text(double x, char *out)
{
    double back = 0.0;

    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(out, MOE_OPTION_TEXT, "%.*g", digits, x);
        back = strtod(out, NULL);
        if (!(back < x) && !(back > x)) {
            break;
        }
    }
    return out;
}

const char *moe_option_text(const moe_option_t *option, int64_t value,
                            char out[MOE_OPTION_TEXT])
{
    const char *word = option->choices;
    int64_t left = value;

    switch (option->kind) {
    case MOE_OPTION_format:
        return strcpy(out, moe_format_name((moe_format_t)value));
    case MOE_OPTION_order:
        return strcpy(out, moe_order_name((moe_order_t)value));
    case MOE_OPTION_bool:
        return strcpy(out, value != 0 ? "true" : "false");
    case MOE_OPTION_int:
        (void)snprintf(out, MOE_OPTION_TEXT, "%lld", (long long)value);
        return out;
    case MOE_OPTION_number:
        return number_text(moe_option_number(value), out);
    case MOE_OPTION_choice:
    default:
        break;
    }
    while (left-- > 0) {
        word += strcspn(word, " ");
        word += strspn(word, " ");
    }
    (void)snprintf(out, MOE_OPTION_TEXT, "%.*s", (int)strcspn(word, " "), word);
    return out;
}

bool moe_option_find(const moe_method_t *method, const char *key, int *place_p)
{
    for (int i = 0; method->options[i].key != NULL; i++) {
        if (strcmp(method->options[i].key, key) == 0) {
            *place_p = i;
            return true;
        }
    }
    return false;
}

moe_contract_t moe_method_contract(const moe_method_t *method,
                                   const moe_model_t *model,
                                   const int64_t *options)
{
    moe_contract_t contract = method->contract;
    int place;

    if (moe_option_find(method, "combine_order", &place)) {
        contract.reduce = (moe_order_t)options[place];
    }
    if (moe_option_find(method, "sum_order", &place)) {
        contract.sum = (moe_order_t)options[place];
    }
    if (method->amend != NULL) {
        method->amend(model, options, &contract);
    }
    return contract;
}

int64_t moe_method_expert_block(const moe_method_use_t *use)
{
    int place;

    return moe_option_find(use->method, "expert_block", &place) &&
                   use->options[place] == 1
               ? 128
               : 1;
}

bool moe_method_gate(const moe_layer_t *layer, const moe_method_use_t *use,
                     moe_gate_rule_t *rule_p)
{
    if (use->method->gate == NULL) {
        return false;
    }
    *rule_p = use->method->gate(layer, use->options);
    return true;
}

int64_t moe_method_bin(const moe_layer_t *layer, const moe_method_use_t *use,
                       int rank)
{
    return use->method->bin == NULL
               ? -1
               : use->method->bin(layer, use->options, rank);
}

bool moe_method_drops(const moe_layer_t *layer, const moe_method_use_t *use)
{
    moe_gate_rule_t rule;
    bool drops =
        moe_method_gate(layer, use, &rule) && rule.drop != MOE_DROP_none;

    for (int r = 0; r < layer->layout.ep; r++) {
        drops = drops || moe_method_bin(layer, use, r) > 0;
    }
    return drops;
}
