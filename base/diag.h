/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * All problems of an input, collected in one pass.
 *
 * A problem reads: file:line:column: key.path: what is wrong, what was
 * expected.
 */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct moe_diag moe_diag_t;

/** An empty list; NULL if out of memory. Ended with moe_diag_free(). */
moe_diag_t *moe_diag_create(void);
void moe_diag_free(moe_diag_t *diag);

/**
 * Add a problem. At most 100 are kept; the rest are counted.
 * @param[in] file    Copied; NULL if it has no file (an option).
 * @param[in] line    From 1; 0 if unknown. column likewise.
 * @param[in] key     Key path, copied; NULL if none.
 * @param[in] format  printf format: what is wrong, what was expected.
 */
void moe_diag_add(moe_diag_t *diag, const char *file, int line, int column,
                  const char *key, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/** Number of problems added. */
size_t moe_diag_count(const moe_diag_t *diag);

/** Print all, in order of place, one a line. */
void moe_diag_print(const moe_diag_t *diag, FILE *stream);

/** Text of problem i as printed, without a newline. */
const char *moe_diag_text(const moe_diag_t *diag, size_t i);

/**
 * The nearest of some names to a misspelt one, by edit distance.
 * @return NULL if none is near.
 */
const char *moe_nearest(const char *name, const char *const *names, size_t n);

#endif
