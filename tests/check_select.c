/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "sim/price/selection.h"
#include "tests/scenarios.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TINY "tests/fixtures/scenario/select.yaml"

/* --- the rules of vLLM-Ascend -------------------------------------------- */

static const struct {
    const char *revision;
    moe_ascend_on_t device;
    int dp;
    int tp;
    int64_t tokens;
    const char *changes; /* of the rest: "key=number key=number" */
    moe_ascend_takes_t takes;
} rules[] = {
#define RULE(revision, device, dp, tp, tokens, changes, takes)                 \
    {revision, MOE_ASCEND_ON_##device,  dp, tp, tokens,                        \
     changes,  MOE_ASCEND_TAKES_##takes},
#include "tests/select_cases.def"
#undef RULE
};

enum {
    RULES = sizeof(rules) / sizeof(rules[0])
};

/* One key of the changes; true if this was it. */
static bool take(const char *changes, const char *key, int *value)
{
    size_t n = strlen(key);

    for (const char *at = changes; (at = strstr(at, key)) != NULL; at += n) {
        if (at[n] == '=' && (at == changes || at[-1] == ' ')) {
            *value = atoi(at + n + 1);
            return true;
        }
    }
    return false;
}

static moe_ascend_facts_t facts_of(int i)
{
    const char *c = rules[i].changes;
    moe_ascend_facts_t f = {.tokens = rules[i].tokens,
                            .dp = rules[i].dp,
                            .tp = rules[i].tp,
                            .ep = rules[i].dp * rules[i].tp,
                            .experts = 256,
                            .topk = 8,
                            .device = rules[i].device};
    int value = 0;

    f.settings.graph_tokens = take(c, "graph_tokens", &value) ? value : 512;
    f.experts = take(c, "experts", &value) ? value : 256;
    (void)take(c, "ep", &f.ep);
    (void)take(c, "quantization", &f.settings.quantization);
    (void)take(c, "fused_mc2", &f.settings.fused_mc2);
    f.prefill = take(c, "prefill", &value);
    f.settings.lora = take(c, "lora", &value);
    f.settings.dynamic_eplb = take(c, "dynamic_eplb", &value);
    f.settings.mtp = take(c, "mtp", &value);
    f.settings.dummy_run = take(c, "dummy_run", &value);
    return f;
}

START_TEST(a_revision_takes_what_its_text_says_on_both_sides_of_each_limit)
{
    const moe_ascend_facts_t f = facts_of(_i);
    const moe_ascend_t revision = moe_ascend_find(rules[_i].revision);

    ck_assert_int_ne(revision, MOE_ASCEND_COUNT);
    ck_assert_str_eq(moe_ascend_revision(revision)->change, rules[_i].revision);
    ck_assert(moe_ascend_knows(revision, f.device));
    ck_assert_msg(moe_ascend_choose(revision, &f) == rules[_i].takes,
                  "case %d: %s with %lld tokens takes %s", _i,
                  rules[_i].revision, (long long)f.tokens,
                  moe_ascend_method(moe_ascend_choose(revision, &f)));
}
END_TEST

/* A revision that nobody tests on both sides of its capacity would do
 * anything; the first has none. */
START_TEST(every_revision_is_tested_at_its_capacity_and_one_token_above)
{
    int at = 0;
    int above = 0;

    for (int i = 0; i < RULES; i++) {
        const moe_ascend_facts_t f = facts_of(i);
        const moe_ascend_t revision = moe_ascend_find(rules[i].revision);

        if ((int)revision == _i) {
            at += f.tokens == moe_ascend_capacity(revision, &f);
            above += f.tokens == moe_ascend_capacity(revision, &f) + 1;
        }
    }
    ck_assert_int_gt(above, 0);
    ck_assert(at > 0 || _i == MOE_ASCEND_first);
}
END_TEST

START_TEST(a_date_means_the_newest_revision_that_is_not_after_it)
{
    ck_assert_int_eq(moe_ascend_find("2025-08-11"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find("2025-08-12"), MOE_ASCEND_first);
    ck_assert_int_eq(moe_ascend_find("2025-08-25"), MOE_ASCEND_first);
    ck_assert_int_eq(moe_ascend_find("2025-08-26"), MOE_ASCEND_seed);
    ck_assert_int_eq(moe_ascend_find("2026-01-01"), MOE_ASCEND_fused);
    ck_assert_int_eq(moe_ascend_find("2099-12-31"), MOE_ASCEND_head);
    ck_assert_int_eq(moe_ascend_find("head"), MOE_ASCEND_head);
    ck_assert_int_eq(moe_ascend_find("2028-02-29"), MOE_ASCEND_head);
    ck_assert_int_eq(moe_ascend_find("2026-02-29"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find("2100-02-29"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find("2026-04-31"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find("2025-13-01"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find("2026-00-01"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find("2026-01-00"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find("2025-8-26"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find("2470"), MOE_ASCEND_COUNT);
    ck_assert_int_eq(moe_ascend_find(""), MOE_ASCEND_COUNT);
}
END_TEST

START_TEST(revisions_are_in_order_of_time_and_say_where_they_were_read)
{
    for (int i = 0; i < MOE_ASCEND_COUNT; i++) {
        const moe_ascend_revision_t *r = moe_ascend_revision((moe_ascend_t)i);

        ck_assert_ptr_nonnull(strstr(r->source, "vllm"));
        ck_assert_int_gt((int)strlen(r->text), 10);
        ck_assert(i == 0 ||
                  strcmp(moe_ascend_revision((moe_ascend_t)(i - 1))->date,
                         r->date) < 0);
    }
}
END_TEST

/* --- in a scenario ------------------------------------------------------- */

/* Prices as a model would give them: [n] in us, 10 % wide. */
static json_t *priced(const moe_scenario_t *s, const double *us)
{
    json_t *methods = json_array();

    for (size_t i = 0; i < s->n_methods; i++) {
        json_t *method = json_pack("{s:s}", "label", s->method[i].label);

        if (us[i] > 0.0) {
            json_object_set_new(method, "predicted_us", json_real(us[i]));
            json_object_set_new(method, "low_us", json_real(0.9 * us[i]));
            json_object_set_new(method, "high_us", json_real(1.1 * us[i]));
        } else {
            json_object_set_new(method, "refused", json_string("no"));
        }
        json_array_append_new(methods, method);
    }
    return methods;
}

static json_t *select_in(const char *rule, const char *tokens,
                         const double us[3], int *chosen)
{
    const moe_change_t changes[] = {{"select", rule},
                                    {"workload.tokens", tokens}};
    moe_scenario_t *s = moe_load_good(moe_test_source(TINY), changes, 2, 0);
    json_t *methods = priced(s, us);
    json_t *selection = NULL;

    ck_assert_int_eq(moe_selection_make(s, methods, chosen, &selection),
                     MOE_OK);
    json_decref(methods);
    moe_scenario_free(s);
    return selection;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

START_TEST(auto_takes_the_cheapest_and_tells_margin_and_what_overlaps)
{
    const double us[] = {120.0, 200.0, 100.0};
    int chosen = -1;
    json_t *s = select_in("auto", "[1, 1, 1, 1]", us, &chosen);
    json_t *list = json_object_get(s, "ranking");
    const bool tied[] = {false, true, false}; /* 108 < 110; 180 > 110 */
    const size_t place[] = {2, 0, 1};

    ck_assert_int_eq(chosen, 2);
    ck_assert_uint_eq(json_array_size(list), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *at = json_array_get(list, i);

        ck_assert_double_eq_tol(
            json_number_value(json_object_get(at, "predicted_us")),
            us[place[i]], 1e-12);
        ck_assert_int_eq(json_is_true(json_object_get(at, "indistinguishable")),
                         tied[i]);
    }
    ck_assert_double_eq_tol(json_number_value(json_object_get(s, "margin")),
                            0.2, 1e-12);
    ck_assert_double_eq_tol(
        json_number_value(json_object_get(s, "above_cheapest")), 0.0, 1e-12);
    ck_assert_ptr_nonnull(strstr(text_of(s, "reason"), "indistinguishable"));
    ck_assert_str_eq(text_of(s, "chosen"), "alltoallv");
    json_decref(s);
}
END_TEST

START_TEST(auto_passes_over_methods_without_a_price)
{
    const double us[] = {120.0, 0.0, 0.0};
    int chosen = -1;
    json_t *s = select_in("auto", "[1, 1, 1, 1]", us, &chosen);

    ck_assert_int_eq(chosen, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(s, "ranking")), 1);
    ck_assert(json_is_null(json_object_get(s, "margin")));
    json_decref(s);
}
END_TEST

static json_t *select_of(const char *rule, const char *methods,
                         const double *us, int *chosen)
{
    const moe_change_t changes[] = {{"select", rule}, {"methods", methods}};
    moe_scenario_t *s = moe_load_good(moe_test_source(TINY), changes, 2, 0);
    json_t *prices = priced(s, us);
    json_t *selection = NULL;

    ck_assert_int_eq(moe_selection_make(s, prices, chosen, &selection), MOE_OK);
    json_decref(prices);
    moe_scenario_free(s);
    return selection;
}

/* dummy is cheap: it computes nothing. */
START_TEST(what_computes_nothing_is_not_ranked)
{
    const double us[] = {1.0, 120.0};
    int chosen = -1;
    json_t *s = select_of("auto", "[dummy, alltoallv]", us, &chosen);

    ck_assert_int_eq(chosen, 1);
    ck_assert_uint_eq(json_array_size(json_object_get(s, "ranking")), 1);
    ck_assert(json_is_null(json_object_get(s, "margin")));
    json_decref(s);
    s = select_of("auto", "[dummy]", us, &chosen);
    ck_assert_int_eq(chosen, -1);
    ck_assert_ptr_nonnull(strstr(text_of(s, "reason"), "no method that"));
    json_decref(s);
    s = select_of("{rule: ascend-2469, dummy_run: true}", "[dummy, alltoallv]",
                  us, &chosen);
    ck_assert_int_eq(chosen, 0);
    ck_assert_uint_eq(json_array_size(json_object_get(s, "ranking")), 1);
    ck_assert(json_is_null(json_object_get(s, "above_cheapest")));
    json_decref(s);
}
END_TEST

/* 600 tokens on one rank, 3 on the others: each of these, by its own count,
 * would take MC2, and wait for the first for ever. */
START_TEST(a_rule_looks_at_the_agreed_count_never_at_a_local_one)
{
    const double us[] = {120.0, 200.0, 100.0};
    int chosen = -1;
    json_t *s = select_in("ascend-2469", "[3, 600, 3, 3]", us, &chosen);
    const moe_ascend_facts_t local = {.tokens = 3,
                                      .dp = 4,
                                      .tp = 1,
                                      .ep = 4,
                                      .experts = 24,
                                      .topk = 4,
                                      .device = MOE_ASCEND_ON_a2};

    ck_assert_int_eq(moe_ascend_choose(MOE_ASCEND_seed, &local),
                     MOE_ASCEND_TAKES_mc2);
    ck_assert_int_eq(chosen, 0);
    ck_assert_str_eq(text_of(s, "chosen"), "ascend_allgather");
    ck_assert_ptr_nonnull(strstr(text_of(s, "reason"), "600 tokens"));
    ck_assert_double_eq_tol(
        json_number_value(json_object_get(s, "above_cheapest")), 0.2, 1e-12);
    json_decref(s);
}
END_TEST

START_TEST(a_method_that_is_not_there_is_told_with_its_name)
{
    const double us[] = {120.0, 200.0, 100.0};
    int chosen = 7;
    json_t *s = select_in("{rule: ascend-head, device: a3, fused_mc2: on}",
                          "[1, 1, 1, 1]", us, &chosen);

    ck_assert_int_eq(chosen, -1);
    ck_assert(json_is_null(json_object_get(s, "chosen")));
    ck_assert_ptr_nonnull(strstr(text_of(s, "reason"), "takes fused_mc2"));
    ck_assert_ptr_nonnull(
        strstr(text_of(s, "reason"), "not among the scenario's methods"));
    json_decref(s);
}
END_TEST

static const struct {
    const char *select;
    const char *machine;
    const char *said;
} wrong[] = {
    {"best", "atlas-a2", "expected 'none', 'auto'"},
    {"ascend-1", "atlas-a2", "is no revision, expected one of 2125"},
    {"ascend-2025-13-99", "atlas-a2", "or a date YYYY-MM-DD from the first"},
    {"ascend-2614", "dgx-h100", "does not know device H100"},
    {"{rule: ascend-2614, device: a5}", "atlas-a2", "expected an Ascend"},
    {"auto", "none", "nothing is priced without a machine"},
    {"{rule: auto, lora: true}", "atlas-a2", "belongs to the ascend rules"},
    {"{rule: ascend-head, graph: 1}", "atlas-a2", "unknown key"},
};

START_TEST(what_is_wrong_with_a_selection_is_told_at_its_key)
{
    const moe_change_t changes[] = {{"select", wrong[_i].select},
                                    {"machine", wrong[_i].machine}};
    char *text = moe_load_bad(moe_test_source(TINY), changes, 2, 0);

    ck_assert_msg(strstr(text, wrong[_i].said) != NULL, "%s", text);
    free(text);
}
END_TEST

START_TEST(what_is_printed_loads_again_with_the_same_digest)
{
    static const char *const selects[] = {
        "none", "auto", "ascend-2025-09-10",
        "{rule: ascend-head, quantization: w8a8_dynamic, lora: true}"};
    const moe_change_t change = {"select", selects[_i]};
    moe_scenario_t *s = moe_load_good(moe_test_source(TINY), &change, 1, 0);
    char *text = moe_print_to_text(s);
    char *path = moe_make_file("printed.yaml", text, strlen(text));
    moe_scenario_t *again = moe_load_good(path, NULL, 0, 0);

    ck_assert_str_eq(s->digest, again->digest);
    ck_assert_int_eq(s->select.kind, again->select.kind);
    ck_assert_mem_eq(&s->select.ascend.graph_tokens,
                     &again->select.ascend.graph_tokens, sizeof(int64_t));
    moe_scenario_free(again);
    moe_drop_file(path);
    free(text);
    moe_scenario_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("select");
    TCase *tcase = tcase_create("select");

    tcase_add_loop_test(
        tcase, a_revision_takes_what_its_text_says_on_both_sides_of_each_limit,
        0, RULES);
    tcase_add_loop_test(
        tcase, every_revision_is_tested_at_its_capacity_and_one_token_above, 0,
        MOE_ASCEND_COUNT);
    tcase_add_test(tcase,
                   a_date_means_the_newest_revision_that_is_not_after_it);
    tcase_add_test(tcase,
                   revisions_are_in_order_of_time_and_say_where_they_were_read);
    tcase_add_test(tcase,
                   auto_takes_the_cheapest_and_tells_margin_and_what_overlaps);
    tcase_add_test(tcase, what_computes_nothing_is_not_ranked);
    tcase_add_test(tcase, auto_passes_over_methods_without_a_price);
    tcase_add_test(tcase,
                   a_rule_looks_at_the_agreed_count_never_at_a_local_one);
    tcase_add_test(tcase, a_method_that_is_not_there_is_told_with_its_name);
    tcase_add_loop_test(tcase,
                        what_is_wrong_with_a_selection_is_told_at_its_key, 0,
                        (int)(sizeof(wrong) / sizeof(wrong[0])));
    tcase_add_loop_test(tcase, what_is_printed_loads_again_with_the_same_digest,
                        0, 4);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
