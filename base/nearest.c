/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The nearest known name to a misspelt one.
 *
 * Source: the optimal string alignment distance, a restricted form of
 * Damerau (1964) and Levenshtein (1966): insert, remove, replace a letter, or
 * swap two neighbours, cost 1 each. Case is ignored, - and _ are one letter.
 */
#include "base/diag.h"

#include <stdbool.h>
#include <string.h>

#define NAME_MAX_CHARS 64

static bool same_letter(char a, char b)
{
    if (a >= 'A' && a <= 'Z') {
        a = (char)(a - 'A' + 'a');
    }
    if (b >= 'A' && b <= 'Z') {
        b = (char)(b - 'A' + 'a');
    }
    return (a == '-' ? '_' : a) == (b == '-' ? '_' : b);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Distance of a[n] and b[m]; both at most NAME_MAX_CHARS long. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[3][NAME_MAX_CHARS + 1]; /* of i - 2, i - 1 and i, in turn */

    for (size_t j = 0; j <= m; j++) {
        row[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3];
        const size_t *last = row[(i + 2) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            bool same = same_letter(a[i - 1], b[j - 1]);

            now[j] = min_size(last[j - 1] + (same ? 0 : 1),
                              min_size(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1])) {
                now[j] = min_size(now[j], row[(i + 1) % 3][j - 2] + 1);
            }
        }
    }
    return row[n % 3][m];
}

const char *moe_nearest(const char *name, const char *const *names, size_t n)
{
    const size_t length = strlen(name);
    const size_t near = length < 5 ? 1 : length < 9 ? 2 : length / 3;
    const char *best = NULL;
    size_t best_d = near + 1;

    if (length > NAME_MAX_CHARS) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        size_t m = strlen(names[i]);
        size_t d;

        if (m > length + near || length > m + near || m > NAME_MAX_CHARS) {
            continue;
        }
        d = distance(name, length, names[i], m);
        /* one letter for another of a one-letter name is another name */
        if (d < best_d && d < (m < length ? m : length)) {
            best = names[i];
            best_d = d;
        }
    }
    return best;
}
