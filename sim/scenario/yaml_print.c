/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/yaml_print.h"

#include <stdbool.h>
#include <string.h>

/* Plain in every place, and never taken for a number, null or a boolean. */
static bool is_safe_word(const char *text)
{
    static const char *const taken[] = {"null", "true", "false", "yes",
                                        "no",   "on",   "off"};
    static const char start[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ_/0123456789.-";

    if (text[0] == '\0' || strchr(start, text[0]) == NULL ||
        strspn(text, rest) != strlen(text)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (strcmp(text, taken[i]) == 0) {
            return false;
        }
    }
    return true;
}

static void print_quoted(const char *text, FILE *stream)
{
    (void)fputc('"', stream);
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            (void)fprintf(stream, "\\%c", c);
        } else if (c < 0x20 || c == 0x7F) {
            (void)fprintf(stream, "\\x%02x", c);
        } else {
            (void)fputc(c, stream);
        }
    }
    (void)fputc('"', stream);
}

void moe_yaml_print_text(const char *text, FILE *stream)
{
    if (is_safe_word(text)) {
        (void)fputs(text, stream);
    } else {
        print_quoted(text, stream);
    }
}

/* A scalar that was plain stays plain if it can: it may be a number. */
static void print_scalar(const moe_yaml_node_t *node, FILE *stream)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-/~";

    if (!node->quoted && node->text[0] != '\0' &&
        strspn(node->text, plain) == strlen(node->text) &&
        strcmp(node->text, "-") != 0 && strcmp(node->text, "---") != 0) {
        (void)fputs(node->text, stream);
    } else if (!node->quoted && node->text[0] == '\0') {
        (void)fputc('~', stream);
    } else {
        print_quoted(node->text, stream);
    }
}

void moe_yaml_print_node(const moe_yaml_node_t *node, FILE *stream)
{
    const bool map = node->kind == MOE_YAML_MAP;

    if (node->kind == MOE_YAML_SCALAR) {
        print_scalar(node, stream);
        return;
    }
    (void)fputc(map ? '{' : '[', stream);
    for (size_t i = 0; i < node->n; i++) {
        (void)fputs(i > 0 ? ", " : "", stream);
        if (map) {
            moe_yaml_print_text(node->key[i], stream);
            (void)fputs(": ", stream);
        }
        moe_yaml_print_node(node->item[i], stream);
    }
    (void)fputc(map ? '}' : ']', stream);
}
