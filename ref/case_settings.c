/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/case_settings.h"

#include "moe/routing.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORD_MAX = 64
};

typedef enum {
    KIND_int64,
    KIND_int,
    KIND_seed,
    KIND_float,
    KIND_bool,
    KIND_score,
    KIND_group_limit,
    KIND_activation,
    KIND_gate_up,
    KIND_profile,
    KIND_format,
    KIND_weights,
    KIND_data,
    KIND_fault
} kind_t;

typedef struct {
    const char *key;
    kind_t kind;
    size_t at;
    int64_t low;
    int64_t high;
    const char *standard;
    const char *text;
} setting_t;

static const setting_t settings[] = {
#define CASE_SETTING(key, kind, member, low, high, standard, text)             \
    {#key,     KIND_##kind, offsetof(moe_case_settings_t, member), low, high,  \
     standard, text},
#include "ref/case_setting.def"
#undef CASE_SETTING
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static const char *score_name(int i)
{
    return i < MOE_SCORE_COUNT ? moe_score_name((moe_score_t)i) : NULL;
}

static const char *group_limit_name(int i)
{
    return i < MOE_GROUP_LIMIT_COUNT
               ? moe_group_limit_name((moe_group_limit_t)i)
               : NULL;
}

static const char *activation_name(int i)
{
    return i < MOE_ACTIVATION_COUNT ? moe_activation_name((moe_activation_t)i)
                                    : NULL;
}

static const char *gate_up_name(int i)
{
    return i < MOE_GATE_UP_COUNT ? moe_gate_up_name((moe_gate_up_t)i) : NULL;
}

static const char *bool_name(int i)
{
    return i == 0 ? "false" : i == 1 ? "true" : NULL;
}

static const char *format_name(int i)
{
    return i < MOE_FORMAT_COUNT ? moe_format_name((moe_format_t)i) : NULL;
}

static const char *data_name(int i)
{
    return i < MOE_DATA_COUNT ? moe_data_name((moe_data_t)i) : NULL;
}

static const char *fault_name(int i)
{
    return i < MOE_FAULT_COUNT ? moe_fault_name((moe_fault_kind_t)i) : NULL;
}

typedef const char *name_func_t(int i);

/* Place of a word among names; -1, and all names recorded, if not there. */
static int find_name(const setting_t *s, name_func_t *name, const char *word)
{
    char all[2048] = "";
    size_t used = 0;

    for (int i = 0; name(i) != NULL; i++) {
        size_t n = strlen(name(i));

        if (strcmp(name(i), word) == 0) {
            return i;
        }
        if (used + n + 2 < sizeof(all)) {
            memcpy(all + used, " ", 1);
            memcpy(all + used + 1, name(i), n + 1);
            used += n + 1;
        }
    }
    (void)moe_fail(MOE_ERR_INPUT, "%s: '%s' is unknown, expected one of%s",
                   s->key, word, all);
    return -1;
}

static moe_status_t set_name(const setting_t *s, name_func_t *name,
                             const char *word, void *to)
{
    int value = find_name(s, name, word);

    if (value < 0) {
        return MOE_ERR_INPUT;
    }
    memcpy(to, &value, sizeof(value));
    return MOE_OK;
}

static moe_status_t set_bool(const setting_t *s, const char *word, bool *to)
{
    int value = find_name(s, bool_name, word);

    *to = value == 1;
    return value < 0 ? MOE_ERR_INPUT : MOE_OK;
}

static moe_status_t set_number(const setting_t *s, const char *word, void *to)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(word, &end, 10);
    if (errno != 0 || end == word || *end != '\0' || value < s->low ||
        value > s->high) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: '%s', expected a whole number, %lld to %lld",
                        s->key, word, (long long)s->low, (long long)s->high);
    }
    if (s->kind == KIND_int64) {
        *(int64_t *)to = value;
    } else {
        *(int *)to = (int)value;
    }
    return MOE_OK;
}

static moe_status_t set_seed(const setting_t *s, const char *word, uint64_t *to)
{
    char *end;

    errno = 0;
    *to = strtoull(word, &end, 10);
    return errno == 0 && word[0] >= '0' && word[0] <= '9' && *end == '\0'
               ? MOE_OK
               : moe_fail(MOE_ERR_INPUT, "%s: '%s', expected a whole number",
                          s->key, word);
}

static moe_status_t set_float(const setting_t *s, const char *word, float *to)
{
    char *end;

    *to = strtof(word, &end);
    return end != word && *end == '\0' && isfinite(*to)
               ? MOE_OK
               : moe_fail(MOE_ERR_INPUT, "%s: '%s', expected a finite number",
                          s->key, word);
}

