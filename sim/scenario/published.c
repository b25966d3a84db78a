/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/scenario/parts.h"

#include <stdlib.h>
#include <string.h>

#define PUBLISHED_MAX 1000

static bool read_text(const moe_at_t *map, const char *key, char **text_p)
{
    moe_at_t at = moe_at_key(map, key);
    const char *text = moe_at_given(&at) ? moe_at_text(&at, "a text")
                                         : NULL; /* told with the section */

    *text_p = strdup(text == NULL ? "" : text);
    return *text_p != NULL;
}

static bool read_one(const moe_at_t *at, moe_published_t *published)
{
    moe_at_t value = moe_at_key(at, "value");
    moe_at_t quantity = moe_at_key(at, "quantity");

    moe_at_check_keys(at, MOE_SECTION_published);
    if (moe_at_given(&value)) {
        (void)moe_at_value(&value,
                           moe_schema_find(MOE_SECTION_published, "value"),
                           &published->value, sizeof(published->value));
    }
    if (moe_at_given(&quantity)) {
        (void)moe_at_value(&quantity,
                           moe_schema_find(MOE_SECTION_published, "quantity"),
                           &published->quantity, sizeof(published->quantity));
    }
    return read_text(at, "what", &published->what) &&
           read_text(at, "unit", &published->unit) &&
           read_text(at, "source", &published->source) &&
           read_text(at, "method", &published->method) &&
           read_text(at, "to", &published->to) &&
           read_text(at, "at", &published->at);
}

moe_status_t moe_scenario_read_published(moe_build_t *b)
{
    moe_scenario_t *s = b->s;
    moe_at_t list = moe_at_key(&b->root, "published");
    moe_at_t at;

    if (!moe_at_given(&list) ||
        !moe_at_expect(&list, MOE_YAML_LIST, "a list of numbers")) {
        return MOE_OK;
    }
    if (list.node->n > PUBLISHED_MAX) {
        moe_at_error(&list, "has %zu items, expected at most %d", list.node->n,
                     PUBLISHED_MAX);
        return MOE_OK;
    }
    s->published = calloc(list.node->n + 1, sizeof(*s->published));
    if (s->published == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for published numbers");
    }
    for (size_t i = 0; i < list.node->n; i++) {
        at = moe_at_item(&list, i);
        if (!moe_at_expect(&at, MOE_YAML_MAP,
                           "a map {what, value, unit, source}")) {
            continue;
        }
        if (!read_one(&at, &s->published[s->n_published++])) {
            return moe_fail(MOE_ERR_NOMEM,
                            "out of memory for published numbers");
        }
    }
    return MOE_OK;
}
