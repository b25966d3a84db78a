/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writers of the report document: JSON, the terminal's table, Markdown.
 */
#include "tests/support.h"

#include "reports/report.h"
#include "reports/units.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char document_text[] =
    "{\"schema\": \"moesim-report-1\", \"command\": \"run\","
    " \"scenario\": {\"name\": \"s\\u001b[31m|x\"}, \"status\": \"ok\","
    " \"ranks\": 2, \"tokens_total\": 7, \"phase\": \"decode\","
    " \"numerics\": \"exact\", \"layout\": {\"dp\": 2, \"tp\": 1, \"ep\": 2},"
    " \"model\": {\"name\": \"m\"}, \"machine\": {\"name\": \"box\"},"
    " \"warnings\": [\"beware\"], \"methods\": ["
    "{\"label\": \"old\", \"predicted_us\": 300.0, \"low_us\": 200.0,"
    " \"high_us\": 400.0, \"dispatch_bytes_per_token\": 14336,"
    " \"ratio_to_bf16\": 1.0, \"payload_bytes\": [5, 20480],"
    " \"wire_sent_bytes\": [1, 2], \"bit_identical_to_oracle\": false,"
    " \"elements_compared\": 90, \"elements_mismatching\": 4,"
    " \"max_ulp\": 3, \"relative_l2\": 1.25e-5, \"tokens_checked\": 6,"
    " \"wire_received_bytes\": [3, 10], \"wall_s\": 0.25, \"agree_s\": 0.002,"
    " \"redone\": {\"elements\": 1000, \"sum2\": 7, \"exact\": 2},"
    " \"imbalance\": {\"tokens\": 1.5, \"experts\": 2.25, \"ranks\": null},"
    " \"parts\": {\"launch_us\": 10.0, \"latency_us\": 20.0,"
    " \"bandwidth_us\": 30.0, \"memory_us\": 40.0, \"compute_us\": 200.0}},"
    "{\"label\": \"new\", \"predicted_us\": 100.0, \"low_us\": 50.0,"
    " \"high_us\": 150.0, \"dispatch_bytes_per_token\": 4096,"
    " \"ratio_to_bf16\": 0.286, \"payload_bytes\": [5, 6],"
    " \"wire_sent_bytes\": [1, 2], \"bit_identical_to_oracle\": true,"
    " \"elements_compared\": 90, \"elements_mismatching\": 0},"
    "{\"label\": \"odd\", \"refused\": \"needs ep = dp\"}]}";

static json_t *load(const char *text)
{
    json_t *document = json_loads(text, 0, NULL);

    ck_assert_ptr_nonnull(document);
    return document;
}

/* What a writer writes; freed by the caller. */
static char *written(json_t *document, bool color,
                     moe_status_t (*write)(json_t *, FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    if (write != NULL) {
        ck_assert_int_eq(write(document, stream), MOE_OK);
    } else {
        ck_assert_int_eq(moe_report_terminal(document, color, stream), MOE_OK);
    }
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

START_TEST(json_reads_back_as_the_same_values)
{
    const double numbers[] = {0.0,   0.1,     1.0 / 3.0, 5.0,
                              1e300, DBL_MIN, -1e-300,   123456789.125,
                              1e15,  2.0 / 7, DBL_MAX,   5e-324};
    json_t *document = load(document_text);
    json_t *list = json_array();
    json_t *again;
    char *text;
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); ++i) {
        (void)json_array_append_new(list, json_real(numbers[i]));
    }
    (void)json_object_set_new(document, "numbers", list);
    (void)json_object_set_new(document, "empty",
                              json_pack("{s:[], s:{}}", "a", "b"));
    (void)json_object_set_new(document, "text",
                              json_string("\"\\\n\t\x01\x7f \xc3\xa9"));
    text = written(document, false, moe_report_json);
    again = load(text);
    ck_assert(json_equal(document, again));
    free(text);
    json_decref(again);
    json_decref(document);
}
END_TEST

