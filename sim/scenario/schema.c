/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/schema.h"

#include "models/machine.h"
#include "moe/layer.h"
#include "moe/routing.h"
#include "sim/scenario/ascend.h"

#include <string.h>

/* Words of a choice come from the list that its enum comes from. */
static const char sampler_words[] =
#define MOE_SAMPLER(id, text) #id " "
#include "moe/sampler.def"
#undef MOE_SAMPLER
    ;

static const char placing_words[] =
#define MOE_PLACING(id, text) #id " "
#include "moe/placing.def"
#undef MOE_PLACING
    ;

static const char replica_words[] =
#define MOE_REPLICA(id, text) #id " "
#include "moe/replica.def"
#undef MOE_REPLICA
    ;

static const char score_words[] =
#define MOE_SCORE(id, text) #id " "
#include "moe/score.def"
#undef MOE_SCORE
    ;

static const char group_limit_words[] =
#define MOE_GROUP_LIMIT(id, text) #id " "
#include "moe/group_limit.def"
#undef MOE_GROUP_LIMIT
    ;

static const char activation_words[] =
#define MOE_ACTIVATION(id, text) #id " "
#include "moe/activation.def"
#undef MOE_ACTIVATION
    ;

static const char gate_up_words[] =
#define MOE_GATE_UP(id, text) #id " "
#include "moe/gate_up.def"
#undef MOE_GATE_UP
    ;

static const char profile_words[] =
#define MOE_PROFILE(id, name, format, global, budget, text, users, differs)    \
    name " "
#include "moe/profile.def"
#undef MOE_PROFILE
#define MOE_PROFILE_SYSTEM(alias) alias " "
#include "moe/profile_alias.def"
    ;

static const char provenance_words[] =
#define MOE_PROVENANCE(id, text) #id " "
#include "models/provenance.def"
#undef MOE_PROVENANCE
    ;

static const char ascend_device_words[] =
#define MOE_ASCEND_DEVICE(id, word, chip) word " "
#include "sim/scenario/ascend_device.def"
#undef MOE_ASCEND_DEVICE
    ;

static const char quantity_words[] =
#define MOE_QUANTITY(id) #id " "
#include "sim/scenario/quantity.def"
#undef MOE_QUANTITY
    ;

const char moe_words_plain[] = "letters, digits, `.`, `-`, `_`";

#define MOE_SAMPLER_WORDS       sampler_words
#define MOE_PLACING_WORDS       placing_words
#define MOE_REPLICA_WORDS       replica_words
#define MOE_SCORE_WORDS         score_words
#define MOE_GROUP_LIMIT_WORDS   group_limit_words
#define MOE_ACTIVATION_WORDS    activation_words
#define MOE_GATE_UP_WORDS       gate_up_words
#define MOE_PROFILE_WORDS       profile_words
#define MOE_PROVENANCE_WORDS    provenance_words
#define MOE_ASCEND_DEVICE_WORDS ascend_device_words
#define MOE_QUANTITY_WORDS      quantity_words

#define AT(type, member)                                                       \
    {                                                                          \
        offsetof(type, member), sizeof(((type *)NULL)->member)                 \
    }
#define HERE                                                                   \
    {                                                                          \
        0, 0                                                                   \
    }

static const moe_key_t keys[] = {
#define MOE_SCHEMA(section, key, type, unit, standard, why, low, high, words,  \
                   field, text)                                                \
    {MOE_SECTION_##section,                                                    \
     key,                                                                      \
     MOE_TYPE_##type,                                                          \
     unit,                                                                     \
     standard,                                                                 \
     why,                                                                      \
     low,                                                                      \
     high,                                                                     \
     words,                                                                    \
     field,                                                                    \
     text},
#include "sim/scenario/schema.def"
#undef MOE_SCHEMA
};

static const struct {
    const char *place;
    const char *text;
} sections[MOE_SECTION_COUNT] = {
#define MOE_SECTION(id, place, text) [MOE_SECTION_##id] = {place, text},
#include "sim/scenario/section.def"
#undef MOE_SECTION
};

static const char *const types[MOE_TYPE_COUNT] = {
    [MOE_TYPE_text] = "text",          [MOE_TYPE_int] = "integer",
    [MOE_TYPE_int64] = "integer",      [MOE_TYPE_uint64] = "integer",
    [MOE_TYPE_float] = "number",       [MOE_TYPE_number] = "number",
    [MOE_TYPE_bool] = "true or false", [MOE_TYPE_choice] = "word",
    [MOE_TYPE_constant] = "constant",  [MOE_TYPE_format] = "format",
    [MOE_TYPE_file] = "file",          [MOE_TYPE_map] = "map",
    [MOE_TYPE_list] = "list",          [MOE_TYPE_mixed] = "see range",
};

size_t moe_schema_count(void)
{
    return sizeof(keys) / sizeof(keys[0]);
}

const moe_key_t *moe_schema_get(size_t i)
{
    return &keys[i];
}

const moe_key_t *moe_schema_find(moe_section_t section, const char *key)
{
    for (size_t i = 0; i < moe_schema_count(); i++) {
        if (keys[i].section == section && strcmp(keys[i].key, key) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

const char *moe_section_place(moe_section_t section)
{
    return sections[section].place;
}

const char *moe_section_text(moe_section_t section)
{
    return sections[section].text;
}

const char *moe_type_name(moe_type_t type)
{
    return types[type];
}

size_t moe_schema_names(moe_section_t section, const char **names, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < moe_schema_count() && n < max; i++) {
        if (keys[i].section == section) {
            names[n++] = keys[i].key;
        }
    }
    return n;
}

bool moe_words_get(const char *words, int i, char *out, size_t size)
{
    size_t length;

    for (;; i--) {
        words += strspn(words, " ");
        length = strcspn(words, " ");
        if (length == 0 || length >= size) {
            return false;
        }
        if (i == 0) {
            memcpy(out, words, length);
            out[length] = '\0';
            return true;
        }
        words += length;
    }
}

int moe_words_find(const char *words, const char *word)
{
    char each[64];

    for (int i = 0; moe_words_get(words, i, each, sizeof(each)); i++) {
        if (strcmp(each, word) == 0) {
            return i;
        }
    }
    return -1;
}
