/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "tests/scenarios.h"

#include <stdlib.h>
#include <string.h>

#define GOOD "tests/fixtures/scenario/good.yaml"

static const char *const shipped[] = {
    GOOD,
    "scenarios/seeds/sglang-7667.yaml",
    "scenarios/seeds/sglang-7667-decode.yaml",
    "scenarios/tutorial/first.yaml",
    "scenarios/tutorial/grid.yaml",
    "scenarios/tutorial/faithful.yaml",
};

#define N_SHIPPED ((int)(sizeof(shipped) / sizeof(shipped[0])))

static void check_round_trip(const char *file, int ranks)
{
    moe_scenario_t *first = moe_load_good(file, NULL, 0, ranks);
    char *text = moe_print_to_text(first);
    char *path = moe_make_file("other.yaml", text, strlen(text));
    moe_scenario_t *second = moe_load_good(path, NULL, 0, 0);
    char *again = moe_print_to_text(second);

    ck_assert_str_eq(text, again);
    ck_assert_str_eq(first->digest, second->digest);
    ck_assert_uint_eq(strlen(first->digest), 64);
    moe_scenario_free(first);
    moe_scenario_free(second);
    free(text);
    free(again);
    moe_drop_file(path);
}

START_TEST(a_print_loads_as_the_same_scenario_and_prints_the_same)
{
    check_round_trip(moe_test_source(shipped[_i]), 0);
    check_round_trip(moe_test_source(shipped[_i]), 3);
    check_round_trip(moe_test_source(shipped[_i]), 1);
}
END_TEST

START_TEST(a_sweep_over_tokens_has_the_same_tokens_on_other_ranks)
{
    moe_scenario_t *s = moe_load_good(moe_test_source(GOOD), NULL, 0, 2);

    ck_assert_str_eq(s->sweep[0].path, "workload.tokens");
    ck_assert_str_eq(s->sweep[0].value[0], "{total: 4}");  /* 1 on each of 4 */
    ck_assert_str_eq(s->sweep[0].value[1], "{total: 10}"); /* [1, 2, 3, 4] */
    ck_assert_str_eq(s->sweep[0].value[2], "{total: 7}");
    ck_assert_str_eq(s->sweep[1].value[1], "decode");
    moe_scenario_free(s);
}
END_TEST

START_TEST(the_seed_is_the_layer_of_deepseek_r1_on_8_ranks)
{
    static const int64_t tokens[] = {96, 64, 0, 112, 40, 72, 64, 64};
    moe_scenario_t *s = moe_load_good(moe_test_source(shipped[1]), NULL, 0, 0);

    ck_assert_str_eq(s->model.name, "deepseek-r1");
    ck_assert_int_eq(s->model.hidden, 7168);
    ck_assert_int_eq(s->model.intermediate, 2048);
    ck_assert_int_eq(s->model.experts, 256);
    ck_assert_int_eq(s->model.topk, 8);
    ck_assert_int_eq(s->model.n_group, 8);
    ck_assert_int_eq(s->model.topk_group, 4);
    ck_assert(s->model.bias && s->model.renormalize);
    ck_assert_double_eq((double)s->model.routed_scaling, 2.5);
    ck_assert_int_eq(moe_layout_world(&s->layer.layout), 8);
    ck_assert_int_eq(s->layer.layout.ep, 8);
    ck_assert_mem_eq(s->tokens, tokens, sizeof(tokens));
    ck_assert_int_eq(moe_layer_total_tokens(&s->layer), 512);
    ck_assert_uint_eq(s->n_methods, 2);
    ck_assert_str_eq(s->method[0].label, "pad_allreduce");
    ck_assert_str_eq(s->method[1].label, "allgatherv");
    ck_assert_int_eq(s->method[1].chain.at[MOE_ROLE_dispatch].format,
                     MOE_FORMAT_nvfp4);
    ck_assert_double_eq(
        (double)s->method[1].chain.at[MOE_ROLE_dispatch].global_scale, 672.0);
    ck_assert_uint_eq(s->seed, 7667);
    ck_assert(s->layer.model == &s->model && s->layer.tokens == s->tokens);
    moe_scenario_free(s);
}
END_TEST

START_TEST(the_decode_twin_pads_to_the_maximum_by_sglangs_rule)
{
    moe_scenario_t *s = moe_load_good(moe_test_source(shipped[2]), NULL, 0, 0);
    int64_t most = 0;
    int idle = 0;

    for (int i = 0; i < s->layer.layout.dp; i++) {
        most = s->tokens[i] > most ? s->tokens[i] : most;
        idle += s->tokens[i] == 0;
    }
    ck_assert_int_eq(s->layer.phase, MOE_PHASE_decode);
    ck_assert_int_gt(idle, 0);
    ck_assert_int_ge(2 * moe_layer_total_tokens(&s->layer),
                     most * s->layer.layout.dp);
    moe_scenario_free(s);
}
END_TEST

