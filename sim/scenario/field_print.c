/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/field_print.h"

#include "sim/scenario/number.h"
#include "sim/scenario/reader.h"
#include "sim/scenario/yaml_print.h"

#include <inttypes.h>
#include <string.h>

#define FIELD_MAX 1024 /* bytes of a field that may have a default */

void moe_print_why(const moe_printer_t *p, const moe_key_t *key,
                   bool is_standard)
{
    const char *rule = key->standard != NULL && key->standard[0] == '='
                           ? key->standard + 1
                           : "";
    const char *why = key->why != NULL ? key->why : "";

    if (p->comments && is_standard) {
        (void)fprintf(p->stream, "  # default: %s%s%s", rule,
                      rule[0] != '\0' && why[0] != '\0' ? "; " : "", why);
    }
    (void)fputc('\n', p->stream);
}

void moe_print_constant(const moe_printer_t *p, const moe_constant_t *constant)
{
    char value[32];
    char error[32];

    moe_number_text(constant->value, value, sizeof(value));
    moe_number_text(constant->error, error, sizeof(error));
    (void)fprintf(p->stream, "{value: %s, error: %s, kind: %s, ", value, error,
                  moe_provenance_name(constant->kind));
    if (constant->ranks > 0) {
        (void)fprintf(p->stream, "ranks: %d, ", constant->ranks);
    }
    (void)fputs("source: ", p->stream);
    moe_yaml_print_text(constant->source, p->stream);
    (void)fputs("}\n", p->stream);
}

static void print_value(const moe_printer_t *p, const moe_key_t *key,
                        const void *field)
{
    char text[64] = "";
    int64_t wide;
    uint64_t seed;
    int word;
    float narrow;
    double number;
    bool flag;

    switch (key->type) {
    case MOE_TYPE_int:
        memcpy(&word, field, sizeof(word));
        (void)snprintf(text, sizeof(text), "%d", word);
        break;
    case MOE_TYPE_int64:
        memcpy(&wide, field, sizeof(wide));
        (void)snprintf(text, sizeof(text), "%" PRId64, wide);
        break;
    case MOE_TYPE_uint64:
        memcpy(&seed, field, sizeof(seed));
        (void)snprintf(text, sizeof(text), "%" PRIu64, seed);
        break;
    case MOE_TYPE_float:
        memcpy(&narrow, field, sizeof(narrow));
        moe_number_text_float(narrow, text, sizeof(text));
        break;
    case MOE_TYPE_number:
        memcpy(&number, field, sizeof(number));
        moe_number_text(number, text, sizeof(text));
        break;
    case MOE_TYPE_bool:
        memcpy(&flag, field, sizeof(flag));
        (void)snprintf(text, sizeof(text), "%s", flag ? "true" : "false");
        break;
    case MOE_TYPE_choice:
        memcpy(&word, field, sizeof(word));
        (void)moe_words_get(key->words, word, text, sizeof(text));
        break;
    default:
        moe_yaml_print_text(field, p->stream);
        return;
    }
    (void)fputs(text, p->stream);
}

/* True if a field is what its key would get if it were not given. */
static bool is_standard(const moe_key_t *key, const void *object)
{
    const char *field = (const char *)object + key->field.offset;
    unsigned char standard[FIELD_MAX] = {0};
    const moe_key_t *other;

    if (key->standard == NULL || key->field.size > FIELD_MAX ||
        key->type == MOE_TYPE_text) {
        return false;
    }
    if (moe_key_standard(key, standard, key->field.size)) {
        return memcmp(standard, field, key->field.size) == 0;
    }
    other = key->standard[0] == '='
                ? moe_schema_find(key->section, key->standard + 1)
                : NULL;
    return other != NULL && other->field.size == key->field.size &&
           memcmp((const char *)object + other->field.offset, field,
                  key->field.size) == 0;
}

void moe_print_section(const moe_printer_t *p, int indent,
                       moe_section_t section, const void *object)
{
    const moe_key_t *key;
    const char *field;

    for (size_t i = 0; i < moe_schema_count(); i++) {
        key = moe_schema_get(i);
        if (key->section != section || key->field.size == 0) {
            continue;
        }
        field = (const char *)object + key->field.offset;
        if (key->type == MOE_TYPE_text && field[0] == '\0') {
            continue;
        }
        (void)fprintf(p->stream, "%*s%s: ", indent, "", key->key);
        if (key->type == MOE_TYPE_constant) {
            moe_constant_t constant;

            memcpy(&constant, field, sizeof(constant));
            moe_print_constant(p, &constant);
        } else {
            print_value(p, key, field);
            moe_print_why(p, key, is_standard(key, object));
        }
    }
}
