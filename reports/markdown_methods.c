/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/markdown_methods.h"

#include "reports/results.h"
#include "reports/units.h"

#include <math.h>

/* How a number of a method is written. */
typedef enum {
    AS_ratio,
    AS_us,
    AS_s,
    AS_count,
    AS_small, /* a relative error */
    AS_text   /* no number */
} as_t;

/* A column: object is "" for the method's own keys. */
typedef struct {
    const char *heading;
    const char *object;
    const char *key;
    as_t as;
} column_t;

static const column_t time_columns[] = {
    {"tokens max/mean", "imbalance", "tokens", AS_ratio},
    {"experts max/mean", "imbalance", "experts", AS_ratio},
    {"ranks max/mean", "imbalance", "ranks", AS_ratio},
    {"predicted", "", "predicted_us", AS_us},
    {"launch", "parts", "launch_us", AS_us},
    {"latency", "parts", "latency_us", AS_us},
    {"bandwidth", "parts", "bandwidth_us", AS_us},
    {"memory", "parts", "memory_us", AS_us},
    {"compute", "parts", "compute_us", AS_us},
};

static const column_t first_columns[] = {
    {"from that of", "to_first", "method", AS_text},
    {"elements compared", "to_first", "elements_compared", AS_count},
    {"differing", "to_first", "elements_differing", AS_count},
    {"max ulp", "to_first", "max_ulp", AS_count},
    {"relative L2", "to_first", "relative_l2", AS_small},
};

static const column_t oracle_columns[] = {
    {"tokens checked", "", "tokens_checked", AS_count},
    {"elements compared", "", "elements_compared", AS_count},
    {"mismatching", "", "elements_mismatching", AS_count},
    {"max ulp", "", "max_ulp", AS_count},
    {"relative L2", "", "relative_l2", AS_small},
    {"elements rounded", "redone", "elements", AS_count},
    {"redone by two-sum", "redone", "sum2", AS_count},
    {"redone exactly", "redone", "exact", AS_count},
};

/* Of the heading alone: bytes_row() fills them. */
static const column_t bytes_columns[] = {
    {"payload, least", "", "", AS_count},
    {"mean", "", "", AS_count},
    {"most", "", "", AS_count},
    {"sent, least", "", "", AS_count},
    {"mean", "", "", AS_count},
    {"most", "", "", AS_count},
    {"received, least", "", "", AS_count},
    {"mean", "", "", AS_count},
    {"most", "", "", AS_count},
};

