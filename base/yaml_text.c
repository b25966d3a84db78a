/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What is looked at in the text of a YAML file before libyaml sees it.
 */
#include "base/text.h"
#include "base/yaml_tree.h"

#include <stdio.h>
#include <string.h>

size_t moe_yaml_mark_size(const char *text, size_t size)
{
    return size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

/* What is wrong with a control character. */
static void say_control(unsigned char c, char *why, size_t why_size)
{
    (void)snprintf(why, why_size,
                   c == 0
                       ? "a NUL byte: this is no text file, expected UTF-8 text"
                       : "control character 0x%02x: this is no text file, "
                         "expected UTF-8 text",
                   c);
}

bool moe_yaml_text_check(const char *text, size_t size, size_t *offset_p,
                         char *why, size_t why_size)
{
    static const char tag[] = "%TAG";
    size_t i = 0;

    while (i < size) {
        const unsigned char c = (unsigned char)text[i];
        const size_t n = moe_utf8_size(text + i, size - i);

        *offset_p = i;
        if (n == 0) {
            (void)snprintf(why, why_size,
                           "byte 0x%02x is not UTF-8: this is no text file, "
                           "expected UTF-8 text",
                           c);
            return false;
        }
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
            say_control(c, why, why_size);
            return false;
        }
        /* libyaml compares each tag directive with all before it */
        if (c == '%' &&
            (i == 0 || text[i - 1] == '\n' || text[i - 1] == '\r') &&
            size - i >= 4 && memcmp(text + i, tag, 4) == 0) {
            (void)snprintf(why, why_size,
                           "tags are not supported, expected no %%TAG");
            return false;
        }
        i += n;
    }
    return true;
}

/* Whether a line ends before byte i. */
static bool ends_line(const char *text, size_t i)
{
    return text[i - 1] == '\n' || (text[i - 1] == '\r' && text[i] != '\n');
}

void moe_yaml_place(const char *text, size_t offset, int *line_p, int *column_p)
{
    int line = 1;
    int column = 1;

    for (size_t i = 0; i < offset; i++) {
        if (i > 0 && ends_line(text, i)) {
            line++;
            column = 1;
        }
        /* bytes 10xxxxxx continue a character */
        column += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    if (offset > 0 && ends_line(text, offset)) {
        line++;
        column = 1;
    }
    *line_p = line;
    *column_p = column;
}

int moe_yaml_find_tab(const char *text, size_t size, int line)
{
    size_t i = 0;

    for (int at = 1; at < line && i < size; i++) {
        at += text[i] == '\n' ||
              (text[i] == '\r' && (i + 1 == size || text[i + 1] != '\n'));
    }
    for (int column = 1; i < size; i++, column++) {
        if (text[i] == '\t') {
            return column;
        }
        if (text[i] != ' ' && text[i] != '-') {
            return 0;
        }
    }
    return 0;
}
