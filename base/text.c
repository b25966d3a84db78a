/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *moe_strdup_printf(const char *format, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0) {
        return NULL;
    }
    text = malloc((size_t)n + 1);
    if (text != NULL) {
        va_start(ap, format);
        (void)vsnprintf(text, (size_t)n + 1, format, ap);
        va_end(ap);
    }
    return text;
}

/* Number of the character in size bytes; they are known to be its size. */
static uint32_t utf8_decode(const unsigned char *s, size_t size)
{
    uint32_t c = size == 1 ? s[0] : s[0] & (0xFFU >> (size + 1));

    for (size_t i = 1; i < size; i++) {
        c = c << 6 | (s[i] & 0x3FU);
    }
    return c;
}

size_t moe_utf8_size(const char *text, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    size_t size;
    uint32_t c;

    if (s[0] < 0x80) {
        return 1;
    }
    if (s[0] < 0xC2 || s[0] > 0xF4) {
        return 0;
    }
    size = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (size > n) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    c = utf8_decode(s, size);
    if (c < least[size] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
        return 0;
    }
    return size;
}

/* Controls, and the characters that turn the direction of text round. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

void moe_text_escape(const char *text, char *out, size_t size)
{
    size_t left = strlen(text);
    size_t used = 0;

    while (left > 0) {
        size_t n = moe_utf8_size(text, left);
        bool raw =
            n > 0 && !is_unsafe(utf8_decode((const unsigned char *)text, n));

        n = n > 0 ? n : 1;
        if (used + (raw ? n : 4 * n) + 4 > size) {
            memcpy(out + used, "...", 4);
            return;
        }
        for (size_t i = 0; i < n; i++) {
            if (raw) {
                out[used++] = text[i];
            } else {
                (void)snprintf(out + used, 5, "\\x%02x",
                               (unsigned)(unsigned char)text[i]);
                used += 4;
            }
        }
        text += n;
        left -= n;
    }
    out[used] = '\0';
}
