/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/yaml_value.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static moe_diag_t *diag;
static moe_yaml_doc_t *doc;

static void set_up(void)
{
    diag = moe_diag_create();
    ck_assert_ptr_nonnull(diag);
    doc = NULL;
}

static void tear_down(void)
{
    moe_yaml_free(doc);
    moe_diag_free(diag);
}

static moe_status_t parse(const char *text)
{
    return moe_yaml_parse("f", text, strlen(text), diag, &doc);
}

START_TEST(integers_of_all_sizes_come_back)
{
    for (int bit = 0; bit < 63; bit++) {
        for (int64_t d = -2; d <= 2; d++) {
            int64_t v = (INT64_C(1) << bit) + d;
            int64_t got = 0;
            char text[32];

            (void)snprintf(text, sizeof(text), "%" PRId64, v);
            ck_assert_ptr_null(moe_text_to_i64(text, &got));
            ck_assert_int_eq(got, v);
            (void)snprintf(text, sizeof(text), "%" PRId64, -v);
            ck_assert_ptr_null(moe_text_to_i64(text, &got));
            ck_assert_int_eq(got, -v);
        }
    }
}
END_TEST

START_TEST(whole_numbers_may_have_a_point_or_an_exponent)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"1e6", 1000000},
                {"1.5e3", 1500},
                {"+5", 5},
                {"-0", 0},
                {"4.0", 4},
                {"4.", 4},
                {"1500e-2", 15},
                {"0e99999999999999", 0},
                {"0.00", 0},
                {"-9223372036854775808", INT64_MIN},
                {"9223372036854775807", INT64_MAX},
                {"9.223372036854775807e18", INT64_MAX}};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t v = -77;

        ck_assert_ptr_null(moe_text_to_i64(good[i].text, &v));
        ck_assert_int_eq(v, good[i].value);
    }
}
END_TEST

START_TEST(what_is_no_integer_is_refused)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      ".",
                                      "e5",
                                      "1e",
                                      "1e+",
                                      "1_000",
                                      "0x10",
                                      "010",
                                      "-01",
                                      "1.5",
                                      "1e-1",
                                      " 1",
                                      "1 ",
                                      "1k",
                                      "nan",
                                      ".inf",
                                      "true",
                                      "--1",
                                      "1.2.3",
                                      "1e1e1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "1e19",
                                      "1e999999999999999999999999",
                                      "99999999999999999999e-1"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t v = -77;

        ck_assert_ptr_nonnull(moe_text_to_i64(bad[i], &v));
        ck_assert_int_eq(v, -77);
    }
}
END_TEST

START_TEST(doubles_come_back_to_the_bit)
{
    static const double sample[] = {0.0,     1.0,     -2.5,        0.1,
                                    1e300,   DBL_MAX, DBL_MIN,     4.9e-324,
                                    1.0 / 3, 1e-6,    123456789.0, 9.38};

    for (size_t i = 0; i < sizeof(sample) / sizeof(sample[0]); i++) {
        char text[64];
        double v = 77.0;

        (void)snprintf(text, sizeof(text), "%.17g", sample[i]);
        ck_assert_ptr_null(moe_text_to_double(text, &v));
        ck_assert(memcmp(&v, &sample[i], sizeof(v)) == 0);
    }
}
END_TEST

START_TEST(what_is_no_finite_double_is_refused)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "nan",
                                      "NaN",
                                      ".nan",
                                      "inf",
                                      ".inf",
                                      "-.inf",
                                      "1e",
                                      "0x1p3",
                                      "1e309",
                                      "-1e400",
                                      "1e-400",
                                      "1,5",
                                      "1 2",
                                      "01.5",
                                      "1e99999999999999999999999999999"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        double v = 77.0;

        ck_assert_ptr_nonnull(moe_text_to_double(bad[i], &v));
        ck_assert(v == 77.0);
    }
}
END_TEST

START_TEST(a_locale_with_commas_changes_nothing)
{
    double v = 0.0;

    /* where the system has none of them, "C" is tested once more */
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL) {
        (void)setlocale(LC_ALL, "C");
    }
    ck_assert_ptr_null(moe_text_to_double("1.5", &v));
    ck_assert(v == 1.5);
    ck_assert_ptr_nonnull(moe_text_to_double("1,5", &v));
}
END_TEST

START_TEST(only_true_and_false_are_booleans)
{
    static const char *const bad[] = {"",   "True", "yes", "no",
                                      "on", "0",    "1",   "FALSE"};
    bool v = false;

    ck_assert(moe_text_to_bool("true", &v) == NULL && v);
    ck_assert(moe_text_to_bool("false", &v) == NULL && !v);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_ptr_nonnull(moe_text_to_bool(bad[i], &v));
    }
}
END_TEST

START_TEST(nodes_of_another_kind_are_refused_with_what_they_are)
{
    static const char *const found[] = {"a list",  "a map",   "nothing",
                                        "nothing", "nothing", "quotes"};
    const moe_yaml_node_t *root;
    const char *text = NULL;
    int64_t i = 7;
    double d = 7.0;
    bool b = true;

    ck_assert_int_eq(parse("- [1]\n- {a: 1}\n-\n- ~\n- null\n- '1'\n"), MOE_OK);
    root = moe_yaml_root(doc);
    for (size_t k = 0; k < root->n; k++) {
        const moe_yaml_node_t *node = root->item[k];

        ck_assert_ptr_nonnull(strstr(moe_yaml_i64(node, &i), found[k]));
        ck_assert_ptr_nonnull(strstr(moe_yaml_double(node, &d), found[k]));
        ck_assert_ptr_nonnull(strstr(moe_yaml_bool(node, &b), found[k]));
        ck_assert((moe_yaml_text(node, &text) == NULL) == (k == 5));
        ck_assert(moe_yaml_is_null(node) == (k >= 2 && k < 5));
    }
    ck_assert_str_eq(text, "1");
    ck_assert(i == 7 && d == 7.0 && b);
}
END_TEST

START_TEST(plain_nodes_have_values)
{
    const moe_yaml_node_t *root;
    int64_t i = 0;
    double d = 0.0;
    bool b = false;

    ck_assert_int_eq(parse("[12, 2.5, true]"), MOE_OK);
    root = moe_yaml_root(doc);
    ck_assert(moe_yaml_i64(root->item[0], &i) == NULL && i == 12);
    ck_assert(moe_yaml_double(root->item[1], &d) == NULL && d == 2.5);
    ck_assert(moe_yaml_bool(root->item[2], &b) == NULL && b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("yaml_value");
    TCase *t = tcase_create("yaml_value");

    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, integers_of_all_sizes_come_back);
    tcase_add_test(t, whole_numbers_may_have_a_point_or_an_exponent);
    tcase_add_test(t, what_is_no_integer_is_refused);
    tcase_add_test(t, doubles_come_back_to_the_bit);
    tcase_add_test(t, what_is_no_finite_double_is_refused);
    tcase_add_test(t, a_locale_with_commas_changes_nothing);
    tcase_add_test(t, only_true_and_false_are_booleans);
    tcase_add_test(t, nodes_of_another_kind_are_refused_with_what_they_are);
    tcase_add_test(t, plain_nodes_have_values);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