START_TEST(options_alone_make_a_scenario)
{
    const moe_change_t changes[] = {
        {"model", "deepseek-v3"},
        {"machine", "h100_sxm"},
        {"layout.ep", "8"},
        {"workload.tokens", "1"},
        {"sweep", "{workload.tokens: [1,128,4096]}"},
        {"methods", "all"}};
    moe_scenario_t *s = moe_load_good(NULL, changes, 6, 0);

    ck_assert_ptr_null(s->file);
    ck_assert_str_eq(s->name, "deepseek-r1-dgx-h100");
    ck_assert_int_eq(s->layer.layout.dp, 8);
    ck_assert_int_eq(s->layer.layout.tp, 1);
    ck_assert_int_eq(s->layer.layout.ep, 8);
    ck_assert_uint_eq(s->n_sweeps, 1);
    ck_assert_uint_eq(s->sweep[0].n, 3);
    ck_assert_str_eq(s->sweep[0].value[2], "4096");
    ck_assert_uint_ge(s->n_methods, 4);
    ck_assert_uint_eq(s->n_left_out, 0);
    moe_scenario_free(s);
}
END_TEST

START_TEST(labels_are_unique_and_say_what_differs)
{
    moe_scenario_t *s = moe_load_good(moe_test_source(GOOD), NULL, 0, 0);

    ck_assert_str_eq(s->method[0].label, "pad_allreduce-auto");
    ck_assert_str_eq(s->method[1].label, "pad_allreduce-max_len");
    ck_assert_str_eq(s->method[2].label, "allgatherv-fp8_1x128-fp32");
    ck_assert_str_eq(s->method[3].label, "fp4");
    moe_scenario_free(s);
}
END_TEST

START_TEST(a_dispatch_in_the_format_of_expert_in_has_its_scale)
{
    moe_scenario_t *s = moe_load_good(moe_test_source(GOOD), NULL, 0, 0);
    const moe_chain_t *fp8 = &s->method[2].chain;
    const moe_chain_t *fp4 = &s->method[3].chain;

    ck_assert(moe_storage_equal(&fp4->at[MOE_ROLE_dispatch],
                                &fp4->at[MOE_ROLE_expert_in]));
    ck_assert_double_eq((double)fp4->at[MOE_ROLE_dispatch].global_scale, 500.0);
    ck_assert_int_eq(fp8->at[MOE_ROLE_dispatch].format, MOE_FORMAT_fp8_1x128);
    ck_assert_int_eq(fp8->at[MOE_ROLE_dispatch].profile, MOE_PROFILE_deepep);
    ck_assert_int_eq(fp8->at[MOE_ROLE_combine].format, MOE_FORMAT_fp32);
    ck_assert_int_eq(fp4->at[MOE_ROLE_combine].format, MOE_FORMAT_bf16);
    ck_assert_int_eq(fp4->at[MOE_ROLE_gemm1_out].format, MOE_FORMAT_fp16);
    moe_scenario_free(s);
}
END_TEST

START_TEST(ranks_cut_the_same_tokens_into_longer_parts_first)
{
    static const int worlds[] = {1, 2, 3, 4, 5, 8, 16};
    int ranks = worlds[_i];
    moe_scenario_t *s = moe_load_good(moe_test_source(GOOD), NULL, 0, ranks);
    int64_t sum = 0;

    ck_assert_int_eq(moe_layout_world(&s->layer.layout), ranks);
    ck_assert_int_eq(s->layer.layout.ep, ranks);
    for (int i = 0; i < ranks; i++) {
        sum += s->tokens[i];
        if (ranks != 4) {
            ck_assert_int_eq(s->tokens[i],
                             10 / ranks + (i < 10 % ranks ? 1 : 0));
        }
    }
    ck_assert_int_eq(sum, 10);
    if (ranks == 4) { /* as the file says */
        ck_assert_int_eq(s->tokens[2], 5);
    }
    moe_scenario_free(s);
}
END_TEST

/* dp, tp, ep, tokens as given; dp, tp, ep as they become. */
static const struct {
    const char *layout;
    const char *tokens;
    int dp, tp, ep;
} layouts[] = {
    {"{}", "3", 1, 1, 1},
    {"{ep: 8}", "3", 8, 1, 8},
    {"{ep: 8, tp: 2}", "3", 4, 2, 8},
    {"{ep: 2, tp: 8}", "3", 1, 8, 2},
    {"{dp: 4}", "3", 4, 1, 4},
    {"{dp: 4, tp: 2, ep: 4}", "3", 4, 2, 4},
    {"{ep: 3}", "[1, 2, 0]", 3, 1, 3},
    {"{}", "[1, 2, 0, 4]", 4, 1, 4},
    {"{tp: 2}", "{total: 5, split: [2, 3]}", 2, 2, 4},
    {"{dp: 3}", "{total: 5}", 3, 1, 3},
};

#define N_LAYOUTS ((int)(sizeof(layouts) / sizeof(layouts[0])))

