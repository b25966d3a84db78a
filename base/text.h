/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Text: formatting into memory, UTF-8, and what is safe to print.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

/** printf into new memory, freed by the caller; NULL if out of memory. */
char *moe_strdup_printf(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/**
 * Bytes of the character at the start of text.
 * @param[in] n  Bytes of text, at least 1.
 * @return 1 to 4; 0 if it is not UTF-8 (overlong forms, surrogates and
 *         numbers above 10FFFF included).
 */
size_t moe_utf8_size(const char *text, size_t n);

/**
 * Copy text so that it is safe on a terminal and stays one line: control
 * characters, bidirectional overrides and bytes that are not UTF-8 become
 * \xNN. What does not fit ends in "...".
 * @param[in] size  Bytes of out, at least 8; the NUL is among them.
 */
void moe_text_escape(const char *text, char *out, size_t size);

#endif
