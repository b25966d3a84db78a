/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of methods that do nothing beside another's value: who gives one is
 * told, instead of being given the same numbers as without it.
 */
#include "sim/scenario/parts.h"

#include <string.h>

/* Kinds of gates that look at an option whatever `by` says. */
static bool never(const moe_gate_rule_t *gate)
{
    (void)gate;
    return false;
}

#define GATE_none   never
#define GATE_top1   moe_gating_is_top1
#define GATE_agrees moe_gating_agrees

static const struct {
    const char *method;
    moe_option_use_t use;
    bool (*gate)(const moe_gate_rule_t *gate);
} rows[] = {
#define MOE_OPTION_USE(method, option, by, words, gate)                        \
    {#method, {#option, #by, words}, GATE_##gate},
#include "sim/scenario/option_use.def"
#undef MOE_OPTION_USE
};

static bool has_word(const char *words, const char *word)
{
    const size_t n = strlen(word);

    for (const char *at = words; (at = strstr(at, word)) != NULL; at += n) {
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Whether one row of the list says that its option does nothing. */
static bool is_idle(const moe_layer_t *layer, const moe_method_use_t *use,
                    size_t row)
{
    char text[MOE_OPTION_TEXT];
    moe_gate_rule_t gate;
    int by;

    if (!moe_option_find(use->method, rows[row].use.by, &by) ||
        (moe_method_gate(layer, use, &gate) && rows[row].gate(&gate))) {
        return false;
    }
    return !has_word(
        rows[row].use.words,
        moe_option_text(&use->method->options[by], use->options[by], text));
}

const moe_option_use_t *moe_option_idle(const moe_layer_t *layer,
                                        const moe_method_use_t *use,
                                        const char *option)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].method, use->method->name) == 0 &&
            strcmp(rows[i].use.option, option) == 0 && is_idle(layer, use, i)) {
            return &rows[i].use;
        }
    }
    return NULL;
}

static void tell(const moe_at_t *at, const moe_method_use_t *use,
                 const moe_option_use_t *row)
{
    char text[MOE_OPTION_TEXT];
    int by;

    if (moe_option_find(use->method, row->by, &by)) {
        moe_at_error(
            at, "does nothing with %s: %s, expected %s to be %s%s", row->by,
            moe_option_text(&use->method->options[by], use->options[by], text),
            row->by, strchr(row->words, ' ') != NULL ? "one of " : "",
            row->words);
    }
}

/* The default of an option may always stand: it is what is printed. */
void moe_method_check_used(const moe_build_t *b, const moe_at_t *map,
                           const moe_method_use_t *use)
{
    const moe_layer_t *layer = &b->s->layer;
    int64_t standard[MOE_OPTIONS_MAX];

    moe_option_defaults(use->method, layer->chain.at[MOE_ROLE_hidden].format,
                        standard);
    for (int i = 0; b->model_ok && use->method->options[i].key != NULL; i++) {
        const char *key = use->method->options[i].key;
        const moe_at_t at = moe_at_key(map, key);
        const moe_option_use_t *row =
            moe_at_given(&at) && use->options[i] != standard[i]
                ? moe_option_idle(layer, use, key)
                : NULL;

        if (row != NULL) {
            tell(&at, use, row);
        }
    }
}
