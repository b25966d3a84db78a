/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A table of text cells, printed for a terminal or as Markdown.
 */
#ifndef REPORTS_TABLE_H
#define REPORTS_TABLE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdio.h>

typedef enum {
    MOE_STYLE_plain,
    MOE_STYLE_good,
    MOE_STYLE_bad,
    MOE_STYLE_weak
} moe_style_t;

typedef struct moe_table moe_table_t;

/** An empty table; NULL if out of memory. Ended with moe_table_free(). */
moe_table_t *moe_table_create(void);
void moe_table_free(moe_table_t *table);

/** Add a column; all before the first cell. The heading is kept. */
void moe_table_column(moe_table_t *table, const char *heading, bool right);

/** Add the next cell of the table, row by row; text is copied. Memory that
 * runs out is told by the printers. */
void moe_table_cell(moe_table_t *table, moe_style_t style, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

/** Print with aligned columns; control characters are escaped. */
moe_status_t moe_table_text(const moe_table_t *table, bool color, FILE *stream);
moe_status_t moe_table_markdown(const moe_table_t *table, FILE *stream);

/** Print a text in a style: with escapes if colour is wanted. */
void moe_style_put(moe_style_t style, bool color, const char *text,
                   FILE *stream);

#endif
