/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/report.h"

#include "base/text.h"
#include "reports/markdown_methods.h"
#include "reports/results.h"
#include "reports/units.h"

#include <string.h>

/* Text from the document as plain Markdown text on one line. */
static void put_text(const char *text, FILE *stream)
{
    char safe[1100];
    const char *c;

    moe_text_escape(text != NULL ? text : "-", safe, sizeof(safe));
    for (c = safe; *c != '\0'; ++c) {
        if (strchr("\\`*_<>[]|#", *c) != NULL) {
            fputc('\\', stream);
        }
        fputc(*c, stream);
    }
}

static void put_item(void *self, moe_style_t style, const char *text)
{
    FILE *stream = self;

    (void)style;
    fputs("- ", stream);
    put_text(text, stream);
    fputc('\n', stream);
}

static void put_fact(const char *name, const json_t *object, const char *key,
                     FILE *stream)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (text != NULL && *text != '\0') {
        fprintf(stream, "- %s: ", name);
        put_text(text, stream);
        fputc('\n', stream);
    }
}

/* Payload and predicted time of each stage of each method. */
static moe_status_t put_stages(json_t *document, FILE *stream)
{
    static const char *const headings[] = {
        "method",    "stage",         "predicted",     "payload/rank",
        "wire sent", "wire received", "wire algorithm"};
    static const char *const lists[] = {"payload_bytes", "wire_sent_bytes",
                                        "wire_received_bytes"};
    const json_t *methods = json_object_get(document, "methods");
    moe_table_t *table = moe_table_create();
    char text[MOE_UNIT_SIZE];
    moe_status_t status;
    size_t m;
    size_t i;

    for (i = 0; i < 7 && table != NULL; ++i) {
        moe_table_column(table, headings[i], i > 1 && i < 6);
    }
    for (m = 0; m < json_array_size(methods) && table != NULL; ++m) {
        const json_t *method = json_array_get(methods, m);
        const char *name;
        json_t *stage;

        json_object_foreach(json_object_get(method, "by_stage"), name, stage)
        {
            const json_t *us = json_object_get(stage, "predicted_us");

            moe_table_cell(table, MOE_STYLE_plain, "%s",
                           json_string_value(json_object_get(method, "label")));
            moe_table_cell(table, MOE_STYLE_plain, "%s", name);
            moe_table_cell(table, MOE_STYLE_plain, "%s",
                           json_is_number(us)
                               ? moe_unit_us(json_number_value(us), text)
                               : "-");
            for (i = 0; i < 3; ++i) {
                moe_table_cell(table, MOE_STYLE_plain, "%s",
                               moe_unit_bytes(moe_results_max(json_object_get(
                                                  stage, lists[i])),
                                              text));
            }
            moe_table_cell(
                table, MOE_STYLE_plain, "%s",
                json_string_value(json_object_get(stage, "wire_algorithm")));
        }
    }
    status = moe_table_markdown(table, stream);
    moe_table_free(table);
    return status;
}

static void constant_cells(const json_t *constant, moe_table_t *table)
{
    static const char *const texts[] = {"unit", "kind", "source"};
    size_t i;

    moe_table_cell(table, MOE_STYLE_plain, "%s",
                   json_string_value(json_object_get(constant, "name")));
    moe_table_cell(table, MOE_STYLE_plain, "%.6g",
                   json_number_value(json_object_get(constant, "value")));
    moe_table_cell(table, MOE_STYLE_plain, "%.3g %%",
                   100.0 *
                       json_number_value(json_object_get(constant, "error")));
    for (i = 0; i < 3; ++i) {
        moe_table_cell(table, MOE_STYLE_plain, "%s",
                       json_string_value(json_object_get(constant, texts[i])));
    }
}

/* Constants of all methods, each once. */
static moe_status_t put_constants(json_t *document, FILE *stream)
{
    static const char *const headings[] = {"constant", "value", "+-",
                                           "unit",     "kind",  "source"};
    const json_t *methods = json_object_get(document, "methods");
    moe_table_t *table = moe_table_create();
    json_t *seen = json_object();
    moe_status_t status;
    size_t m;
    size_t i;

    for (i = 0; i < 6 && table != NULL; ++i) {
        moe_table_column(table, headings[i], i == 1 || i == 2);
    }
    for (m = 0; m < json_array_size(methods) && table != NULL; ++m) {
        const json_t *list =
            json_object_get(json_array_get(methods, m), "constants");

        for (i = 0; i < json_array_size(list); ++i) {
            const json_t *constant = json_array_get(list, i);
            const char *name =
                json_string_value(json_object_get(constant, "name"));

            if (json_object_get(seen, name) == NULL) {
                constant_cells(constant, table);
                (void)json_object_set_new(seen, name, json_true());
            }
        }
    }
    status = moe_table_markdown(table, stream);
    moe_table_free(table);
    json_decref(seen);
    return status;
}

