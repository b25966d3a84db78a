/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scenario's `select` took, and the ranking it looked at.
 */
#include "reports/results.h"
#include "reports/units.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "?";
}

static bool is_tied(const json_t *place)
{
    return json_is_true(json_object_get(place, "indistinguishable"));
}

/* ", margin 8.9 %, indistinguishable" of the two first, or nothing. */
static void put_margin(const json_t *selection, char *out, size_t size)
{
    const json_t *margin = json_object_get(selection, "margin");
    const json_t *second =
        json_array_get(json_object_get(selection, "ranking"), 1);

    out[0] = '\0';
    if (json_is_number(margin)) {
        (void)snprintf(out, size, ", margin %.1f %%%s",
                       100.0 * json_number_value(margin),
                       is_tied(second) ? ", indistinguishable" : "");
    }
}

/* ", 12.0 % above the cheapest", if a rule took another. */
static void put_above(const json_t *selection, char *out, size_t size)
{
    double above =
        json_number_value(json_object_get(selection, "above_cheapest"));

    out[0] = '\0';
    if (above > 0.0) {
        (void)snprintf(out, size, ", %.1f %% above the cheapest",
                       100.0 * above);
    }
}

static void chosen_line(const json_t *selection, const char *where,
                        moe_line_func_t *line, void *self)
{
    const json_t *chosen = json_object_get(selection, "chosen");
    char margin[96];
    char above[64];
    char text[1024];

    put_margin(selection, margin, sizeof(margin));
    put_above(selection, above, sizeof(above));
    (void)snprintf(text, sizeof(text), "select %s%s: %s%s%s%s%s%s",
                   text_of(selection, "rule"), where,
                   json_is_string(chosen) ? json_string_value(chosen)
                                          : "no method",
                   margin, above, where[0] == '\0' ? " (" : "",
                   where[0] == '\0' ? text_of(selection, "reason") : "",
                   where[0] == '\0' ? ")" : "");
    line(self, json_is_string(chosen) ? MOE_STYLE_plain : MOE_STYLE_bad, text);
}

static void place_line(const json_t *place, size_t i, moe_line_func_t *line,
                       void *self)
{
    char us[MOE_UNIT_SIZE];
    char low[MOE_UNIT_SIZE];
    char high[MOE_UNIT_SIZE];
    char text[512];

    (void)moe_unit_us(json_number_value(json_object_get(place, "predicted_us")),
                      us);
    (void)moe_unit_us(json_number_value(json_object_get(place, "low_us")), low);
    (void)moe_unit_us(json_number_value(json_object_get(place, "high_us")),
                      high);
    (void)snprintf(text, sizeof(text), "ranking %zu: %.128s, %s (%s .. %s)%s",
                   i + 1, text_of(place, "label"), us, low, high,
                   is_tied(place) ? ", indistinguishable from the first" : "");
    line(self, MOE_STYLE_plain, text);
}

/* Values of a point's keys: " at 128". */
static void put_point(json_t *set, char *out, size_t size)
{
    const char *key;
    size_t used = 0;
    json_t *value;

    out[0] = '\0';
    json_object_foreach(set, key, value)
    {
        int n = snprintf(out + used, size - used, "%s%s",
                         used == 0 ? " at " : " ", json_string_value(value));

        used += n > 0 && used + (size_t)n < size ? (size_t)n : 0;
    }
}

void moe_results_selection(const json_t *document, moe_line_func_t *line,
                           void *self)
{
    const json_t *selection = json_object_get(document, "selection");
    const json_t *ranking = json_object_get(selection, "ranking");
    const json_t *sweep = json_object_get(document, "sweep");
    char where[256];

    if (selection != NULL && moe_results_has_base(document)) {
        chosen_line(selection, "", line, self);
        for (size_t i = 0; i < json_array_size(ranking); ++i) {
            place_line(json_array_get(ranking, i), i, line, self);
        }
    }
    for (size_t i = 0; i < json_array_size(sweep); ++i) {
        const json_t *point = json_array_get(sweep, i);
        const json_t *at = json_object_get(point, "selection");

        if (at != NULL) {
            put_point(json_object_get(point, "set"), where, sizeof(where));
            chosen_line(at, where, line, self);
        }
    }
}
