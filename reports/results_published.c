/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/results.h"

#include <stdio.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "?";
}

void moe_results_published(const json_t *document, moe_line_func_t *line,
                           void *self)
{
    const json_t *list = json_object_get(document, "published");
    char text[1024];

    for (size_t i = 0; i < json_array_size(list); ++i) {
        const json_t *p = json_array_get(list, i);
        const json_t *ours = json_object_get(p, "ours");

        if (!json_is_number(ours)) {
            continue;
        }
        (void)snprintf(text, sizeof(text),
                       "published: %.512s: %.4g %.64s; ours %.4g, ratio %.3g",
                       text_of(p, "what"),
                       json_number_value(json_object_get(p, "value")),
                       text_of(p, "unit"), json_number_value(ours),
                       json_number_value(json_object_get(p, "ratio")));
        line(self, MOE_STYLE_plain, text);
    }
}
