/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/results.h"

#include "reports/units.h"

#include <string.h>

/* A method whose weights are applied nowhere computes nothing: its price is
 * that of no output. */
static bool is_ranked(const json_t *method)
{
    const char *weigh = json_string_value(
        json_object_get(json_object_get(method, "contract"), "weigh"));

    return json_is_number(json_object_get(method, "predicted_us")) &&
           (weigh == NULL || strcmp(weigh, "nowhere") != 0);
}

int moe_results_fastest(const json_t *methods)
{
    double best = 0.0;
    int fastest = -1;
    size_t i;

    for (i = 0; i < json_array_size(methods); ++i) {
        const json_t *method = json_array_get(methods, i);
        const double us =
            json_number_value(json_object_get(method, "predicted_us"));

        if (is_ranked(method) && (fastest < 0 || us < best)) {
            best = us;
            fastest = (int)i;
        }
    }
    return best > 0.0 ? fastest : -1;
}

bool moe_results_tied(const json_t *methods, size_t i)
{
    int fastest = moe_results_fastest(methods);
    const json_t *method = json_array_get(methods, i);
    const json_t *best =
        json_array_get(methods, fastest < 0 ? 0 : (size_t)fastest);

    return fastest >= 0 && (size_t)fastest != i && is_ranked(method) &&
           json_is_number(json_object_get(method, "low_us")) &&
           json_number_value(json_object_get(method, "low_us")) <=
               json_number_value(json_object_get(best, "high_us"));
}

bool moe_results_has_base(const json_t *document)
{
    const json_t *sweep = json_object_get(document, "sweep");
    const json_t *scenario = json_object_get(document, "scenario");
    const json_t *tokens = json_object_get(document, "tokens");
    size_t i;

    for (i = 0; i < json_array_size(sweep); ++i) {
        const json_t *point = json_array_get(sweep, i);

        if (json_equal(json_object_get(point, "digest"),
                       json_object_get(scenario, "digest")) &&
            json_equal(json_object_get(point, "tokens"), tokens)) {
            return false;
        }
    }
    return json_array_size(json_object_get(document, "methods")) > 0;
}

json_int_t moe_results_max(const json_t *list)
{
    json_int_t most = 0;
    size_t i;

    for (i = 0; i < json_array_size(list); ++i) {
        json_int_t value = json_integer_value(json_array_get(list, i));

        most = value > most ? value : most;
    }
    return most;
}

bool moe_results_has_sweep(const json_t *document)
{
    return json_array_size(json_object_get(document, "sweep")) > 0;
}

static bool is_run(const json_t *document)
{
    const char *command =
        json_string_value(json_object_get(document, "command"));

    return command != NULL && strcmp(command, "run") == 0;
}

static void columns(json_t *document, json_t *set, moe_table_t *table)
{
    const char *key;
    json_t *value;

    json_object_foreach(set, key, value)
    {
        moe_table_column(table, key, true);
    }
    moe_table_column(table, "method", false);
    moe_table_column(table, "predicted", true);
    moe_table_column(table, "90 % interval", true);
    moe_table_column(table, "to first", true);
    moe_table_column(table, "dispatch/token", true);
    moe_table_column(table, "to bf16", true);
    moe_table_column(table, "payload/rank", true);
    moe_table_column(table, "wire sent/rank", true);
    if (is_run(document)) {
        moe_table_column(table, "oracle", false);
        moe_table_column(table, "wall", true);
    }
}

static void bytes_cell(moe_table_t *table, const json_t *method,
                       const char *key)
{
    char text[MOE_UNIT_SIZE];

    moe_table_cell(
        table, MOE_STYLE_plain, "%s",
        moe_unit_bytes(moe_results_max(json_object_get(method, key)), text));
}

/* Prediction, interval, and time relative to the first method of the point. */
static void time_cells(moe_table_t *table, const json_t *method,
                       const json_t *first, bool fastest)
{
    const json_t *us = json_object_get(method, "predicted_us");
    const json_t *first_us = json_object_get(first, "predicted_us");
    char text[MOE_UNIT_SIZE];
    char high[MOE_UNIT_SIZE];

    if (!json_is_number(us)) {
        moe_table_cell(table, MOE_STYLE_weak, "-");
        moe_table_cell(table, MOE_STYLE_plain, "-");
        moe_table_cell(table, MOE_STYLE_plain, "-");
        return;
    }
    moe_table_cell(table, fastest ? MOE_STYLE_good : MOE_STYLE_plain, "%s%s",
                   fastest ? "* " : "",
                   moe_unit_us(json_number_value(us), text));
    (void)moe_unit_us(json_number_value(json_object_get(method, "low_us")),
                      text);
    (void)moe_unit_us(json_number_value(json_object_get(method, "high_us")),
                      high);
    moe_table_cell(table, MOE_STYLE_plain, "%s .. %s", text, high);
    if (json_is_number(first_us) && json_number_value(first_us) > 0.0) {
        moe_table_cell(table, MOE_STYLE_plain, "%.3f",
                       json_number_value(us) / json_number_value(first_us));
    } else {
        moe_table_cell(table, MOE_STYLE_plain, "-");
    }
}

