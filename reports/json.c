/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/report.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static void put_value(json_t *value, int indent, FILE *stream);

/* The fewest digits that read back as the same double. */
static void put_real(double value, FILE *stream)
{
    char text[32];
    int digits;

    for (digits = 15; digits <= 17; ++digits) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (digits == 17 ||
            !(strtod(text, NULL) < value || strtod(text, NULL) > value)) {
            break;
        }
    }
    fputs(text, stream);
    if (strpbrk(text, ".e") == NULL) {
        fputs(".0", stream);
    }
}

static void put_string(const char *text, FILE *stream)
{
    const unsigned char *c;

    fputc('"', stream);
    for (c = (const unsigned char *)text; *c != '\0'; ++c) {
        if (*c == '"' || *c == '\\') {
            fprintf(stream, "\\%c", *c);
        } else if (*c < 0x20 || *c == 0x7F) {
            fprintf(stream, "\\u%04x", *c);
        } else {
            fputc(*c, stream);
        }
    }
    fputc('"', stream);
}

static void put_break(int indent, FILE *stream)
{
    fprintf(stream, "\n%*s", indent, "");
}

static void put_object(json_t *object, int indent, FILE *stream)
{
    const char *key;
    json_t *value;
    const char *comma = "";

    fputc('{', stream);
    json_object_foreach(object, key, value)
    {
        fputs(comma, stream);
        put_break(indent + 2, stream);
        put_string(key, stream);
        fputs(": ", stream);
        put_value(value, indent + 2, stream);
        comma = ",";
    }
    if (*comma != '\0') {
        put_break(indent, stream);
    }
    fputc('}', stream);
}

/* Lists of plain values take one line, others a line an item. */
static void put_array(json_t *array, int indent, FILE *stream)
{
    const json_t *first = json_array_get(array, 0);
    bool nested =
        json_is_object(first) || json_is_array(first) || json_is_string(first);
    size_t i;

    fputc('[', stream);
    for (i = 0; i < json_array_size(array); ++i) {
        if (i > 0) {
            fputs(nested ? "," : ", ", stream);
        }
        if (nested) {
            put_break(indent + 2, stream);
        }
        put_value(json_array_get(array, i), indent + 2, stream);
    }
    if (nested) {
        put_break(indent, stream);
    }
    fputc(']', stream);
}

static void put_value(json_t *value, int indent, FILE *stream)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(value, indent, stream);
        break;
    case JSON_ARRAY:
        put_array(value, indent, stream);
        break;
    case JSON_STRING:
        put_string(json_string_value(value), stream);
        break;
    case JSON_INTEGER:
        fprintf(stream, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        put_real(json_real_value(value), stream);
        break;
    case JSON_TRUE:
        fputs("true", stream);
        break;
    case JSON_FALSE:
        fputs("false", stream);
        break;
    case JSON_NULL:
        fputs("null", stream);
        break;
    }
}

moe_status_t moe_report_json(json_t *document, FILE *stream)
{
    put_value(document, 0, stream);
    fputc('\n', stream);
    if (ferror(stream)) {
        return moe_fail(MOE_ERR_IO, "cannot write the JSON document");
    }
    return MOE_OK;
}