/* A layout that no method takes is told by what does not scale. */
static void check_refused(const moe_change_t *changes, size_t n, int i)
{
    char expected[128];
    char *found = moe_load_bad(moe_test_source(GOOD), changes, n, 0);

    ck_assert_int_ne(layouts[i].tp, 1);
    ck_assert_ptr_nonnull(strstr(found, "no method can run here"));
    free(found);
    found = moe_load_bad(moe_test_source(GOOD), changes, n, 3);
    (void)snprintf(expected, sizeof(expected), "layout dp %d, tp %d, ep %d ",
                   layouts[i].dp, layouts[i].tp, layouts[i].ep);
    ck_assert_msg(strstr(found, expected) != NULL, "%s: %s", expected, found);
    free(found);
}

START_TEST(a_layout_is_filled_by_its_rules)
{
    const moe_change_t changes[] = {{"layout", layouts[_i].layout},
                                    {"workload.tokens", layouts[_i].tokens},
                                    {"methods", "all"},
                                    {"sweep", "{}"}};
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *s = NULL;

    if (moe_scenario_load(moe_test_source(GOOD), changes, 4, 0, diag, &s) ==
        MOE_OK) {
        ck_assert_int_eq(s->layer.layout.dp, layouts[_i].dp);
        ck_assert_int_eq(s->layer.layout.tp, layouts[_i].tp);
        ck_assert_int_eq(s->layer.layout.ep, layouts[_i].ep);
        moe_scenario_free(s);
    } else {
        check_refused(changes, 4, _i);
    }
    moe_diag_free(diag);
}
END_TEST

START_TEST(a_swept_key_that_is_not_given_has_its_first_value)
{
    const moe_change_t changes[] = {{"model", "mixtral-8x7b"},
                                    {"layout.dp", "4"},
                                    {"sweep.workload.tokens", "[7, 9]"},
                                    {"methods", "[allgatherv]"}};
    moe_scenario_t *s = moe_load_good(NULL, changes, 4, 0);

    ck_assert_int_eq(s->tokens[3], 7);
    ck_assert_str_eq(s->sweep[0].path, "workload.tokens");
    ck_assert(!s->has_machine);
    ck_assert_str_eq(s->name, "mixtral-8x7b");
    moe_scenario_free(s);
}
END_TEST

START_TEST(the_digest_is_of_the_meaning)
{
    const moe_change_t written = {"numerics", "faithful"}; /* as it is */
    const moe_change_t changed = {"seed", "5"};
    moe_scenario_t *a = moe_load_good(moe_test_source(GOOD), NULL, 0, 0);
    moe_scenario_t *b = moe_load_good(moe_test_source(GOOD), &written, 1, 0);
    moe_scenario_t *c = moe_load_good(moe_test_source(GOOD), &changed, 1, 0);

    ck_assert_str_eq(a->digest, b->digest);
    ck_assert_str_ne(a->digest, c->digest);
    moe_scenario_free(a);
    moe_scenario_free(b);
    moe_scenario_free(c);
}
END_TEST

/* Not as unknown and as missing. */
START_TEST(a_misspelt_section_is_told_once)
{
    static const char text[] = "moesim: 1\n"
                               "%s: {name: x, hidden: 64, intermediate: 64, "
                               "experts: 4, topk: 2, score: softmax, "
                               "renormalize: true}\n"
                               "%s: {tokens: 8}\n"
                               "%s: [allgatherv]\n";
    static const char *const right[] = {"model", "workload", "methods"};
    static const char *const wrong[] = {"modell", "worklaod", "metods"};
    char whole[512];
    char want[128];
    char *path;
    char *found;

    (void)snprintf(whole, sizeof(whole), text, _i == 0 ? wrong[0] : right[0],
                   _i == 1 ? wrong[1] : right[1],
                   _i == 2 ? wrong[2] : right[2]);
    path = moe_make_file("misspelt.yaml", whole, strlen(whole));
    found = moe_load_bad(path, NULL, 0, 0);
    (void)snprintf(want, sizeof(want),
                   "%s:%d:1: %s: unknown key; did you mean '%s'?\n", path,
                   _i + 2, wrong[_i], right[_i]);
    ck_assert_str_eq(found, want);
    free(found);
    moe_drop_file(path);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("scenario");
    TCase *t = tcase_create("scenario");

    tcase_add_loop_test(t,
                        a_print_loads_as_the_same_scenario_and_prints_the_same,
                        0, N_SHIPPED);
    tcase_add_loop_test(t, a_misspelt_section_is_told_once, 0, 3);
    tcase_add_test(t, a_sweep_over_tokens_has_the_same_tokens_on_other_ranks);
    tcase_add_test(t, the_seed_is_the_layer_of_deepseek_r1_on_8_ranks);
    tcase_add_test(t, the_decode_twin_pads_to_the_maximum_by_sglangs_rule);
    tcase_add_test(t, options_alone_make_a_scenario);
    tcase_add_test(t, labels_are_unique_and_say_what_differs);
    tcase_add_test(t, a_dispatch_in_the_format_of_expert_in_has_its_scale);
    tcase_add_loop_test(t, ranks_cut_the_same_tokens_into_longer_parts_first, 0,
                        7);
    tcase_add_loop_test(t, a_layout_is_filled_by_its_rules, 0, N_LAYOUTS);
    tcase_add_test(t, a_swept_key_that_is_not_given_has_its_first_value);
    tcase_add_test(t, the_digest_is_of_the_meaning);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
