/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Traces and ledgers before and after a method's calls were changed.
 */
#ifndef TESTS_CALL_LINES_H
#define TESTS_CALL_LINES_H

#include "tests/call_probe.h"

#define CALL_LINES_MAX 2048

/** Lines of JSON, without what counts them (id, call, seq). */
typedef struct {
    int n;
    char *line[CALL_LINES_MAX];
} call_lines_t;

call_lines_t *call_lines_new(void);
void call_lines_add(call_lines_t *l, const char *text);
void call_lines_free(call_lines_t *l);

/** Fail unless the lines after are those before with the change that
 * operation at and the next have changed places, or is there twice. */
void call_lines_compare(const char *what, char *const *before, int n_before,
                        char *const *after, int n_after,
                        call_probe_change_t change, int at);

#endif