static moe_status_t set_profile(const setting_t *s, const char *word, int *to)
{
    int place = 0;

    while (moe_profile_word(place) != NULL &&
           strcmp(moe_profile_word(place), word) != 0) {
        place++;
    }
    if (moe_profile_word(place) == NULL) {
        return moe_fail(MOE_ERR_INPUT, "%s: '%s' is no quantiser's profile",
                        s->key, word);
    }
    *to = place;
    return MOE_OK;
}

static moe_status_t set_format(const setting_t *s, const char *word,
                               moe_format_t *to)
{
    return moe_format_find(word, to) ? MOE_OK
                                     : set_name(s, format_name, word, to);
}

static moe_status_t set(const setting_t *s, const char *word, uint8_t *base)
{
    void *to = base + s->at;

    switch (s->kind) {
    case KIND_int64:
    case KIND_int:
        return set_number(s, word, to);
    case KIND_seed:
        return set_seed(s, word, to);
    case KIND_float:
        return set_float(s, word, to);
    case KIND_bool:
        return set_bool(s, word, to);
    case KIND_score:
        return set_name(s, score_name, word, to);
    case KIND_group_limit:
        return set_name(s, group_limit_name, word, to);
    case KIND_activation:
        return set_name(s, activation_name, word, to);
    case KIND_gate_up:
        return set_name(s, gate_up_name, word, to);
    case KIND_data:
        return set_name(s, data_name, word, to);
    case KIND_fault:
        return set_name(s, fault_name, word, to);
    case KIND_profile:
        return set_profile(s, word, to);
    case KIND_format: /* of a moe_storage_t, its first member */
    case KIND_weights:
        return set_format(s, word, to);
    }
    return MOE_ERR_INTERNAL;
}

/* The value of a key in the text: of the last that names it. */
static const char *value_of(const char *text, const char *key, char *word)
{
    size_t n = strlen(key);
    const char *found = NULL;
    size_t length;

    for (const char *at = text; *at != '\0'; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strncmp(at, key, n) == 0 && at[n] == '=') {
            found = at + n + 1;
        }
    }
    if (found == NULL) {
        return NULL;
    }
    length = strcspn(found, " ");
    length = length < WORD_MAX ? length : WORD_MAX - 1;
    memcpy(word, found, length);
    word[length] = '\0';
    return word;
}

static moe_status_t check_keys(const char *text)
{
    for (const char *at = text + strspn(text, " "); *at != '\0';
         at += strspn(at, " ")) {
        size_t n = strcspn(at, "= ");
        size_t i = 0;

        while (i < N_SETTINGS && (strlen(settings[i].key) != n ||
                                  strncmp(settings[i].key, at, n) != 0)) {
            i++;
        }
        if (i == N_SETTINGS || at[n] != '=') {
            return moe_fail(MOE_ERR_INPUT, "'%.*s' is no setting of a case",
                            (int)(n < WORD_MAX ? n : WORD_MAX), at);
        }
        at += strcspn(at, " ");
    }
    return MOE_OK;
}

/* Profiles and global scales: a row that is dispatched in the format that
 * gemm1 reads is coded once. */
static void complete(moe_case_settings_t *c)
{
    moe_storage_t *at = c->chain.at;

    c->chain.contract = moe_contract_default();
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
        moe_chain_default(
            &c->chain, &at[r],
            moe_data_bound(c->data, moe_chain_bound((moe_role_t)r)));
    }
    if (at[MOE_ROLE_dispatch].format == at[MOE_ROLE_hidden].format) {
        at[MOE_ROLE_dispatch] = at[MOE_ROLE_hidden];
    }
    if (at[MOE_ROLE_dispatch].format == at[MOE_ROLE_expert_in].format) {
        at[MOE_ROLE_dispatch] = at[MOE_ROLE_expert_in];
    }
}

moe_status_t moe_case_read(const char *text, moe_case_settings_t *settings_p)
{
    moe_case_settings_t c = {0};
    char word[WORD_MAX];
    const char *value = NULL;
    moe_status_t status = check_keys(text);

    for (size_t i = 0; status == MOE_OK && i < N_SETTINGS; i++) {
        const setting_t *s = &settings[i];
        const char *given = value_of(text, s->key, word);

        if (given != NULL || s->standard == NULL || s->standard[0] != '=') {
            value = given != NULL ? given : s->standard;
        }
        status = value == NULL
                     ? moe_fail(MOE_ERR_INPUT, "%s: must be given: %s", s->key,
                                s->text)
                     : set(s, value, (uint8_t *)&c);
    }
    status = status == MOE_OK ? moe_case_check(&c) : status;
    if (status == MOE_OK) {
        complete(&c);
        moe_data_set_model(c.data, &c.model);
        *settings_p = c;
    }
    return status;
}
