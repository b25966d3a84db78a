/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc/methods.md: its tables are made of the cards and of shape-only runs, and
 * this holds the page to them. The text of this run lies in methods_page.md of
 * the folder where the test ran.
 */
#include "tests/support.h"

#include "models/backend_meta.h"
#include "models/summary.h"
#include "sim/methods/registry.h"
#include "tests/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEW      "methods_page.md"
#define PAGE_MAX 1000000

enum {
    RANKS = 8,
    TOKENS = 128
};

static void put_cards(FILE *file)
{
    (void)fputs("| method | family | system | collectives | payload a rank | "
                "capturable | drops |\n|---|---|---|---|---|---|---|\n",
                file);
    for (int i = 0; i < moe_method_count(); i++) {
        const moe_method_t *m = moe_method_get(i);

        (void)fprintf(file, "| `%s` | %s | %s | %s | %s | %s | %s |\n", m->name,
                      moe_method_family(m), m->system, m->collectives,
                      m->formula, m->capturable ? "yes" : "no",
                      moe_method_can_drop(m) ? "yes" : "no");
    }
}

static void put_rounding(FILE *file)
{
    (void)fputs("\n| method | rounds at | sums experts | sums ranks | weighs "
                "at |\n|---|---|---|---|---|\n",
                file);
    for (int i = 0; i < moe_method_count(); i++) {
        const moe_method_t *m = moe_method_get(i);
        char points[256];

        moe_rounding_text(m->contract.points, points, sizeof(points));
        (void)fprintf(file, "| `%s` | %s | %s | %s | %s |\n", m->name, points,
                      moe_order_name(m->contract.sum),
                      moe_order_name(m->contract.reduce),
                      moe_weigh_name(m->contract.weigh));
    }
}

static void put_needs(FILE *file)
{
    (void)fputs(
        "\n| method | what must hold | dispatches in |\n|---|---|---|\n", file);
    for (int i = 0; i < moe_method_count(); i++) {
        const moe_method_t *m = moe_method_get(i);
        const char *formats = "the format of hidden";

        for (const moe_option_t *o = m->options; o->key != NULL; o++) {
            formats = strcmp(o->key, "dispatch") == 0 ? o->choices : formats;
        }
        (void)fprintf(file, "| `%s` | %s | %s |\n", m->name,
                      m->needs != NULL ? m->needs : "-", formats);
    }
}

/* Largest payload and wire bytes of a rank, over all stages. */
static void put_one(FILE *file, const moe_method_t *method,
                    const moe_test_layer_t *t, const char *format)
{
    moe_method_use_t use = moe_test_use(
        method, &t->layer, format == NULL ? NULL : "dispatch", format);
    moe_summary_t summary;
    moe_trace_sink_t sink;
    int64_t payload = 0;
    int64_t sent = 0;
    char names[128];
    int place;

    if (moe_option_find(method, "limits", &place)) {
        ck_assert(moe_option_set(method, "limits", "off", use.options, NULL));
    }
    ck_assert_msg(moe_test_runs(&t->layer, &use), "%s", method->name);
    ck_assert_int_eq(moe_summary_init(RANKS, false, &summary), MOE_OK);
    sink = moe_summary_sink(&summary);
    ck_assert_int_eq(
        moe_meta_run(&t->layer, &use, &t->routing, NULL, ~0U, &sink, NULL),
        MOE_OK);
    for (int r = 0; r < RANKS; r++) {
        const moe_bytes_t b = moe_summary_bytes(&summary, r, ~0U);

        payload = b.payload > payload ? b.payload : payload;
        sent = b.wire_sent > sent ? b.wire_sent : sent;
    }
    moe_summary_algorithms(&summary, (1U << MOE_STAGE_COUNT) - 1, names,
                           sizeof(names));
    (void)fprintf(file, "| `%s` | %s | %lld | %lld | %lld | %s |\n",
                  method->name, format == NULL ? "-" : format,
                  (long long)moe_summary_dispatch_bytes_per_token(&summary),
                  (long long)payload, (long long)sent, names);
    moe_summary_fini(&summary);
}

static bool takes(const moe_method_t *method, const char *format)
{
    int64_t options[MOE_OPTIONS_MAX];

    moe_option_defaults(method, MOE_FORMAT_bf16, options);
    return moe_option_set(method, "dispatch", format, options, NULL);
}

static void put_bytes(FILE *file)
{
    const moe_model_t model = moe_test_deepseek();
    moe_test_layer_t t;
    int place;

    moe_test_layer_init(&t, &model, RANKS, MOE_TOKENS_equal, TOKENS);
    (void)fputs("\n| method | dispatch | bytes a token | payload | wire sent | "
                "algorithms |\n|---|---|---|---|---|---|\n",
                file);
    for (int i = 0; i < moe_method_count(); i++) {
        const moe_method_t *m = moe_method_get(i);

        if (!moe_option_find(m, "dispatch", &place)) {
            put_one(file, m, &t, NULL);
        }
        for (int f = 0; f < MOE_FORMAT_COUNT; f++) {
            const char *name = moe_format_name((moe_format_t)f);

            if (moe_option_find(m, "dispatch", &place) && takes(m, name)) {
                put_one(file, m, &t, name);
            }
        }
    }
    moe_test_layer_fini(&t);
}

static char *read_page(void)
{
    FILE *file = fopen(moe_test_source("doc/methods.md"), "r");
    char *text = calloc(1, PAGE_MAX);

    ck_assert(file != NULL && text != NULL);
    ck_assert_uint_gt(fread(text, 1, PAGE_MAX - 1, file), 0);
    (void)fclose(file);
    return text;
}

START_TEST(the_page_says_what_the_methods_say)
{
    static const char begin[] = "<!-- methods: begin -->\n";
    char *page = read_page();
    char *found = strstr(page, begin);
    char *end = strstr(page, "<!-- methods: end -->");
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    FILE *file = fopen(NEW, "w");

    ck_assert(found != NULL && end != NULL && stream != NULL && file != NULL);
    put_cards(stream);
    put_rounding(stream);
    put_needs(stream);
    put_bytes(stream);
    ck_assert_int_eq(fclose(stream), 0);
    (void)fputs(text, file);
    (void)fclose(file);
    *end = '\0';
    ck_assert_msg(strcmp(found + strlen(begin), text) == 0,
                  "doc/methods.md differs: put the text of " NEW
                  ", in the folder of this run, between its marks");
    free(text);
    free(page);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("methods_page");
    TCase *tcase = tcase_create("page");

    tcase_add_test(tcase, the_page_says_what_the_methods_say);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
