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
    TOKENS = 128,
    VARIANTS = 5 /* of vary() */
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
        const moe_method_numbers_t n = moe_method_numbers(m);

        (void)fprintf(file, "| `%s` | %s | %s | %s | %s |\n", m->name, n.points,
                      n.sum, n.reduce, n.weigh);
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

/* Layers of which one word of an option or another is refused. */
static void vary(moe_test_layer_t *t, int variant)
{
    switch (variant) {
    case 1:
        t->layer.layout.dp /= 2;
        t->layer.layout.tp = 2;
        break;
    case 2:
        t->model.expert_bias = true;
        break;
    case 3:
        t->model.gate_up = MOE_GATE_UP_interleaved;
        t->model.hidden = 144;
        break;
    case 4:
        t->layer.data = MOE_DATA_normal;
        t->model.topk = 1;
        t->model.renormalize = false;
        break;
    default:
        break;
    }
}

/* A value beside defaults that are taken, and is refused: a need. */
static void check_needs(const moe_test_layer_t *t, const moe_method_t *m,
                        const moe_option_t *option, const char *limits)
{
    static const char numbers[] = "-2 -0.5 0 3 1e7 1000";
    char words[MOE_OPTION_TEXT];
    char *rest = NULL;

    (void)snprintf(words, sizeof(words), "%s",
                   option->choices != NULL ? option->choices : numbers);
    for (char *w = strtok_r(words, " ", &rest); w != NULL;
         w = strtok_r(NULL, " ", &rest)) {
        moe_method_use_t use = moe_test_use(m, &t->layer, NULL, NULL);

        (void)moe_option_set(m, "limits", limits, use.options, NULL);
        if (moe_test_runs(&t->layer, &use) &&
            moe_option_set(m, option->key, w, use.options, NULL) &&
            !moe_test_runs(&t->layer, &use)) {
            ck_assert_msg(
                m->needs != NULL && strstr(m->needs, option->key) != NULL,
                "%s: %s: %s is refused: %s", m->name, option->key, w, m->needs);
        }
    }
}

START_TEST(needs_name_the_options_of_which_words_are_refused)
{
    const moe_model_t models[] = {moe_test_small(), moe_test_deepseek()};
    moe_test_layer_t t;

    for (int i = 0; i < 2 * VARIANTS; i++) {
        moe_test_layer_init(&t, &models[i % 2], 2 * RANKS, MOE_TOKENS_equal, 8);
        vary(&t, i / 2);
        for (int k = 0; k < moe_method_count(); k++) {
            const moe_method_t *m = moe_method_get(k);

            for (const moe_option_t *o = m->options; o->key != NULL; o++) {
                check_needs(&t, m, o, "off");
                check_needs(&t, m, o, "library");
            }
        }
        moe_test_layer_fini(&t);
    }
}
END_TEST

/* Orders that an option or a model changes, as they are used. */
START_TEST(sums_are_those_that_methods_use)
{
    static const struct {
        const char *method;
        const char *sum;
    } cards[] = {
        {"allgather_reducescatter", "storage (k 2 to 4), storage_terms"},
        {"naive_multicast", "storage (k 2 to 4), storage_terms"},
        {"ascend_native_allgather", "storage"},
        {"capacity_alltoall", "fp32_slot"},
    };

    for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
        const moe_method_numbers_t n =
            moe_method_numbers(moe_method_find(cards[i].method));

        ck_assert_str_eq(n.sum, cards[i].sum);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("methods_page");
    TCase *tcase = tcase_create("page");

    tcase_add_test(tcase, the_page_says_what_the_methods_say);
    tcase_add_test(tcase, needs_name_the_options_of_which_words_are_refused);
    tcase_add_test(tcase, sums_are_those_that_methods_use);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
