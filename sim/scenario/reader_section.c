/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/reader.h"

#include <stdio.h>
#include <string.h>

#define KEYS_MAX 32 /* of one section */

/* The key that a misspelt one is nearest to; NULL: none. */
static const char *nearest_key(const moe_at_t *at, moe_section_t section,
                               size_t i)
{
    const char *names[KEYS_MAX];
    size_t n = moe_schema_names(section, names, KEYS_MAX);

    return moe_nearest(at->node->key[i], names, n);
}

static void unknown_key(const moe_at_t *at, moe_section_t section, size_t i)
{
    const char *names[KEYS_MAX];
    size_t n = moe_schema_names(section, names, KEYS_MAX);
    const char *near = nearest_key(at, section, i);
    char all[512] = "";
    size_t length = 0;

    if (near != NULL) {
        moe_at_key_error(at, i, "unknown key; did you mean '%s'?", near);
        return;
    }
    for (size_t k = 0; k < n && length < sizeof(all); k++) {
        length += (size_t)snprintf(all + length, sizeof(all) - length, "%s%s",
                                   k > 0 ? ", " : "", names[k]);
    }
    moe_at_key_error(at, i, "unknown key, expected one of: %s", all);
}

/* True if an unknown key of the map was taken for this one: told already. */
static bool is_misspelt(const moe_at_t *at, const moe_key_t *key)
{
    for (size_t i = 0; at->node != NULL && i < at->node->n; i++) {
        const char *near = NULL;

        if (moe_schema_find(key->section, at->node->key[i]) == NULL) {
            near = nearest_key(at, key->section, i);
        }
        if (near != NULL && strcmp(near, key->key) == 0) {
            return true;
        }
    }
    return false;
}

void moe_at_check_keys(const moe_at_t *at, moe_section_t section)
{
    const moe_key_t *key;
    moe_at_t child;

    if (moe_at_given(at) && !moe_at_expect(at, MOE_YAML_MAP, "a map")) {
        return;
    }
    for (size_t i = 0; at->node != NULL && i < at->node->n; i++) {
        if (moe_schema_find(section, at->node->key[i]) == NULL) {
            unknown_key(at, section, i);
        }
    }
    for (size_t i = 0; i < moe_schema_count(); i++) {
        key = moe_schema_get(i);
        child = moe_at_key(at, key->key);
        if (key->section == section && key->standard == NULL &&
            !moe_at_given(&child) && !is_misspelt(at, key)) {
            moe_at_error(&child, "is missing, expected %s", key->text);
        }
    }
}

static void *field_of(void *object, const moe_key_t *key)
{
    return (char *)object + key->field.offset;
}

/* Default of a key that is not given. */
static void fill(moe_section_t section, const moe_key_t *key, void *object)
{
    const moe_key_t *other;

    if (moe_key_standard(key, field_of(object, key), key->field.size) ||
        key->standard == NULL || key->standard[0] != '=') {
        return;
    }
    other = moe_schema_find(section, key->standard + 1);
    if (other != NULL && other->field.size == key->field.size) {
        memcpy(field_of(object, key), field_of(object, other), key->field.size);
    }
}

void moe_at_section(const moe_at_t *at, moe_section_t section, void *object)
{
    const moe_key_t *key;
    moe_at_t child;

    moe_at_check_keys(at, section);
    if (moe_at_given(at) && !moe_at_is(at, MOE_YAML_MAP)) {
        return;
    }
    for (size_t i = 0; i < moe_schema_count(); i++) {
        key = moe_schema_get(i);
        if (key->section != section || key->field.size == 0) {
            continue;
        }
        child = moe_at_key(at, key->key);
        if (moe_at_given(&child)) {
            (void)moe_at_value(&child, key, field_of(object, key),
                               key->field.size);
        } else {
            fill(section, key, object);
        }
    }
}

/* True if the value of a key, or its default, is one. */
static bool key_reads(const moe_at_t *at, const moe_key_t *key)
{
    int64_t value[64]; /* room for any value; a text is at most this long */

    if (!moe_at_given(at)) {
        return key->standard != NULL;
    }
    return moe_at_value(at, key, value, sizeof(value));
}

bool moe_at_keys_read(const moe_at_t *map, moe_section_t section,
                      const char *const *keys)
{
    moe_source_t quiet = *map->source;
    bool ok = !moe_at_given(map) || moe_at_is(map, MOE_YAML_MAP);

    quiet.diag = moe_diag_create();
    if (quiet.diag == NULL) {
        return false;
    }
    for (; ok && *keys != NULL; keys++) {
        moe_at_t at = moe_at_key(map, *keys);

        at.source = &quiet;
        ok = key_reads(&at, moe_schema_find(section, *keys));
    }
    moe_diag_free(quiet.diag);
    return ok;
}
