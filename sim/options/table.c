/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/options/options.h"

#include <string.h>

static const struct {
    const char *name;
    bool shown;
    const char *operand;
    const char *text;
    int (*run)(const moe_command_t *command);
} verbs[MOE_VERB_COUNT] = {
#define MOE_VERB(id, shown, operand, text)                                     \
    [MOE_VERB_##id] = {#id, shown, operand, text, moe_cmd_##id},
#include "sim/options/verbs.def"
#undef MOE_VERB
};

#define BIT(id)  (1u << MOE_VERB_##id)
#define ALL      (~0u)
#define SCENARIO (BIT(run) | BIT(price))

/* clang-format off */
static const moe_opt_t options[] = {
#define MOE_FLAG(name, id, letter, verbs, text)                                \
    {name, letter, NULL, verbs, text, MOE_OPT_flag,                            \
     offsetof(moe_command_t, id), NULL, NULL},
#define MOE_TEXT(name, id, letter, arg, verbs, text)                           \
    {name, letter, arg, verbs, text, MOE_OPT_text,                             \
     offsetof(moe_command_t, id), NULL, NULL},
#define MOE_VALUE(name, id, letter, arg, verbs, text)                          \
    {name, letter, arg, verbs, text, MOE_OPT_value, 0, NULL,                   \
     moe_parse_##id},
#define MOE_KEY(name, id, letter, arg, key, verbs, text)                       \
    {name, letter, arg, verbs, text, MOE_OPT_key, 0, key, NULL},
#include "sim/options/options.def"
#undef MOE_FLAG
#undef MOE_TEXT
#undef MOE_VALUE
#undef MOE_KEY
};
/* clang-format on */

size_t moe_opt_count(void)
{
    return sizeof(options) / sizeof(options[0]);
}

const moe_opt_t *moe_opt_get(size_t i)
{
    return &options[i];
}

const moe_opt_t *moe_opt_find(const char *name, size_t n)
{
    size_t i;

    for (i = 0; i < moe_opt_count(); ++i) {
        if (strncmp(options[i].name, name, n) == 0 &&
            options[i].name[n] == '\0') {
            return &options[i];
        }
    }
    return NULL;
}

const moe_opt_t *moe_opt_find_letter(char letter)
{
    size_t i;

    for (i = 0; i < moe_opt_count(); ++i) {
        if (letter != 0 && options[i].letter == letter) {
            return &options[i];
        }
    }
    return NULL;
}

const char *moe_verb_name(moe_verb_t verb)
{
    return verbs[verb].name;
}

const char *moe_verb_operand(moe_verb_t verb)
{
    return verbs[verb].operand;
}

const char *moe_verb_text(moe_verb_t verb)
{
    return verbs[verb].text;
}

bool moe_verb_is_shown(moe_verb_t verb)
{
    return verbs[verb].shown;
}

int moe_command_run(const moe_command_t *command)
{
    return verbs[command->verb].run(command);
}
