/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "tests/scenarios.h"

#include "sim/scenario/schema.h"

#include <stdlib.h>
#include <string.h>

#define GOOD "tests/fixtures/scenario/good.yaml"

START_TEST(all_problems_of_a_file_come_out_in_one_pass)
{
    const char *path = moe_test_source("tests/fixtures/scenario/bad.yaml");
    const char *expect = moe_test_source("tests/fixtures/scenario/bad.expect");
    char *found = moe_load_bad(path, NULL, 0, 0);
    FILE *stream = fopen(expect, "r");
    char *line = NULL;
    size_t room = 0;
    const char *at = found;

    ck_assert_ptr_nonnull(stream);
    while (getline(&line, &room, stream) > 0) {
        size_t length = strcspn(at, "\n");

        line[strcspn(line, "\n")] = '\0';
        if (strncmp(at, path, strlen(path)) == 0) {
            at += strlen(path);
            length -= strlen(path);
        }
        ck_assert_msg(strlen(line) == length && strncmp(line, at, length) == 0,
                      "expected: %s\nfound: %.*s", line, (int)length, at);
        at += length + 1;
    }
    ck_assert_str_eq(at, "");
    free(line);
    (void)fclose(stream);
    free(found);
}
END_TEST

/* One change of a good file, and all that is said of it. */
static const struct {
    const char *path;
    const char *value;
    const char *problem;
} changes[] = {
#define CHANGE(path, value, problem) {path, value, problem},
#include "tests/scenario_errors.def"
#undef CHANGE
};

#define N_CHANGES ((int)(sizeof(changes) / sizeof(changes[0])))

START_TEST(a_wrong_value_is_told_once_with_its_place_and_what_was_expected)
{
    const moe_change_t change = {changes[_i].path, changes[_i].value};
    char *found = moe_load_bad(moe_test_source(GOOD), &change, 1, 0);

    if (changes[_i].problem != NULL) {
        ck_assert_str_eq(found, changes[_i].problem);
    } else {
        ck_assert_str_ne(found, "");
    }
    free(found);
}
END_TEST

/* A scenario whose model and machine are inline, and paths of its parts. */
static char *inline_file(void)
{
    moe_scenario_t *s = moe_load_good(moe_test_source(GOOD), NULL, 0, 0);
    char *text = moe_print_to_text(s);
    char *path = moe_make_file("inline.yaml", text, strlen(text));

    free(text);
    moe_scenario_free(s);
    return path;
}

static const char *const part[MOE_SECTION_COUNT] = {
    [MOE_SECTION_scenario] = "",
    [MOE_SECTION_layout] = "layout.",
    [MOE_SECTION_workload] = "workload.",
    [MOE_SECTION_tokens] = "workload.tokens.",
    [MOE_SECTION_router] = "workload.router.",
    [MOE_SECTION_data] = "workload.data.",
    [MOE_SECTION_precision] = "precision.",
    [MOE_SECTION_storage] = "precision.gemm2_in.",
    [MOE_SECTION_published] = "published.0.",
    [MOE_SECTION_model] = "model.",
    [MOE_SECTION_machine] = "machine.",
    [MOE_SECTION_flops] = "machine.flops.",
    [MOE_SECTION_tier] = "machine.tiers.1.",
    [MOE_SECTION_constant] = "machine.launch_s.",
};

/* What is said if a key of the table has this value. */
static char *with_value(const char *file, const moe_key_t *key,
                        const char *value)
{
    char path[128];
    const bool form =
        key->section == MOE_SECTION_tokens || key->section == MOE_SECTION_data;
    const moe_change_t change[] = {
        {"sweep", "{}"},
        {key->section == MOE_SECTION_tokens ? "workload.tokens"
                                            : "workload.data",
         key->section == MOE_SECTION_tokens ? "{total: 4}" : "{}"},
        {path, value}};

    (void)snprintf(path, sizeof(path), "%s%s", part[key->section],
                   key->section == MOE_SECTION_flops ? "bf16" : key->key);
    return form ? moe_load_bad(file, change, 3, 0)
                : moe_load_bad(file, (moe_change_t[]){change[0], change[2]}, 2,
                               0);
}

START_TEST(no_key_takes_a_value_of_the_wrong_kind)
{
    char *file = inline_file();

    for (size_t i = 0; i < moe_schema_count(); i++) {
        const moe_key_t *key = moe_schema_get(i);
        const bool flops = key->section == MOE_SECTION_flops;
        char *found = with_value(
            file, key, key->type == MOE_TYPE_map ? "[1]" : "[[1], [2]]");

        ck_assert_msg(found[0] != '\0', "%s of %s takes a list", key->key,
                      moe_section_place(key->section));
        ck_assert_ptr_nonnull(strstr(found, flops ? "bf16" : key->key));
        free(found);
    }
    moe_drop_file(file);
}
END_TEST

static void number_as(const moe_key_t *key, double number, char *out,
                      size_t size)
{
    const bool whole = key->type == MOE_TYPE_int ||
                       key->type == MOE_TYPE_int64 ||
                       key->type == MOE_TYPE_mixed;

    if (key->type == MOE_TYPE_constant) {
        (void)snprintf(out, size,
                       "{value: %.17g, error: 0, kind: assumed, source: x}",
                       number);
    } else if (whole) {
        (void)snprintf(out, size, "%.0f", number);
    } else {
        (void)snprintf(out, size, "%.17g", number);
    }
}

