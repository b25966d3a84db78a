/* SPDX-License-Identifier: Apache-2.0 */
#include "base/diag.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FILE_CHARS 512 /* of a path; the rest of it is cut */
#define KEY_CHARS  256
#define TEXT_CHARS 1024

typedef struct {
    int file; /* files in the order of their first problem */
    int line;
    int column;
    char *text; /* NULL: there was no memory for it */
} problem_t;

struct moe_diag {
    size_t count;
    size_t n; /* kept */
    problem_t problem[MOE_DIAG_KEPT];
    int n_files;
    char *file[MOE_DIAG_KEPT]; /* [n_files]; NULL: no file */
};

moe_diag_t *moe_diag_create(void)
{
    return calloc(1, sizeof(moe_diag_t));
}

void moe_diag_free(moe_diag_t *diag)
{
    if (diag == NULL) {
        return;
    }
    for (size_t i = 0; i < diag->n; i++) {
        free(diag->problem[i].text);
    }
    for (int i = 0; i < diag->n_files; i++) {
        free(diag->file[i]);
    }
    free(diag);
}

/* Place of a file in the list; a new one is added. Each problem adds one at
 * most, so that the list cannot overflow. */
static int find_file(moe_diag_t *diag, const char *file)
{
    for (int i = 0; i < diag->n_files; i++) {
        const char *known = diag->file[i];

        if (known == file ||
            (known != NULL && file != NULL && strcmp(known, file) == 0)) {
            return i;
        }
    }
    diag->file[diag->n_files] = file == NULL ? NULL : strdup(file);
    return diag->n_files++;
}

/* The whole line of a problem; NULL if there is no memory. */
static char *compose(const char *file, int line, int column, const char *key,
                     const char *text)
{
    char place[32] = "";
    char shown_file[FILE_CHARS] = "";
    char shown_key[KEY_CHARS] = "";
    char shown_text[TEXT_CHARS];

    if (file != NULL) {
        moe_text_escape(file, shown_file, sizeof(shown_file));
        if (line > 0 && column > 0) {
            (void)snprintf(place, sizeof(place), ":%d:%d", line, column);
        } else if (line > 0) {
            (void)snprintf(place, sizeof(place), ":%d", line);
        }
    }
    if (key != NULL) {
        moe_text_escape(key, shown_key, sizeof(shown_key));
    }
    moe_text_escape(text, shown_text, sizeof(shown_text));
    return moe_strdup_printf("%s%s%s%s%s%s", shown_file, place,
                             file != NULL ? ": " : "", shown_key,
                             shown_key[0] != '\0' ? ": " : "", shown_text);
}

static bool is_before(const problem_t *a, const problem_t *b)
{
    if (a->file != b->file) {
        return a->file < b->file;
    }
    if (a->line != b->line) {
        return a->line < b->line;
    }
    return a->column < b->column;
}

void moe_diag_add(moe_diag_t *diag, const char *file, int line, int column,
                  const char *key, const char *format, ...)
{
    char text[TEXT_CHARS + 8]; /* so that the escaping sees what is cut */
    problem_t problem;
    va_list ap;
    size_t i;

    diag->count++;
    if (diag->n == MOE_DIAG_KEPT) {
        return;
    }
    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    problem.file = find_file(diag, file);
    problem.line = line;
    problem.column = column;
    problem.text = compose(file, line, column, key, text);
    for (i = diag->n++; i > 0 && is_before(&problem, &diag->problem[i - 1]);
         i--) {
        diag->problem[i] = diag->problem[i - 1];
    }
    diag->problem[i] = problem;
}

size_t moe_diag_count(const moe_diag_t *diag)
{
    return diag->count;
}

const char *moe_diag_text(const moe_diag_t *diag, size_t i)
{
    if (i >= diag->n) {
        return NULL;
    }
    return diag->problem[i].text != NULL ? diag->problem[i].text
                                         : "out of memory";
}

void moe_diag_print(const moe_diag_t *diag, FILE *stream)
{
    for (size_t i = 0; i < diag->n; i++) {
        (void)fprintf(stream, "%s\n", moe_diag_text(diag, i));
    }
    if (diag->count > diag->n) {
        (void)fprintf(stream, "and %zu more problems\n", diag->count - diag->n);
    }
}
