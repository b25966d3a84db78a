/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/call_lines.h"

#include "tests/support.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

call_lines_t *call_lines_new(void)
{
    call_lines_t *l = calloc(1, sizeof(*l));

    ck_assert_ptr_nonnull(l);
    return l;
}

void call_lines_add(call_lines_t *l, const char *text)
{
    static const char *const counts[] = {"id", "call", "seq"};
    json_t *object = json_loads(text, 0, NULL);

    ck_assert_ptr_nonnull(object);
    ck_assert_int_lt(l->n, CALL_LINES_MAX);
    for (int i = 0; i < 3; i++) {
        (void)json_object_del(object, counts[i]);
    }
    l->line[l->n++] = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT);
    ck_assert_ptr_nonnull(l->line[l->n - 1]);
    json_decref(object);
}

void call_lines_free(call_lines_t *l)
{
    for (int i = 0; i < l->n; i++) {
        free(l->line[i]);
    }
    free(l);
}

/* Place of a line before the change, of the one at a place after it. */
static int place_before(call_probe_change_t change, int at, int place)
{
    if (change == CALL_PROBE_SWAP) {
        return place == at ? at + 1 : place == at + 1 ? at : place;
    }
    return place > at ? place - 1 : place;
}

void call_lines_compare(const char *what, char *const *before, int n_before,
                        char *const *after, int n_after,
                        call_probe_change_t change, int at)
{
    ck_assert_msg(n_after == n_before + (change == CALL_PROBE_REPEAT),
                  "%s: %d lines, then %d", what, n_before, n_after);
    for (int i = 0; i < n_after; i++) {
        const char *expected = before[place_before(change, at, i)];

        ck_assert_msg(strcmp(expected, after[i]) == 0,
                      "%s, change at %d, line %d:\n%s\nexpected\n%s", what, at,
                      i, after[i], expected);
    }
}