/* Where each method rounds: what two outputs that differ are explained by. */
static void put_contracts(const json_t *document, FILE *stream)
{
    const json_t *methods = json_object_get(document, "methods");

    fputs("\n## Where it rounds, sums and weighs\n\n", stream);
    for (size_t m = 0; m < json_array_size(methods); ++m) {
        const json_t *method = json_array_get(methods, m);
        const json_t *contract = json_object_get(method, "contract");
        const json_t *rounds = json_object_get(contract, "rounds");

        if (contract == NULL) {
            continue;
        }
        fputs("- ", stream);
        put_text(json_string_value(json_object_get(method, "label")), stream);
        for (size_t i = 0; i < json_array_size(rounds); ++i) {
            const json_t *point = json_array_get(rounds, i);

            fputs(i == 0 ? ": " : ", ", stream);
            put_text(json_string_value(json_object_get(point, "point")),
                     stream);
            fputs(" ", stream);
            put_text(json_string_value(json_object_get(point, "format")),
                     stream);
        }
        fprintf(stream, "; terms %s, ranks %s, weights on the ",
                json_string_value(json_object_get(contract, "sum")),
                json_string_value(json_object_get(contract, "reduce")));
        put_text(json_string_value(json_object_get(contract, "weigh")), stream);
        fputs("\n", stream);
    }
}

static void put_published(json_t *document, FILE *stream)
{
    const json_t *published = json_object_get(document, "published");
    size_t i;

    if (json_array_size(published) == 0) {
        return;
    }
    fputs("\n## Published by others\n\n"
          "Nothing above is derived from these figures. moesim predicts the "
          "time of one\nlayer: a figure of a whole model or of a serving "
          "system (end to end, throughput,\nlatency of a token) is not "
          "comparable with it.\n\n",
          stream);
    for (i = 0; i < json_array_size(published); ++i) {
        const json_t *p = json_array_get(published, i);

        fputs("- ", stream);
        put_text(json_string_value(json_object_get(p, "what")), stream);
        fprintf(stream, ": %.10g ",
                json_number_value(json_object_get(p, "value")));
        put_text(json_string_value(json_object_get(p, "unit")), stream);
        fputs(" (", stream);
        put_text(json_string_value(json_object_get(p, "source")), stream);
        fputs(")", stream);
        if (json_is_number(json_object_get(p, "ratio"))) {
            fprintf(stream, "; ours %.4g, ratio %.3g",
                    json_number_value(json_object_get(p, "ours")),
                    json_number_value(json_object_get(p, "ratio")));
        }
        fputs("\n", stream);
    }
}

static void put_head(json_t *document, FILE *stream)
{
    const json_t *scenario = json_object_get(document, "scenario");
    char title[1024];

    fputs("# ", stream);
    put_text(json_string_value(json_object_get(scenario, "name")), stream);
    fputs("\n\n", stream);
    moe_results_title(document, title, sizeof(title));
    put_text(title, stream);
    fputs("\n\n", stream);
    put_fact("source", scenario, "source", stream);
    put_fact("scenario digest", scenario, "digest", stream);
    put_fact("moesim", document, "moesim", stream);
    put_fact("command", document, "command", stream);
    put_fact("backend", document, "backend", stream);
    put_fact("routing", json_object_get(document, "routing"), "how", stream);
    put_fact("started", document, "started", stream);
}

moe_status_t moe_report_markdown(json_t *document, FILE *stream)
{
    moe_table_t *table = moe_results_table(document);
    moe_status_t status;

    put_head(document, stream);
    fputs("\n## Methods\n\n", stream);
    status = moe_table_markdown(table, stream);
    moe_table_free(table);
    fputs("\nBytes a rank are those of the rank with most; `*` is the lowest "
          "prediction.\n\n",
          stream);
    moe_results_notes(document, put_item, stream);
    if (status == MOE_OK) {
        status = moe_markdown_methods(document, stream);
    }
    if (status == MOE_OK) {
        fputs(moe_results_has_sweep(document)
                  ? "\n## By stage, at the point of the heading\n\n"
                  : "\n## By stage\n\n",
              stream);
        status = put_stages(document, stream);
    }
    put_contracts(document, stream);
    put_published(document, stream);
    if (status == MOE_OK &&
        json_is_object(json_object_get(document, "machine"))) {
        fputs(moe_results_has_sweep(document)
                  ? "\n## Constants of the cost model, at the point of the "
                    "heading\n\n"
                  : "\n## Constants of the cost model\n\n",
              stream);
        status = put_constants(document, stream);
    }
    if (status == MOE_OK && ferror(stream)) {
        return moe_fail(MOE_ERR_IO, "cannot write the Markdown report");
    }
    return status;
}
