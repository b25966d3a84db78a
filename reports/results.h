/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What all writers say about a document's methods: the one table, its notes,
 * the headline. Layout only: every number is the document's own.
 */
#ifndef REPORTS_RESULTS_H
#define REPORTS_RESULTS_H

#include "reports/table.h"

#include <jansson.h>

/** Called with one line of text. */
typedef void moe_line_func_t(void *self, moe_style_t style, const char *text);

/** Methods x points of the sweep; NULL if out of memory. */
moe_table_t *moe_results_table(json_t *document);

/** One line about what was run or priced, without a newline. */
void moe_results_title(json_t *document, char *out, size_t size);

/** Lines after the table: why methods were refused, what is fastest, what
 * the oracle saw, warnings. */
void moe_results_notes(json_t *document, moe_line_func_t *line, void *self);

/** Lines about `selection` of the document and of its points: what was taken,
 * why, the ranking. */
void moe_results_selection(const json_t *document, moe_line_func_t *line,
                           void *self);

/** Lines about numerics `faithful`: how far methods are from exact, and from
 * the first method. */
void moe_results_faithful(const json_t *document, moe_line_func_t *line,
                          void *self);

/** Published numbers with ours beside them, where they can be compared. */
void moe_results_published(const json_t *document, moe_line_func_t *line,
                           void *self);

/** Index of the lowest prediction of methods[]; -1 if none has a time above
 * 0: without tokens nothing is fast. What computes nothing is not asked. */
int moe_results_fastest(const json_t *methods);

/** True if method i cannot be told from the lowest prediction: the 90 %
 * intervals overlap. */
bool moe_results_tied(const json_t *methods, size_t i);

/** True if methods[] is no point of sweep[]. */
bool moe_results_has_base(const json_t *document);

/** Largest number of a list; 0 if it is empty. */
json_int_t moe_results_max(const json_t *list);

/** True if there is more than the base point to show. */
bool moe_results_has_sweep(const json_t *document);

#endif
