/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Keys that a map has twice. Found by sorting: a stranger's map may have
 * hundreds of thousands.
 */
#include "base/yaml_reader.h"

#include <stdlib.h>
#include <string.h>

/* A key of a map, to be sorted by text, then place. */
typedef struct {
    const char *text;
    size_t i;
} sorted_key_t;

static int compare_keys(const void *a, const void *b)
{
    const sorted_key_t *x = a;
    const sorted_key_t *y = b;
    int order = strcmp(x->text, y->text);

    return order != 0 ? order : (x->i > y->i) - (x->i < y->i);
}

/* Report a key that is a map's second, and mark it by having no value. */
static void refuse_duplicate(moe_yaml_reader_t *r, size_t first, size_t again)
{
    moe_yaml_frame_t *f = &r->frame[r->depth - 1];
    moe_yaml_node_t *map = f->node;

    f->key.text = map->key[again];
    f->has_key = true;
    moe_yaml_report(
        r, map->key_line[again], map->key_column[again],
        r->option != NULL
            ? "key given twice, expected once"
            : "key given twice, first in line %d, column %d, expected once",
        map->key_line[first], map->key_column[first]);
    f->has_key = false;
    map->item[again] = NULL;
}

/* Take the keys without a value out of a map. */
static void close_up(moe_yaml_node_t *map)
{
    size_t kept = 0;

    for (size_t i = 0; i < map->n; i++) {
        if (map->item[i] != NULL) {
            map->item[kept] = map->item[i];
            map->key[kept] = map->key[i];
            map->key_line[kept] = map->key_line[i];
            map->key_column[kept] = map->key_column[i];
            kept++;
        }
    }
    map->n = kept;
}

void moe_yaml_drop_duplicates(moe_yaml_reader_t *r, yaml_mark_t mark)
{
    moe_yaml_node_t *map = r->frame[r->depth - 1].node;
    sorted_key_t *key;
    size_t first = 0;

    if (map->n < 2) {
        return;
    }
    key = calloc(map->n, sizeof(*key));
    if (key == NULL) {
        moe_yaml_give_up_growing(r, mark);
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        key[i] = (sorted_key_t){map->key[i], i};
    }
    qsort(key, map->n, sizeof(*key), compare_keys);
    for (size_t i = 1; i < map->n; i++) {
        if (strcmp(key[i].text, key[first].text) == 0) {
            refuse_duplicate(r, key[first].i, key[i].i);
        } else {
            first = i;
        }
    }
    free(key);
    close_up(map);
}
