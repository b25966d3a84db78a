/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every method x ranks x token patterns x routing x dispatch format: it runs
 * with the payload of its formula, or its precondition says why not, and how
 * often it does either is what tests/methods_table.csv says.
 *
 * After a change of methods: the table of this run lies in methods_table.csv
 * of the folder where the test ran.
 */
#include "tests/support.h"

#include "models/backend_meta.h"
#include "models/summary.h"
#include "sim/methods/registry.h"
#include "tests/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "methods_table.csv"

static const int rank_counts[] = {1, 2, 3, 4, 8};
static const moe_sampler_kind_t routers[] = {
    MOE_SAMPLER_uniform, MOE_SAMPLER_zipf, MOE_SAMPLER_one_expert,
    MOE_SAMPLER_skip_expert};

enum {
    N_RANKS = sizeof(rank_counts) / sizeof(rank_counts[0]),
    N_ROUTERS = sizeof(routers) / sizeof(routers[0]),
    EACH = 9, /* tokens */
    RANKS_MAX = 8
};

typedef struct {
    int run;
    int refused;
} score_t;

/* 24 experts over 1, 2, 3, 4 and 8 ranks; 3072 in tiles of 64 over each. */
static moe_model_t model(void)
{
    moe_model_t m = moe_test_small();

    m.hidden = 512;
    m.experts = 24;
    return m;
}

static void make_layer(int ranks, moe_test_tokens_t tokens, int router,
                       moe_test_layer_t *t)
{
    const moe_model_t m = model();
    const moe_sampler_t sampler = {.kind = routers[router], .s = 1.1};

    moe_test_layer_init(t, &m, ranks, tokens, EACH);
    moe_routing_fini(&t->routing);
    ck_assert_int_eq(moe_routing_sample(&t->model, &sampler, 3, 0,
                                        moe_layer_total_tokens(&t->layer),
                                        &t->routing),
                     MOE_OK);
}

/* With a dispatch format (NULL: it has none), and without limits of a
 * library's build. */
static moe_method_use_t use_of(const moe_method_t *method,
                               const moe_layer_t *layer, const char *format)
{
    moe_method_use_t use =
        moe_test_use(method, layer, format == NULL ? NULL : "dispatch", format);
    int place;

    if (moe_option_find(method, "limits", &place)) {
        ck_assert(moe_option_set(method, "limits", "off", use.options, NULL));
    }
    return use;
}

static void check_payload(const moe_test_layer_t *t,
                          const moe_method_use_t *use, int ranks)
{
    const moe_layer_t layer = moe_method_layer(&t->layer, use);
    moe_summary_t summary;
    moe_trace_sink_t sink;

    ck_assert_int_eq(moe_summary_init(ranks, false, &summary), MOE_OK);
    sink = moe_summary_sink(&summary);
    ck_assert_msg(moe_meta_run(&t->layer, use, &t->routing, NULL, ~0U, &sink,
                               NULL) == MOE_OK,
                  "%s: %s", use->method->name, moe_error_text());
    for (int r = 0; r < ranks; r++) {
        const moe_formula_t f = {&layer, use->options, r, &t->routing};
        int64_t expected[MOE_STAGE_COUNT] = {0};

        use->method->payload(&f, expected);
        for (int s = 0; s < MOE_STAGE_COUNT; s++) {
            ck_assert_msg(summary.rank[r].stage[s].payload == expected[s],
                          "%s on %d ranks, rank %d, %s: payload %lld, formula "
                          "%lld",
                          use->method->name, ranks, r,
                          moe_stage_name((moe_stage_t)s),
                          (long long)summary.rank[r].stage[s].payload,
                          (long long)expected[s]);
        }
    }
    moe_summary_fini(&summary);
}