static const column_t cost_columns[] = {
    {"wall", "", "wall_s", AS_s},
    {"agreeing on calls", "", "agree_s", AS_s},
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A table of one line for each method; first is the key that a method with
 * a line has, not null. */
typedef struct listing listing_t;

struct listing {
    const char *heading;
    const char *first;
    void (*row)(moe_table_t *table, const json_t *method,
                const listing_t *listing);
    const column_t *column;
    size_t n_columns;
};

static void number_cell(moe_table_t *table, const json_t *number, as_t as)
{
    double value = json_number_value(number);
    char text[MOE_UNIT_SIZE];

    if (as == AS_text && json_is_string(number)) {
        moe_table_cell(table, MOE_STYLE_plain, "%s", json_string_value(number));
    } else if (!json_is_number(number)) {
        moe_table_cell(table, MOE_STYLE_plain, "-");
    } else if (as == AS_us || as == AS_s) {
        moe_table_cell(table, MOE_STYLE_plain, "%s",
                       moe_unit_us(as == AS_s ? 1e6 * value : value, text));
    } else if (as == AS_small) {
        moe_table_cell(table, MOE_STYLE_plain, "%.3g", value);
    } else if (as == AS_ratio) {
        moe_table_cell(table, MOE_STYLE_plain, "%.3f", value);
    } else {
        moe_table_cell(table, MOE_STYLE_plain, "%.0f", value);
    }
}

static void method_row(moe_table_t *table, const json_t *method,
                       const listing_t *listing)
{
    for (size_t c = 0; c < listing->n_columns; ++c) {
        const column_t *column = &listing->column[c];
        const json_t *from = column->object[0] == '\0'
                                 ? method
                                 : json_object_get(method, column->object);

        number_cell(table, json_object_get(from, column->key), column->as);
    }
}

static moe_status_t end_table(moe_table_t *table, const char *heading,
                              size_t rows, FILE *stream)
{
    moe_status_t status = MOE_OK;

    if (rows > 0 || table == NULL) {
        fprintf(stream, "\n## %s\n\n", heading);
        status = moe_table_markdown(table, stream);
    }
    moe_table_free(table);
    return status;
}

/* Least, mean and most of a list by rank. */
static void spread_cells(moe_table_t *table, const json_t *list)
{
    const size_t n = json_array_size(list);
    json_int_t least = json_integer_value(json_array_get(list, 0));
    json_int_t most = least;
    double sum = 0.0;
    char text[MOE_UNIT_SIZE];

    for (size_t i = 0; i < n; ++i) {
        json_int_t value = json_integer_value(json_array_get(list, i));

        least = value < least ? value : least;
        most = value > most ? value : most;
        sum += (double)value;
    }
    if (n == 0) {
        moe_table_cell(table, MOE_STYLE_plain, "-");
        moe_table_cell(table, MOE_STYLE_plain, "-");
        moe_table_cell(table, MOE_STYLE_plain, "-");
        return;
    }
    moe_table_cell(table, MOE_STYLE_plain, "%s", moe_unit_bytes(least, text));
    moe_table_cell(table, MOE_STYLE_plain, "%s",
                   moe_unit_bytes((int64_t)llround(sum / (double)n), text));
    moe_table_cell(table, MOE_STYLE_plain, "%s", moe_unit_bytes(most, text));
}

static void bytes_row(moe_table_t *table, const json_t *method,
                      const listing_t *listing)
{
    (void)listing;
    spread_cells(table, json_object_get(method, "payload_bytes"));
    spread_cells(table, json_object_get(method, "wire_sent_bytes"));
    spread_cells(table, json_object_get(method, "wire_received_bytes"));
}

static const listing_t listings[] = {
    {"Imbalance, and parts of the predicted time", "imbalance", method_row,
     time_columns, N_OF(time_columns)},
    {"Bytes of a rank: payload, sent and received on the wire", "payload_bytes",
     bytes_row, bytes_columns, N_OF(bytes_columns)},
    {"Equality with the oracle", "elements_compared", method_row,
     oracle_columns, N_OF(oracle_columns)},
    {"Difference of the output of all tokens between methods", "to_first",
     method_row, first_columns, N_OF(first_columns)},
    {"Cost of the run itself", "wall_s", method_row, cost_columns,
     N_OF(cost_columns)},
};

/* Where a point of a sweep is: "128", or "deepseek-r1 128". */
static void point_cell(moe_table_t *table, json_t *set)
{
    char text[512] = "";
    const char *key;
    size_t used = 0;
    json_t *value;

    json_object_foreach(set, key, value)
    {
        int n = snprintf(text + used, sizeof(text) - used, "%s%s",
                         used > 0 ? " " : "", json_string_value(value));

        used += n > 0 ? (size_t)n : 0;
        used = used < sizeof(text) ? used : sizeof(text) - 1;
    }
    moe_table_cell(table, MOE_STYLE_plain, "%s", set != NULL ? text : "base");
}

/* Lines of the methods of one point; returns how many. */
static size_t put_rows(const listing_t *listing, const json_t *methods,
                       json_t *set, bool sweep, moe_table_t *table)
{
    size_t rows = 0;

    for (size_t m = 0; m < json_array_size(methods) && table != NULL; ++m) {
        const json_t *method = json_array_get(methods, m);

        const json_t *first = json_object_get(method, listing->first);

        if (first == NULL || json_is_null(first)) {
            continue;
        }
        if (sweep) {
            point_cell(table, set);
        }
        moe_table_cell(table, MOE_STYLE_plain, "%s",
                       json_string_value(json_object_get(method, "label")));
        listing->row(table, method, listing);
        ++rows;
    }
    return rows;
}

static moe_table_t *begin_table(const listing_t *listing, bool sweep)
{
    moe_table_t *table = moe_table_create();

    if (table == NULL) {
        return NULL;
    }
    if (sweep) {
        moe_table_column(table, "at", false);
    }
    moe_table_column(table, "method", false);
    for (size_t c = 0; c < listing->n_columns; ++c) {
        moe_table_column(table, listing->column[c].heading, true);
    }
    return table;
}

static moe_status_t put_listing(const listing_t *listing,
                                const json_t *document, FILE *stream)
{
    const json_t *points = json_object_get(document, "sweep");
    const bool sweep = moe_results_has_sweep(document);
    moe_table_t *table = begin_table(listing, sweep);
    size_t rows = 0;

    if (!sweep || moe_results_has_base(document)) {
        rows = put_rows(listing, json_object_get(document, "methods"), NULL,
                        sweep, table);
    }
    for (size_t i = 0; i < json_array_size(points); ++i) {
        const json_t *point = json_array_get(points, i);

        rows += put_rows(listing, json_object_get(point, "methods"),
                         json_object_get(point, "set"), sweep, table);
    }
    return end_table(table, listing->heading, rows, stream);
}

/* Peak memory by rank: of the run, whose ranks run all methods in turn. */
static moe_status_t put_memory(const json_t *memory, FILE *stream)
{
    static const char *const keys[] = {"start_bytes", "predicted_bytes",
                                       "peak_bytes"};
    static const char *const headings[] = {"after start", "predicted peak",
                                           "peak"};
    const size_t n = json_array_size(json_object_get(memory, keys[0]));
    moe_table_t *table = moe_table_create();
    char text[MOE_UNIT_SIZE];

    if (table != NULL) {
        moe_table_column(table, "rank", true);
        for (size_t c = 0; c < N_OF(keys); ++c) {
            moe_table_column(table, headings[c], true);
        }
    }
    for (size_t r = 0; r < n && table != NULL; ++r) {
        moe_table_cell(table, MOE_STYLE_plain, "%zu", r);
        for (size_t c = 0; c < N_OF(keys); ++c) {
            const json_t *list = json_object_get(memory, keys[c]);

            moe_table_cell(
                table, MOE_STYLE_plain, "%s",
                moe_unit_bytes(json_integer_value(json_array_get(list, r)),
                               text));
        }
    }
    return end_table(table, "Memory of a rank, all methods", n, stream);
}

moe_status_t moe_markdown_methods(const json_t *document, FILE *stream)
{
    moe_status_t status = MOE_OK;

    for (size_t i = 0; i < N_OF(listings) && status == MOE_OK; ++i) {
        status = put_listing(&listings[i], document, stream);
    }
    if (status == MOE_OK) {
        status = put_memory(json_object_get(document, "memory"), stream);
    }
    return status;
}
