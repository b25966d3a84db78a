/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of methods: the method's name, and where it stands more than once,
 * what differs.
 */
#include "sim/scenario/parts.h"

#include <stdio.h>
#include <string.h>

/* True if uses of one method differ in option i. */
static bool differs(const moe_scenario_t *s, const moe_method_t *method, int i)
{
    const moe_method_use_t *first = NULL;

    for (size_t k = 0; k < s->n_methods; k++) {
        if (s->method[k].method != method) {
            continue;
        }
        if (first == NULL) {
            first = &s->method[k];
        } else if (s->method[k].options[i] != first->options[i]) {
            return true;
        }
    }
    return false;
}

void moe_scenario_label_standard(const moe_scenario_t *s, size_t k, char *out,
                                 size_t size)
{
    const moe_method_use_t *use = &s->method[k];
    const moe_option_t *option = use->method->options;
    bool is_word;
    size_t length;
    char text[MOE_OPTION_TEXT];

    (void)snprintf(out, size, "%s", use->method->name);
    for (int i = 0; option[i].key != NULL; i++) {
        if (!differs(s, use->method, i)) {
            continue;
        }
        is_word = option[i].kind == MOE_OPTION_format ||
                  option[i].kind == MOE_OPTION_choice;
        length = strlen(out);
        (void)snprintf(out + length, size - length, "-%s%s%s",
                       is_word ? "" : option[i].key, is_word ? "" : "-",
                       moe_option_text(&option[i], use->options[i], text));
    }
}

static void tell_twice(const moe_method_use_t *use, const moe_at_t *at)
{
    moe_at_error(at,
                 "'%s' is there twice, expected different options or labels",
                 use->label);
}

void moe_scenario_label(moe_build_t *b, const moe_at_t *at, const size_t *entry)
{
    moe_scenario_t *s = b->s;

    for (size_t i = 0; i < s->n_methods; i++) {
        moe_at_t of = entry == NULL ? *at : moe_at_item(at, entry[i]);

        if (s->method[i].label[0] == '\0') {
            moe_scenario_label_standard(s, i, s->method[i].label,
                                        sizeof(s->method[i].label));
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(s->method[k].label, s->method[i].label) == 0) {
                tell_twice(&s->method[i], &of);
                return;
            }
        }
    }
}
