/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reader.h"

#include <stdio.h>
#include <string.h>

#define KEYS_MAX 32 /* of one section */

static void unknown_key(const moe_at_t *at, moe_section_t section, size_t i)
{
    const char *names[KEYS_MAX];
    size_t n = moe_schema_names(section, names, KEYS_MAX);
    const char *near = moe_nearest(at->node->key[i], names, n);
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
            !moe_at_given(&child)) {
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
