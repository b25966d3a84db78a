/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/diag.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

START_TEST(a_problem_has_file_line_column_key_and_text)
{
    moe_diag_t *diag = moe_diag_create();

    moe_diag_add(diag, "a.yaml", 3, 14, "layout.ep", "is %d", 9);
    moe_diag_add(diag, "a.yaml", 4, 0, NULL, "no column");
    moe_diag_add(diag, "a.yaml", 5, 1, "", "empty key");
    moe_diag_add(diag, "b.yaml", 0, 0, NULL, "no place");
    moe_diag_add(diag, NULL, 7, 7, "seed", "no file");
    ck_assert_str_eq(moe_diag_text(diag, 0), "a.yaml:3:14: layout.ep: is 9");
    ck_assert_str_eq(moe_diag_text(diag, 1), "a.yaml:4: no column");
    ck_assert_str_eq(moe_diag_text(diag, 2), "a.yaml:5:1: empty key");
    ck_assert_str_eq(moe_diag_text(diag, 3), "b.yaml: no place");
    ck_assert_str_eq(moe_diag_text(diag, 4), "seed: no file");
    ck_assert_ptr_null(moe_diag_text(diag, 5));
    moe_diag_free(diag);
    moe_diag_free(NULL);
}
END_TEST

START_TEST(problems_come_in_order_of_place_file_by_file)
{
    moe_diag_t *diag = moe_diag_create();

    moe_diag_add(diag, "z", 9, 1, NULL, "5");
    moe_diag_add(diag, "a", 1, 1, NULL, "6");
    moe_diag_add(diag, "z", 2, 8, NULL, "3");
    moe_diag_add(diag, "z", 2, 7, NULL, "1");
    moe_diag_add(diag, "z", 2, 7, NULL, "2");
    moe_diag_add(diag, "z", 2, 10, NULL, "4");
    for (size_t i = 0; i < 6; i++) {
        const char *text = moe_diag_text(diag, i);

        ck_assert_int_eq(text[strlen(text) - 1], (char)('1' + i));
    }
    moe_diag_free(diag);
}
END_TEST

START_TEST(print_writes_what_is_kept_and_counts_the_rest)
{
    moe_diag_t *diag = moe_diag_create();
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    size_t lines = 0;

    for (int i = 0; i < 250; i++) {
        char file[16];

        (void)snprintf(file, sizeof(file), "f%d", i);
        moe_diag_add(diag, file, 1, 1, NULL, "bad");
    }
    ck_assert_uint_eq(moe_diag_count(diag), 250);
    moe_diag_print(diag, stream);
    ck_assert_int_eq(fclose(stream), 0);
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    ck_assert_uint_eq(lines, MOE_DIAG_KEPT + 1);
    ck_assert_ptr_nonnull(strstr(text, "and 150 more problems\n"));
    free(text);
    moe_diag_free(diag);
}
END_TEST

START_TEST(hostile_text_stays_one_short_printable_line)
{
    moe_diag_t *diag = moe_diag_create();
    char *big = malloc(300001);
    const char *text;

    ck_assert_ptr_nonnull(big);
    memset(big, '\x1b', 300000);
    big[300000] = '\0';
    moe_diag_add(diag, big, 1, 2, big, "%s", big);
    moe_diag_add(diag, "f", 1, 1, "k\n", "\xe2\x80\xae \xc3\xa4 \xff");
    text = moe_diag_text(diag, 0);
    ck_assert_uint_lt(strlen(text), 2000);
    for (size_t i = 0; text[i] != '\0'; i++) {
        ck_assert(text[i] >= ' ' && text[i] < 0x7f);
    }
    ck_assert_str_eq(moe_diag_text(diag, 1),
                     "f:1:1: k\\x0a: \\xe2\\x80\\xae \xc3\xa4 \\xff");
    free(big);
    moe_diag_free(diag);
}
END_TEST