static void try_one(const moe_method_t *method, const char *format, int ranks,
                    moe_test_tokens_t tokens, int router, score_t *score)
{
    moe_test_layer_t t;
    moe_method_use_t use;
    moe_layer_t own;
    const char *why;

    make_layer(ranks, tokens, router, &t);
    use = use_of(method, &t.layer, format);
    own = moe_method_layer(&t.layer, &use);
    why = method->check(&own, use.options);
    if (why == NULL) {
        check_payload(&t, &use, ranks);
        score->run++;
    } else {
        ck_assert_int_gt((int)strlen(why), 10);
        ck_assert_msg(ranks != 2 && ranks != 4 && ranks != 8,
                      "%s refuses %d ranks: %s", method->name, ranks, why);
        score->refused++;
    }
    moe_test_layer_fini(&t);
}

static score_t try_all(const moe_method_t *method, const char *format)
{
    score_t score = {0};

    for (int n = 0; n < N_RANKS; n++) {
        for (int p = 0; p < MOE_TOKENS_COUNT; p++) {
            for (int r = 0; r < N_ROUTERS; r++) {
                try_one(method, format, rank_counts[n], (moe_test_tokens_t)p, r,
                        &score);
            }
        }
    }
    return score;
}

static bool has_format(const moe_method_t *method, moe_format_t format)
{
    int64_t options[MOE_OPTIONS_MAX];

    moe_option_defaults(method, MOE_FORMAT_bf16, options);
    return moe_option_set(method, "dispatch", moe_format_name(format), options,
                          NULL);
}

static void put(FILE *file, const moe_method_t *method, const char *format)
{
    const score_t score = try_all(method, format);

    ck_assert_int_eq(score.run + score.refused,
                     N_RANKS * MOE_TOKENS_COUNT * N_ROUTERS);
    (void)fprintf(file, "%s,%s,%d,%d\n", method->name,
                  format == NULL ? "-" : format, score.run, score.refused);
}

static void put_method(FILE *file, const moe_method_t *method)
{
    int place;

    if (!moe_option_find(method, "dispatch", &place)) {
        put(file, method, NULL);
        return;
    }
    for (int f = 0; f < MOE_FORMAT_COUNT; f++) {
        if (has_format(method, (moe_format_t)f)) {
            put(file, method, moe_format_name((moe_format_t)f));
        }
    }
}

static char *read_all(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 65536);

    ck_assert_msg(file != NULL, "%s is not there", path);
    ck_assert_ptr_nonnull(text);
    (void)fread(text, 1, 65535, file);
    (void)fclose(file);
    return text;
}

START_TEST(every_combination_runs_or_is_refused_as_the_table_says)
{
    FILE *file = fopen(TABLE, "w");
    char *found;
    char *table;

    ck_assert_ptr_nonnull(file);
    (void)fputs("method,dispatch,run,refused\n", file);
    for (int m = 0; m < moe_method_count(); m++) {
        put_method(file, moe_method_get(m));
    }
    ck_assert_int_eq(fclose(file), 0);
    found = read_all(TABLE);
    table = read_all(moe_test_source("tests/" TABLE));
    ck_assert_msg(strcmp(found, table) == 0,
                  "tests/" TABLE " differs from this run's:\n%s", found);
    free(found);
    free(table);
}
END_TEST

/* A card without source, formula or test is a claim without proof. */
START_TEST(every_card_has_source_formula_and_a_test_that_is_there)
{
    for (int m = 0; m < moe_method_count(); m++) {
        const moe_method_t *c = moe_method_get(m);
        const char *const texts[] = {c->name,       c->system,  c->source,
                                     c->how,        c->formula, c->test,
                                     c->collectives};
        FILE *test;

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            ck_assert_msg(texts[i] != NULL && texts[i][0] != '\0',
                          "%s: fact %zu of its card is missing",
                          c->name != NULL ? c->name : "?", i);
        }
        ck_assert(c->check != NULL);
        ck_assert(c->payload != NULL);
        test = fopen(moe_test_source(c->test), "r");
        ck_assert_msg(test != NULL, "%s: no file %s", c->name, c->test);
        (void)fclose(test);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("methods_table");
    TCase *tcase = tcase_create("table");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase,
                   every_combination_runs_or_is_refused_as_the_table_says);
    tcase_add_test(tcase,
                   every_card_has_source_formula_and_a_test_that_is_there);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
