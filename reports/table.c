/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/table.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 24
#define CELL_MAX    256

typedef struct {
    moe_style_t style;
    char *text;
} cell_t;

struct moe_table {
    size_t n_columns;
    const char *heading[COLUMNS_MAX];
    bool right[COLUMNS_MAX];
    size_t n_cells;
    cell_t *cell; /* [n_cells] row by row */
    bool failed;
};

moe_table_t *moe_table_create(void)
{
    return calloc(1, sizeof(moe_table_t));
}

void moe_table_free(moe_table_t *table)
{
    size_t i;

    if (table == NULL) {
        return;
    }
    for (i = 0; i < table->n_cells; ++i) {
        free(table->cell[i].text);
    }
    free(table->cell);
    free(table);
}

void moe_table_column(moe_table_t *table, const char *heading, bool right)
{
    if (table->n_columns == COLUMNS_MAX) {
        table->failed = true;
        return;
    }
    table->heading[table->n_columns] = heading;
    table->right[table->n_columns] = right;
    ++table->n_columns;
}

void moe_table_cell(moe_table_t *table, moe_style_t style, const char *format,
                    ...)
{
    char raw[CELL_MAX];
    char safe[CELL_MAX];
    cell_t *cell;
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(raw, sizeof(raw), format, ap);
    va_end(ap);
    moe_text_escape(raw, safe, sizeof(safe));
    cell = realloc(table->cell, (table->n_cells + 1) * sizeof(*cell));
    if (cell == NULL) {
        table->failed = true;
        return;
    }
    table->cell = cell;
    cell[table->n_cells].style = style;
    cell[table->n_cells].text = strdup(safe);
    table->failed = table->failed || cell[table->n_cells].text == NULL;
    ++table->n_cells;
}

void moe_style_put(moe_style_t style, bool color, const char *text,
                   FILE *stream)
{
    static const char *const escapes[] = {
        [MOE_STYLE_plain] = "",
        [MOE_STYLE_good] = "\033[32m",
        [MOE_STYLE_bad] = "\033[31m",
        [MOE_STYLE_weak] = "\033[33m",
    };

    if (color && style != MOE_STYLE_plain) {
        fprintf(stream, "%s%s\033[0m", escapes[style], text);
    } else {
        fputs(text, stream);
    }
}

static moe_status_t printable(const moe_table_t *table)
{
    if (table == NULL || table->failed) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory in a table");
    }
    return MOE_OK;
}

/* Columns on the screen: characters, not bytes. */
static int width(const char *text)
{
    int n = 0;

    for (; *text != '\0'; ++text) {
        n += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return n;
}

static int column_width(const moe_table_t *table, size_t column)
{
    int most = width(table->heading[column]);
    size_t i;

    for (i = column; i < table->n_cells; i += table->n_columns) {
        int n = width(table->cell[i].text);

        most = n > most ? n : most;
    }
    return most;
}

/* One cell, padded to its column; blanks at the end of a line are left out. */
static void put_cell(const moe_table_t *table, size_t column, const int *widths,
                     moe_style_t style, bool color, const char *text,
                     FILE *stream)
{
    int pad = widths[column] - width(text);
    bool last = column + 1 == table->n_columns;

    if (column > 0) {
        fputs("  ", stream);
    }
    if (table->right[column]) {
        fprintf(stream, "%*s", pad, "");
    }
    moe_style_put(style, color, text, stream);
    if (!table->right[column] && !last) {
        fprintf(stream, "%*s", pad, "");
    }
    if (last) {
        fputc('\n', stream);
    }
}

moe_status_t moe_table_text(const moe_table_t *table, bool color, FILE *stream)
{
    int widths[COLUMNS_MAX] = {0};
    moe_status_t status = printable(table);
    size_t i;

    if (status != MOE_OK) {
        return status;
    }
    for (i = 0; i < table->n_columns; ++i) {
        widths[i] = column_width(table, i);
    }
    for (i = 0; i < table->n_columns; ++i) {
        put_cell(table, i, widths, MOE_STYLE_plain, color, table->heading[i],
                 stream);
    }
    for (i = 0; i < table->n_cells; ++i) {
        put_cell(table, i % table->n_columns, widths, table->cell[i].style,
                 color, table->cell[i].text, stream);
    }
    return MOE_OK;
}

static void put_markdown(const char *text, bool last, FILE *stream)
{
    fputs("| ", stream);
    for (; *text != '\0'; ++text) {
        if (strchr("|<>\\`*_", *text) != NULL) {
            fputc('\\', stream);
        }
        fputc(*text, stream);
    }
    fputs(last ? " |\n" : " ", stream);
}

moe_status_t moe_table_markdown(const moe_table_t *table, FILE *stream)
{
    moe_status_t status = printable(table);
    size_t n;
    size_t i;

    if (status != MOE_OK) {
        return status;
    }
    n = table->n_columns;
    for (i = 0; i < n; ++i) {
        put_markdown(table->heading[i], i + 1 == n, stream);
    }
    for (i = 0; i < n; ++i) {
        fprintf(stream, "| %s%s", table->right[i] ? "---:" : "---",
                i + 1 == n ? " |\n" : " ");
    }
    for (i = 0; i < table->n_cells; ++i) {
        put_markdown(table->cell[i].text, (i + 1) % n == 0, stream);
    }
    return MOE_OK;
}