START_TEST(utf8_is_taken_apart_as_the_standard_says)
{
    static const struct {
        const char *text;
        size_t size;
    } sample[] = {{"a", 1},
                  {"\xc3\xa4", 2},
                  {"\xe2\x82\xac", 3},
                  {"\xf0\x9f\x98\x80", 4},
                  {"\xf4\x8f\xbf\xbf", 4},
                  {"\x80", 0},
                  {"\xc0\x80", 0},
                  {"\xc1\xbf", 0},
                  {"\xe0\x9f\xbf", 0},
                  {"\xed\xa0\x80", 0},
                  {"\xf0\x8f\xbf\xbf", 0},
                  {"\xf4\x90\x80\x80", 0},
                  {"\xf5\x80\x80\x80", 0},
                  {"\xe2\x82", 0},
                  {"\xe2\x28\xa1", 0}};

    for (size_t i = 0; i < sizeof(sample) / sizeof(sample[0]); i++) {
        ck_assert_uint_eq(moe_utf8_size(sample[i].text, strlen(sample[i].text)),
                          sample[i].size);
    }
}
END_TEST

START_TEST(escaped_text_fits_whatever_the_room)
{
    const char *text = "ab\x01\xc3\xa4\xff\xf0\x9f\x98\x80 end of the text";

    for (size_t size = 8; size < 60; size++) {
        char out[64];

        memset(out, '#', sizeof(out));
        moe_text_escape(text, out, size);
        ck_assert_uint_lt(strlen(out), size);
        ck_assert_int_eq(out[size], '#');
    }
}
END_TEST

START_TEST(the_nearest_name_is_found)
{
    static const char *const names[] = {"tokens", "layout",       "model",
                                        "seed",   "methods",      "tp",
                                        "ep",     "combine_dtype"};
    static const struct {
        const char *name;
        const char *nearest;
    } sample[] = {
        {"tokesn", "tokens"},
        {"Tokens", "tokens"},
        {"modl", "model"},
        {"seeed", "seed"},
        {"layuot", "layout"},
        {"method", "methods"},
        {"mehtods", "methods"},
        {"tq", "tp"},
        {"x", NULL},
        {"", NULL},
        {"precision", NULL},
        {"dees", NULL},
        {"combine-dtype", "combine_dtype"},
    };

    for (size_t i = 0; i < sizeof(sample) / sizeof(sample[0]); i++) {
        const char *found = moe_nearest(sample[i].name, names, 8);

        if (sample[i].nearest == NULL) {
            ck_assert_ptr_null(found);
        } else {
            ck_assert_ptr_nonnull(found);
            ck_assert_str_eq(found, sample[i].nearest);
        }
    }
    ck_assert_ptr_null(moe_nearest("tokens", names, 0));
}
END_TEST

START_TEST(no_length_of_a_name_is_too_much)
{
    char name[200];
    const char *names[1] = {name + 100};

    for (size_t i = 0; i < 100; i++) {
        memset(name, 'a', sizeof(name));
        name[i] = '\0';
        name[199] = '\0';
        ck_assert_ptr_null(moe_nearest(name, names, 1));
        name[100 + i] = '\0';
        ck_assert(moe_nearest(name, names, 1) == names[0] || i == 0 || i > 64);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("diag");
    TCase *t = tcase_create("diag");

    tcase_add_test(t, a_problem_has_file_line_column_key_and_text);
    tcase_add_test(t, problems_come_in_order_of_place_file_by_file);
    tcase_add_test(t, print_writes_what_is_kept_and_counts_the_rest);
    tcase_add_test(t, hostile_text_stays_one_short_printable_line);
    tcase_add_test(t, utf8_is_taken_apart_as_the_standard_says);
    tcase_add_test(t, escaped_text_fits_whatever_the_room);
    tcase_add_test(t, the_nearest_name_is_found);
    tcase_add_test(t, no_length_of_a_name_is_too_much);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
