/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/schema.h"

#include "sim/methods/registry.h"

#include <string.h>

/* Text of a table's cell: a bar would end it. */
static void cell(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        (void)fputs(*text == '|' ? "\\" : "", stream);
        (void)fputc(*text, stream);
    }
}

static void print_default(const moe_key_t *key, FILE *stream)
{
    if (key->standard == NULL) {
        (void)fputs("required", stream);
        return;
    }
    if (key->standard[0] == '\0') {
        (void)fputs("none", stream);
        return;
    }
    if (key->standard[0] == '=') {
        cell(stream, key->standard + 1);
    } else {
        (void)fprintf(stream, "`%s`", key->standard);
    }
    if (key->why != NULL) {
        (void)fputs(" (", stream);
        cell(stream, key->why);
        (void)fputc(')', stream);
    }
}

static void print_words(const char *words, FILE *stream)
{
    char word[64];

    for (int i = 0; moe_words_get(words, i, word, sizeof(word)); i++) {
        (void)fprintf(stream, "%s`%s`", i > 0 ? ", " : "", word);
    }
}

static void print_range(const moe_key_t *key, FILE *stream)
{
    const bool numbers = (key->low < key->high && key->high < 1e300) ||
                         key->type == MOE_TYPE_int;
    const bool words = key->type == MOE_TYPE_choice ||
                       strcmp(key->key, "topology") == 0 ||
                       key->section == MOE_SECTION_precision;

    if (numbers) {
        (void)fprintf(stream, "%.15g .. %.15g", key->low, key->high);
    }
    if (key->words != NULL) {
        (void)fputs(numbers ? "; " : "", stream);
        if (words) {
            print_words(key->words, stream);
        } else {
            cell(stream, key->words);
        }
    } else if (!numbers) {
        (void)fputs(key->type == MOE_TYPE_bool ? "`true`, `false`" : "any",
                    stream);
    }
}

static void print_key(const moe_key_t *key, FILE *stream)
{
    (void)fprintf(stream, "| `%s` | %s | %s | ", key->key,
                  moe_type_name(key->type), key->unit[0] ? key->unit : "-");
    print_default(key, stream);
    (void)fputs(" | ", stream);
    print_range(key, stream);
    (void)fputs(" | ", stream);
    cell(stream, key->text);
    (void)fputs(" |\n", stream);
}

static void print_head(FILE *stream)
{
    (void)fputs("\n| key | type | unit | default | range | meaning |\n"
                "|---|---|---|---|---|---|\n",
                stream);
}

static void print_option(const moe_option_t *option, FILE *stream)
{
    static const char *const kinds[] = {
        [MOE_OPTION_choice] = "word",   [MOE_OPTION_order] = "word",
        [MOE_OPTION_format] = "format", [MOE_OPTION_bool] = "true or false",
        [MOE_OPTION_int] = "integer",   [MOE_OPTION_number] = "number"};
    const bool combine = strcmp(option->key, "combine") == 0;

    (void)fprintf(stream, "| `%s` | %s | - | ", option->key,
                  kinds[option->kind]);
    if (option->standard == NULL || combine) {
        (void)fputs(combine ? "`precision.combine`" : "`precision.hidden`",
                    stream);
    } else {
        (void)fprintf(stream, "`%s`", option->standard);
    }
    (void)fputs(" | ", stream);
    if (option->choices != NULL) {
        print_words(option->choices, stream);
    } else {
        (void)fputs(option->kind == MOE_OPTION_bool ? "`true`, `false`" : "any",
                    stream);
    }
    (void)fputs(" | ", stream);
    cell(stream, option->text);
    (void)fputs(" |\n", stream);
}

static void print_method(const moe_method_t *method, FILE *stream)
{
    (void)fprintf(stream, "\n### `methods[].%s`\n\n%s.\n", method->name,
                  method->system);
    print_head(stream);
    (void)fputs("| `label` | text | - | the method's name, and what differs "
                "from its other entries | letters, digits, `.`, `-`, `_` | "
                "name of this entry in the report |\n"
                "| `layout` | map | - | the method's own, or the scenario's | "
                "`{dp, tp, ep}` of as many ranks | the same tokens cut into "
                "other parts |\n",
                stream);
    for (int i = 0; method->options[i].key != NULL; i++) {
        print_option(&method->options[i], stream);
    }
}

void moe_schema_markdown(FILE *stream)
{
    const char *place;

    for (int s = 0; s < MOE_SECTION_COUNT; s++) {
        place = moe_section_place((moe_section_t)s);
        (void)fprintf(stream, "%s### %s%s%s\n\n%s\n", s > 0 ? "\n" : "",
                      place[0] ? "`" : "The file", place, place[0] ? "`" : "",
                      moe_section_text((moe_section_t)s));
        print_head(stream);
        for (size_t i = 0; i < moe_schema_count(); i++) {
            if (moe_schema_get(i)->section == (moe_section_t)s) {
                print_key(moe_schema_get(i), stream);
            }
        }
    }
    for (int i = 0; i < moe_method_count(); i++) {
        print_method(moe_method_get(i), stream);
    }
}
