/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * All problems of an input, collected in one pass.
 *
 * A problem reads: file:line:column: key.path: what is wrong, what was
 * expected. Unprintable characters are shown as \xNN: a file from a stranger
 * cannot write to the terminal through its messages.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct moe_diag moe_diag_t;

#define MOE_DIAG_KEPT 100

/** An empty list; NULL if out of memory. Ended with moe_diag_free(). */
moe_diag_t *moe_diag_create(void);
void moe_diag_free(moe_diag_t *diag);

/**
 * Add a problem. The first MOE_DIAG_KEPT are kept; the rest are counted.
 * @param[in] file    Copied; NULL if it has no file (an option).
 * @param[in] line    From 1; 0 if unknown. column likewise.
 * @param[in] key     Key path, copied; NULL or "" if none.
 * @param[in] format  printf format: what is wrong, what was expected.
 */
void moe_diag_add(moe_diag_t *diag, const char *file, int line, int column,
                  const char *key, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/** Number of problems added; more than are kept, perhaps. */
size_t moe_diag_count(const moe_diag_t *diag);

/** Print all, one a line: files in the order of their first problem, in each
 * the order of lines and columns. */
void moe_diag_print(const moe_diag_t *diag, FILE *stream);

/** Text of problem i as printed, without a newline; in the order of print.
 * NULL if i is not below the number kept. */
const char *moe_diag_text(const moe_diag_t *diag, size_t i);

/**
 * The nearest of some names to a misspelt one, by edit distance: insert,
 * remove, replace, swap neighbours; upper case, - and _ count nothing. Near
 * is a distance of at most 1 for names of up to 4 letters, 2 up to 8, above
 * that a third of the length.
 * @return NULL if none is near; the first of equally near ones.
 */
const char *moe_nearest(const char *name, const char *const *names, size_t n);

#endif
