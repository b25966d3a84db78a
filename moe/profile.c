/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/profile.h"

#include <stddef.h>
#include <string.h>

#define MOE_BUDGET(id, scales, codes, near, text)                              \
    static const moe_budget_t budget_##id = {#id, scales, codes, near, text};
#include "moe/budget.def"
#undef MOE_BUDGET

static const moe_profile_info_t profiles[MOE_PROFILE_COUNT] = {
#define MOE_PROFILE(id, name, format, global, budget, text, users, differs)    \
    [MOE_PROFILE_##id] = {name,                                                \
                          MOE_FORMAT_##format,                                 \
                          MOE_GLOBAL_##global,                                 \
                          &budget_##budget,                                    \
                          text,                                                \
                          users,                                               \
                          differs},
#include "moe/profile.def"
#undef MOE_PROFILE
};

static const struct {
    const char *alias;
    moe_profile_t profile;
} aliases[] = {
#define MOE_PROFILE_ALIAS(alias, profile) {alias, MOE_PROFILE_##profile},
#include "moe/profile_alias.def"
};

/* Names, then systems: as the words of scenarios are numbered. */
static const char *const words[] = {
#define MOE_PROFILE(id, name, format, global, budget, text, users, differs)    \
    name,
#include "moe/profile.def"
#undef MOE_PROFILE
#define MOE_PROFILE_SYSTEM(alias) alias,
#include "moe/profile_alias.def"
};

#define N_ALIASES (sizeof(aliases) / sizeof(aliases[0]))

const moe_profile_info_t *moe_profile_info(moe_profile_t profile)
{
    return (unsigned)profile < MOE_PROFILE_COUNT ? &profiles[profile] : NULL;
}

const char *moe_profile_name(moe_profile_t profile)
{
    return (unsigned)profile < MOE_PROFILE_COUNT ? profiles[profile].name : "?";
}

const char *moe_profile_text(moe_profile_t profile)
{
    return (unsigned)profile < MOE_PROFILE_COUNT ? profiles[profile].text : "?";
}

moe_format_t moe_profile_format(moe_profile_t profile)
{
    return profiles[profile].format;
}

moe_profile_t moe_profile_default(moe_format_t format)
{
    for (int i = MOE_PROFILE_none + 1; i < MOE_PROFILE_COUNT; i++) {
        if (profiles[i].format == format) {
            return (moe_profile_t)i;
        }
    }
    return MOE_PROFILE_none;
}

bool moe_profile_find(const char *word, moe_format_t format,
                      moe_profile_t *profile_p)
{
    for (int i = 0; i < MOE_PROFILE_COUNT; i++) {
        if (profiles[i].format == format &&
            strcmp(word, profiles[i].name) == 0) {
            *profile_p = (moe_profile_t)i;
            return true;
        }
    }
    for (size_t i = 0; i < N_ALIASES; i++) {
        if (profiles[aliases[i].profile].format == format &&
            strcmp(word, aliases[i].alias) == 0) {
            *profile_p = aliases[i].profile;
            return true;
        }
    }
    return false;
}

const char *moe_profile_word(int place)
{
    return place >= 0 && place < (int)(sizeof(words) / sizeof(words[0]))
               ? words[place]
               : NULL;
}
