/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/check.h"

#include "base/text.h"
#include "reports/table.h"
#include "reports/units.h"

#include <stdlib.h>
#include <string.h>

enum {
    FINDINGS = 16, /* in the table, at most: with the rest 30 lines */
    PLACES = 3,    /* worst places */
    WARNINGS = 4,
    TEXT = 512
};

static bool is_bad(json_t *finding)
{
    return strcmp(json_string_value(json_object_get(finding, "verdict")),
                  "bad") == 0;
}

/* Of a rank's file, not of a tensor. */
static bool is_missing(json_t *finding)
{
    return strcmp(json_string_value(json_object_get(finding, "kind")),
                  "missing") == 0;
}

static double badness(json_t *finding)
{
    json_t *worst = json_object_get(finding, "worst");
    json_t *ratio = json_object_get(worst, "ratio");

    return (is_bad(finding) ? 1e301 : 0.0) + json_number_value(ratio);
}

static int compare(const void *a, const void *b)
{
    double x = badness(*(json_t *const *)a);
    double y = badness(*(json_t *const *)b);

    return x > y ? -1 : x < y;
}

/* findings[], worst first; freed by the caller. */
static json_t **sorted(json_t *findings)
{
    const size_t n = json_array_size(findings);
    json_t **list = calloc(n + 1, sizeof(json_t *));

    for (size_t i = 0; list != NULL && i < n; i++) {
        list[i] = json_array_get(findings, i);
    }
    if (list != NULL) {
        qsort(list, n, sizeof(json_t *), compare);
    }
    return list;
}

static void put_finding(moe_table_t *table, json_t *finding)
{
    const bool bad = is_bad(finding);
    json_t *rank = json_object_get(finding, "rank");
    char words[TEXT];

    moe_check_words(finding, words, sizeof(words));
    moe_table_cell(table, bad ? MOE_STYLE_bad : MOE_STYLE_good, "%s",
                   bad ? "BAD" : "good");
    moe_table_cell(table, MOE_STYLE_plain, "%s",
                   json_string_value(json_object_get(finding, "tensor")));
    if (rank != NULL) {
        moe_table_cell(table, MOE_STYLE_plain, "%d",
                       (int)json_integer_value(rank));
    } else {
        moe_table_cell(table, MOE_STYLE_plain, "-");
    }
    moe_table_cell(table, MOE_STYLE_plain, "%s", words);
}

static moe_status_t put_table(json_t **list, size_t n, bool color, FILE *stream)
{
    moe_table_t *table = moe_table_create();
    moe_status_t status;

    if (table == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a table");
    }
    moe_table_column(table, "", false);
    moe_table_column(table, "tensor", false);
    moe_table_column(table, "rank", true);
    moe_table_column(table, "found", false);
    for (size_t i = 0; i < n && i < FINDINGS; i++) {
        put_finding(table, list[i]);
    }
    status = moe_table_text(table, color, stream);
    moe_table_free(table);
    if (n > FINDINGS) {
        fprintf(stream, "... and %zu more, see --json\n", n - FINDINGS);
    }
    return status;
}

static void put_safely(const char *text, FILE *stream)
{
    char safe[8 * TEXT];

    moe_text_escape(text, safe, sizeof(safe));
    fprintf(stream, "%s\n", safe);
}

static void put_places(json_t **list, size_t n, FILE *stream)
{
    for (size_t i = 0; i < n && i < PLACES && is_bad(list[i]); i++) {
        char place[TEXT];

        moe_check_place(list[i], place, sizeof(place));
        if (place[0] != '\0') {
            fprintf(stream, "%s: ",
                    json_string_value(json_object_get(list[i], "tensor")));
            put_safely(place, stream);
        }
    }
    if (n > 0 && is_bad(list[0])) {
        fputs("again: ", stream);
        put_safely(json_string_value(json_object_get(list[0], "again")),
                   stream);
    }
}

static void put_warnings(json_t *warnings, FILE *stream)
{
    const size_t n = json_array_size(warnings);

    for (size_t i = 0; i < n && i < WARNINGS; i++) {
        fputs("warning: ", stream);
        put_safely(json_string_value(json_array_get(warnings, i)), stream);
    }
    if (n > WARNINGS) {
        fprintf(stream, "... and %zu more warnings\n", n - WARNINGS);
    }
}

/* What the mistake looks like, on each rank that has one. */
static void put_diagnosis(json_t *list, FILE *stream)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        json_t *only = json_object_get(item, "only_tokens_of_rank");
        char text[2 * TEXT];

        (void)snprintf(text, sizeof(text), "diagnosis, rank %d: %s",
                       (int)json_integer_value(json_object_get(item, "rank")),
                       json_string_value(json_object_get(item, "text")));
        if (only != NULL) {
            size_t used = strlen(text);

            (void)snprintf(text + used, sizeof(text) - used,
                           "; only tokens of rank %d",
                           (int)json_integer_value(only));
        }
        put_safely(text, stream);
    }
}

static void put_headline(json_t **list, size_t n, FILE *stream)
{
    size_t bad = 0;
    size_t missing = 0;
    long long elements = 0;

    for (size_t i = 0; i < n; i++) {
        bad += is_bad(list[i]);
        missing += is_missing(list[i]);
        elements +=
            (long long)json_integer_value(json_object_get(list[i], "elements"));
    }
    if (missing > 0) {
        fprintf(stream,
                "BAD: %zu file%s of ranks missing, %zu of %zu tensors are "
                "wrong\n",
                missing, moe_unit_plural((int64_t)missing), bad - missing,
                n - missing);
    } else if (bad > 0) {
        fprintf(stream, "BAD: %zu of %zu tensors are wrong\n", bad, n);
    } else {
        fprintf(stream, "good: %zu tensor%s, %lld element%s checked\n", n,
                moe_unit_plural((int64_t)n), elements,
                moe_unit_plural(elements));
    }
}

moe_status_t moe_check_terminal(json_t *document, bool color, FILE *stream)
{
    json_t *findings = json_object_get(document, "findings");
    const size_t n = json_array_size(findings);
    json_t **list = sorted(findings);
    moe_status_t status;

    if (list == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a table");
    }
    put_headline(list, n, stream);
    put_diagnosis(json_object_get(document, "diagnosis"), stream);
    status = put_table(list, n, color, stream);
    put_places(list, n, stream);
    put_warnings(json_object_get(document, "warnings"), stream);
    free(list);
    return status;
}