/* How far from the oracle: ", at most 3 ulp, relative L2 1.2e-05". */
static const char *put_distance(const json_t *method, char *out, size_t size)
{
    const json_t *ulp = json_object_get(method, "max_ulp");
    const json_t *l2 = json_object_get(method, "relative_l2");
    int used = 0;

    out[0] = '\0';
    if (json_is_number(ulp)) {
        used =
            snprintf(out, size, ", at most %.10g ulp", json_number_value(ulp));
    }
    if (json_is_number(l2) && used >= 0 && (size_t)used < size) {
        (void)snprintf(out + used, size - (size_t)used, ", relative L2 %.3g",
                       json_number_value(l2));
    }
    return out;
}

static void oracle_cell(moe_table_t *table, const json_t *method)
{
    const json_t *same = json_object_get(method, "bit_identical_to_oracle");
    const json_t *exact = json_object_get(method, "to_exact");
    json_int_t compared =
        json_integer_value(json_object_get(method, "elements_compared"));
    json_int_t wrong =
        json_integer_value(json_object_get(method, "elements_mismatching"));
    char far[96];

    if (json_is_true(same) && json_is_object(exact)) {
        moe_table_cell(
            table, MOE_STYLE_good,
            "bit-identical in its order, L2 %.1e from exact",
            json_number_value(json_object_get(exact, "relative_l2")));
    } else if (json_is_true(same)) {
        moe_table_cell(table, MOE_STYLE_good,
                       "bit-identical, %" JSON_INTEGER_FORMAT " element%s",
                       compared, moe_unit_plural(compared));
    } else if (json_is_false(same)) {
        moe_table_cell(table, MOE_STYLE_bad,
                       "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
                       " element%s differ%s",
                       wrong, compared, moe_unit_plural(compared),
                       put_distance(method, far, sizeof(far)));
    } else {
        moe_table_cell(table, MOE_STYLE_weak, "not compared");
    }
}

static void refused_cells(json_t *document, moe_table_t *table)
{
    int n = is_run(document) ? 9 : 7;
    int i;

    moe_table_cell(table, MOE_STYLE_weak, "refused");
    for (i = 1; i < n; ++i) {
        moe_table_cell(table, MOE_STYLE_plain, "-");
    }
}

static void method_cells(json_t *document, const json_t *methods, size_t i,
                         moe_table_t *table)
{
    const json_t *method = json_array_get(methods, i);
    const json_t *ratio = json_object_get(method, "ratio_to_bf16");
    char text[MOE_UNIT_SIZE];

    moe_table_cell(table, MOE_STYLE_plain, "%s",
                   json_string_value(json_object_get(method, "label")));
    if (json_object_get(method, "refused") != NULL) {
        refused_cells(document, table);
        return;
    }
    time_cells(table, method, json_array_get(methods, 0),
               moe_results_fastest(methods) == (int)i);
    moe_table_cell(table, MOE_STYLE_plain, "%" JSON_INTEGER_FORMAT " B",
                   json_integer_value(
                       json_object_get(method, "dispatch_bytes_per_token")));
    if (json_is_number(ratio)) {
        moe_table_cell(table, MOE_STYLE_plain, "%.3f",
                       json_number_value(ratio));
    } else {
        moe_table_cell(table, MOE_STYLE_plain, "-");
    }
    bytes_cell(table, method, "payload_bytes");
    bytes_cell(table, method, "wire_sent_bytes");
    if (is_run(document)) {
        oracle_cell(table, method);
        moe_table_cell(table, MOE_STYLE_plain, "%s",
                       moe_unit_us(1e6 * json_number_value(
                                             json_object_get(method, "wall_s")),
                                   text));
    }
}

/* set: the point's keys; NULL for none. The base point has no values. */
static void point_rows(json_t *document, const json_t *methods, json_t *set,
                       bool base, moe_table_t *table)
{
    const char *key;
    json_t *value;
    size_t i;

    for (i = 0; i < json_array_size(methods); ++i) {
        json_object_foreach(set, key, value)
        {
            moe_table_cell(table, MOE_STYLE_plain, "%s",
                           base ? "base" : json_string_value(value));
        }
        method_cells(document, methods, i, table);
    }
}

moe_table_t *moe_results_table(json_t *document)
{
    json_t *sweep = json_object_get(document, "sweep");
    moe_table_t *table = moe_table_create();
    size_t i;

    if (table == NULL) {
        return NULL;
    }
    columns(document, json_object_get(json_array_get(sweep, 0), "set"), table);
    if (!moe_results_has_sweep(document)) {
        point_rows(document, json_object_get(document, "methods"), NULL, false,
                   table);
        return table;
    }
    if (moe_results_has_base(document)) {
        point_rows(document, json_object_get(document, "methods"),
                   json_object_get(json_array_get(sweep, 0), "set"), true,
                   table);
    }
    for (i = 0; i < json_array_size(sweep); ++i) {
        json_t *point = json_array_get(sweep, i);

        point_rows(document, json_object_get(point, "methods"),
                   json_object_get(point, "set"), false, table);
    }
    return table;
}
