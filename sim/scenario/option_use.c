/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of methods that do nothing beside another's value: who gives one is
 * told, instead of being given the same numbers as without it.
 */
#include "sim/scenario/parts.h"

#include <string.h>

static const struct {
    const char *method;
    const char *option;
    const char *by;
    const char *words;
    int topk;
} uses[] = {
#define MOE_OPTION_USE(method, option, by, words, topk)                        \
    {#method, #option, #by, words, topk},
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

/* One row of the list, which is of this method. The default of an option may
 * always stand: it is what is printed. */
static void check_row(const moe_build_t *b, const moe_at_t *map,
                      const moe_method_use_t *use, size_t row)
{
    const int place = moe_method_option_place(use->method, uses[row].option);
    const int by = moe_method_option_place(use->method, uses[row].by);
    const moe_at_t at = moe_at_key(map, uses[row].option);
    int64_t standard[MOE_OPTIONS_MAX];
    char text[MOE_OPTION_TEXT];

    if (place < 0 || by < 0 || !moe_at_given(&at)) {
        return;
    }
    moe_option_defaults(use->method,
                        b->s->layer.chain.at[MOE_ROLE_hidden].format, standard);
    (void)moe_option_text(&use->method->options[by], use->options[by], text);
    if (use->options[place] != standard[place] &&
        !has_word(uses[row].words, text)) {
        moe_at_error(&at, "does nothing with %s: %s, expected %s to be %s%s",
                     uses[row].by, text, uses[row].by,
                     strchr(uses[row].words, ' ') != NULL ? "one of " : "",
                     uses[row].words);
    }
}

void moe_method_check_used(const moe_build_t *b, const moe_at_t *map,
                           const moe_method_use_t *use)
{
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        if (strcmp(uses[i].method, use->method->name) == 0 && b->model_ok &&
            b->s->layer.model->topk >= uses[i].topk) {
            check_row(b, map, use, i);
        }
    }
}