START_TEST(the_table_marks_the_lowest_prediction_alone)
{
    json_t *document = load(document_text);
    char *text = written(document, false, NULL);
    const char *star = strchr(text, '*');

    ck_assert_ptr_nonnull(star);
    ck_assert_int_eq(strncmp(star, "* 100 us", 8), 0);
    ck_assert_ptr_null(strchr(star + 1, '*'));
    ck_assert_ptr_nonnull(strstr(text, "3.00 times as fast as old"));
    ck_assert_ptr_nonnull(strstr(text, "refused: odd: needs ep = dp"));
    ck_assert_ptr_nonnull(strstr(
        text, "4 of 90 elements differ, at most 3 ulp, relative L2 1.25e-05"));
    ck_assert_ptr_nonnull(strstr(text, "bit-identical, 90 elements"));
    ck_assert_ptr_nonnull(strstr(text, "warning: beware"));
    ck_assert_ptr_nonnull(strstr(text, "20.0 KiB"));
    free(text);
    json_decref(document);
}
END_TEST

START_TEST(what_computes_nothing_is_never_the_fastest)
{
    json_t *document = load(document_text);
    json_t *methods = json_object_get(document, "methods");
    char *text;

    (void)json_array_append_new(
        methods, json_pack("{s:s, s:f, s:f, s:f, s:{s:s}}", "label", "idle",
                           "predicted_us", 1.0, "low_us", 1.0, "high_us", 1.0,
                           "contract", "weigh", "nowhere"));
    text = written(document, false, NULL);
    ck_assert_ptr_nonnull(strstr(text, "new, 100 us"));
    ck_assert_ptr_null(strstr(text, "idle, "));
    ck_assert_ptr_null(strstr(text, "from idle"));
    free(text);
    json_decref(document);
}
END_TEST

START_TEST(escapes_are_written_for_colour_only)
{
    json_t *document = load(document_text);
    char *plain = written(document, false, NULL);
    char *color = written(document, true, NULL);

    ck_assert_ptr_null(strchr(plain, '\033'));
    ck_assert_ptr_nonnull(strstr(color, "\033[32m* 100 us\033[0m"));
    ck_assert_ptr_null(strstr(color, "\033[31m|x"));
    free(plain);
    free(color);
    json_decref(document);
}
END_TEST

START_TEST(columns_of_the_table_are_aligned)
{
    json_t *document = load(document_text);
    char *text = written(document, false, NULL);
    const char *head = strstr(text, "method  predicted");
    const char *row;
    size_t column;

    ck_assert_ptr_nonnull(head);
    column = (size_t)(strstr(head, "predicted") - head) + strlen("predicted");
    for (row = strchr(head, '\n') + 1; *row != '\n';
         row = strchr(row, '\n') + 1) {
        ck_assert(row[column - 1] != ' ');
        ck_assert(row[column] == ' ');
    }
    free(text);
    json_decref(document);
}
END_TEST

/* Bars of a Markdown line that are not escaped. */
static int bars(const char *line)
{
    int n = 0;

    for (; *line != '\n'; ++line) {
        if (*line == '\\') {
            ++line;
        } else {
            n += *line == '|';
        }
    }
    return n;
}

START_TEST(markdown_rows_have_as_many_cells_as_their_heading)
{
    json_t *document = load(document_text);
    char *text = written(document, false, moe_report_markdown);
    const char *line;
    int want = 0;
    int rows = 0;

    for (line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (*line != '|') {
            want = 0;
        } else if (want == 0) {
            want = bars(line);
        } else {
            ck_assert_int_eq(bars(line), want);
            ++rows;
        }
    }
    ck_assert_int_ge(rows, 4);
    ck_assert_ptr_null(strchr(text, '\033'));
    free(text);
    json_decref(document);
}
END_TEST

/* The line that follows a heading and begins with a cell. */
static const char *line_of(const char *text, const char *heading,
                           const char *cell)
{
    const char *at = strstr(text, heading);

    ck_assert_msg(at != NULL, "no %s", heading);
    at = strstr(at, cell);
    ck_assert_msg(at != NULL, "%s: no %s", heading, cell);
    return at;
}

static void same_line(const char *got, const char *want)
{
    ck_assert_msg(strncmp(got, want, strlen(want)) == 0, "got %.160s", got);
    ck_assert_int_eq(got[strlen(want)], '\n');
}