START_TEST(no_number_is_taken_out_of_its_range)
{
    char *file = inline_file();
    int n = 0;

    for (size_t i = 0; i < moe_schema_count(); i++) {
        const moe_key_t *key = moe_schema_get(i);
        const double wrong[] = {-1.0 - key->low, 2.0 * key->high + 1.0};

        for (int k = 0; k < 2 && key->low < key->high && key->high < 1e300 &&
                        key->type != MOE_TYPE_list;
             k++) {
            char value[128];
            char *found;

            number_as(key, wrong[k], value, sizeof(value));
            found = with_value(file, key, value);
            ck_assert_msg(strstr(found, "expected") != NULL, "%s takes %s: %s",
                          key->key, value, found);
            free(found);
            n++;
        }
    }
    ck_assert_int_gt(n, 40);
    moe_drop_file(file);
}
END_TEST

START_TEST(a_key_that_must_be_given_is_missed)
{
    static const char *const empty[MOE_SECTION_COUNT] = {
        [MOE_SECTION_workload] = "workload",
        [MOE_SECTION_tokens] = "workload.tokens",
        [MOE_SECTION_storage] = "precision.gemm2_in",
        [MOE_SECTION_published] = "published.0",
        [MOE_SECTION_model] = "model",
        [MOE_SECTION_machine] = "machine",
        [MOE_SECTION_tier] = "machine.tiers.1",
        [MOE_SECTION_constant] = "machine.launch_s"};
    char *file = inline_file();
    int n = 0;

    for (size_t i = 0; i < moe_schema_count(); i++) {
        const moe_key_t *key = moe_schema_get(i);
        const moe_change_t change = {empty[key->section], "{}"};
        char missing[128];
        char *found;

        if (key->standard != NULL || change.path == NULL) {
            continue;
        }
        (void)snprintf(missing, sizeof(missing), ".%s: is missing, expected ",
                       key->key);
        found = moe_load_bad(file, &change, 1, 0);
        ck_assert_msg(strstr(found, missing) != NULL, "%s: %s", missing, found);
        free(found);
        n++;
    }
    ck_assert_int_gt(n, 20);
    moe_drop_file(file);
}
END_TEST

START_TEST(ranks_that_do_not_scale_are_refused)
{
    const moe_change_t change[] = {{"layout", "{dp: 2, tp: 2, ep: 2}"},
                                   {"workload.tokens", "1"},
                                   {"sweep", "{}"}};
    char *found = moe_load_bad(moe_test_source(GOOD), change, 3, 5);

    ck_assert_ptr_nonnull(
        strstr(found, "--ranks: 5: the layout dp 2, tp 2, ep 2 does not scale "
                      "to it, expected a multiple of 2\n"));
    free(found);
}
END_TEST

START_TEST(ranks_are_refused_unless_they_are_a_multiple_of_what_is_told)
{
    static const struct {
        const char *layout;
        int step;
    } layouts[] = {{"{dp: 4, tp: 1, ep: 4}", 1},
                   {"{dp: 4, tp: 1, ep: 2}", 2},
                   {"{dp: 1, tp: 4, ep: 1}", 4},
                   {"{dp: 2, tp: 3, ep: 3}", 6},
                   {"{dp: 2, tp: 3, ep: 6}", 3}};

    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        const moe_change_t change[] = {{"layout", layouts[i].layout},
                                       {"workload.tokens", "1"},
                                       {"methods", "[dummy]"},
                                       {"sweep", "{}"}};
        char told[64];

        (void)snprintf(told, sizeof(told), "expected a multiple of %d\n",
                       layouts[i].step);
        for (int ranks = 1; ranks <= 13; ranks++) {
            char *found = moe_load_bad(moe_test_source(GOOD), change, 4, ranks);

            ck_assert_msg((strstr(found, told) == NULL) ==
                              (ranks % layouts[i].step == 0),
                          "%s to %d: %s", layouts[i].layout, ranks, found);
            free(found);
        }
    }
}
END_TEST

START_TEST(a_file_that_is_no_scenario_is_refused)
{
    static const char *const texts[] = {
        "",        "\n\n",   "42",           "[1, 2]",
        "a: b: c", "\tx: 1", "x: 1\nx: 2\n", "\x01\x02"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *path = moe_make_file("x.yaml", texts[i], strlen(texts[i]));
        char *found = moe_load_bad(path, NULL, 0, 0);

        ck_assert_msg(strncmp(found, path, strlen(path)) == 0, "%s: %s",
                      texts[i], found);
        free(found);
        moe_drop_file(path);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("scenario_errors");
    TCase *t = tcase_create("scenario_errors");

    tcase_add_test(t, all_problems_of_a_file_come_out_in_one_pass);
    tcase_add_loop_test(
        t, a_wrong_value_is_told_once_with_its_place_and_what_was_expected, 0,
        N_CHANGES);
    tcase_add_test(t, no_key_takes_a_value_of_the_wrong_kind);
    tcase_add_test(t, no_number_is_taken_out_of_its_range);
    tcase_add_test(t, a_key_that_must_be_given_is_missed);
    tcase_add_test(t, ranks_that_do_not_scale_are_refused);
    tcase_add_test(
        t, ranks_are_refused_unless_they_are_a_multiple_of_what_is_told);
    tcase_add_test(t, a_file_that_is_no_scenario_is_refused);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