static const char *const facts[][3] = {
    {"## Imbalance", "| old ",
     "| old | 1.500 | 2.250 | - | 300 us | 10.0 us | 20.0 us | 30.0 us | "
     "40.0 us | 200 us |"},
    {"## Bytes of a rank", "| old ",
     "| old | 5 B | 10.0 KiB | 20.0 KiB | 1 B | 2 B | 2 B | 3 B | 7 B | "
     "10 B |"},
    {"## Equality", "| old ",
     "| old | 6 | 90 | 4 | 3 | 1.25e-05 | 1000 | 7 | 2 |"},
    {"## Cost of the run", "| old ", "| old | 250 ms | 2.00 ms |"},
    {"## Memory of a rank", "| 1 |", "| 1 | 4 B | 5 B | 40.0 KiB |"},
};

START_TEST(markdown_has_by_method_what_the_table_has_no_room_for)
{
    json_t *document = load(document_text);
    char *text;
    size_t i;

    (void)json_object_set_new(document, "memory",
                              json_pack("{s:[ii], s:[ii], s:[ii]}",
                                        "start_bytes", 1, 4, "predicted_bytes",
                                        2, 5, "peak_bytes", 3, 40960));
    text = written(document, false, moe_report_markdown);
    for (i = 0; i < sizeof(facts) / sizeof(facts[0]); ++i) {
        same_line(line_of(text, facts[i][0], facts[i][1]), facts[i][2]);
    }
    ck_assert_ptr_null(strstr(strstr(text, "## Imbalance"), "| odd"));
    free(text);
    json_decref(document);
}
END_TEST

START_TEST(markdown_has_a_line_for_each_point_of_a_sweep)
{
    json_t *document = load(document_text);
    json_t *point = json_pack(
        "{s:{s:s}, s:s, s:[i], s:O}", "set", "workload.tokens", "128", "digest",
        "d", "tokens", 128, "methods", json_object_get(document, "methods"));
    char *text;

    (void)json_object_set_new(document, "sweep", json_pack("[o]", point));
    text = written(document, false, moe_report_markdown);
    same_line(line_of(text, "## Cost of the run", "| base "),
              "| base | old | 250 ms | 2.00 ms |");
    same_line(line_of(text, "## Cost of the run", "| 128 "),
              "| 128 | old | 250 ms | 2.00 ms |");
    free(text);
    json_decref(document);
}
END_TEST

START_TEST(a_stream_that_fails_is_an_error)
{
    moe_status_t (*const write[])(json_t *, FILE *) = {moe_report_json,
                                                       moe_report_markdown};
    json_t *document = load(document_text);
    size_t i;

    for (i = 0; i < 2; ++i) {
        FILE *full = fopen("/dev/full", "w");

        ck_assert_ptr_nonnull(full);
        (void)setvbuf(full, NULL, _IONBF, 0);
        ck_assert_int_eq(write[i](document, full), MOE_ERR_IO);
        (void)fclose(full);
    }
    json_decref(document);
}
END_TEST

START_TEST(units_fit_the_number)
{
    char text[MOE_UNIT_SIZE];

    ck_assert_str_eq(moe_unit_bytes(4096, text), "4096 B");
    ck_assert_str_eq(moe_unit_bytes(10239, text), "10239 B");
    ck_assert_str_eq(moe_unit_bytes(10240, text), "10.0 KiB");
    ck_assert_str_eq(moe_unit_bytes(INT64_C(3) << 30, text), "3.00 GiB");
    ck_assert_str_eq(moe_unit_us(0.123, text), "0.12 us");
    ck_assert_str_eq(moe_unit_us(999.6, text), "1.00 ms");
    ck_assert_str_eq(moe_unit_us(2.5e6, text), "2.50 s");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report_writers");
    TCase *tcase = tcase_create("writers");

    tcase_add_test(tcase, json_reads_back_as_the_same_values);
    tcase_add_test(tcase, the_table_marks_the_lowest_prediction_alone);
    tcase_add_test(tcase, what_computes_nothing_is_never_the_fastest);
    tcase_add_test(tcase, escapes_are_written_for_colour_only);
    tcase_add_test(tcase, columns_of_the_table_are_aligned);
    tcase_add_test(tcase, markdown_rows_have_as_many_cells_as_their_heading);
    tcase_add_test(tcase,
                   markdown_has_by_method_what_the_table_has_no_room_for);
    tcase_add_test(tcase, markdown_has_a_line_for_each_point_of_a_sweep);
    tcase_add_test(tcase, a_stream_that_fails_is_an_error);
    tcase_add_test(tcase, units_fit_the_number);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
