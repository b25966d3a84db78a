/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "sim/scenario/schema.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_MAX 1000000

static char *read_all(const char *path)
{
    FILE *stream = fopen(path, "r");
    char *page = calloc(1, PAGE_MAX);
    size_t n;

    ck_assert(stream != NULL && page != NULL);
    n = fread(page, 1, PAGE_MAX - 1, stream);
    ck_assert(n > 0 && n < PAGE_MAX - 1);
    (void)fclose(stream);
    return page;
}

/* Where the new text is, for whoever changes the table. */
static void write_new(const char *text)
{
    FILE *stream = fopen("scenario_keys.md", "w");

    if (stream != NULL) {
        (void)fputs(text, stream);
        (void)fclose(stream);
    }
}

START_TEST(the_page_says_what_the_table_says)
{
    static const char begin[] = "<!-- keys: begin -->\n";
    char *page = read_all(moe_test_source("doc/scenario.md"));
    char *found = strstr(page, begin);
    char *end = strstr(page, "<!-- keys: end -->");
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    ck_assert(found != NULL && end != NULL && stream != NULL);
    moe_schema_markdown(stream);
    ck_assert_int_eq(fclose(stream), 0);
    *end = '\0';
    found += strlen(begin);
    if (strcmp(found, text) != 0) {
        write_new(text);
        ck_abort_msg("doc/scenario.md differs from the table: put the text of "
                     "scenario_keys.md, in the folder of this run, between "
                     "its marks");
    }
    free(text);
    free(page);
}
END_TEST

START_TEST(every_key_is_in_its_section_once_and_has_a_text)
{
    for (size_t i = 0; i < moe_schema_count(); i++) {
        const moe_key_t *key = moe_schema_get(i);

        ck_assert_ptr_eq(moe_schema_find(key->section, key->key), key);
        ck_assert_uint_gt(strlen(key->text), 0);
        ck_assert_ptr_nonnull(moe_type_name(key->type));
    }
}
END_TEST

START_TEST(every_default_has_a_reason)
{
    for (size_t i = 0; i < moe_schema_count(); i++) {
        const moe_key_t *key = moe_schema_get(i);

        if (key->standard != NULL && key->standard[0] != '\0') {
            ck_assert_msg(key->why != NULL, "%s of '%s' says not why", key->key,
                          moe_section_place(key->section));
        }
    }
}
END_TEST

START_TEST(words_are_found_by_their_place)
{
    char word[8];

    ck_assert_int_eq(moe_words_find("a bc def ", "bc"), 1);
    ck_assert_int_eq(moe_words_find("a bc def ", "b"), -1);
    ck_assert_int_eq(moe_words_find("a bc def ", "bc def"), -1);
    ck_assert_int_eq(moe_words_find("", "a"), -1);
    ck_assert(moe_words_get(" a  bc def", 2, word, sizeof(word)));
    ck_assert_str_eq(word, "def");
    ck_assert(!moe_words_get("a bc def", 3, word, sizeof(word)));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("schema");
    TCase *t = tcase_create("schema");

    tcase_add_test(t, the_page_says_what_the_table_says);
    tcase_add_test(t, every_key_is_in_its_section_once_and_has_a_text);
    tcase_add_test(t, every_default_has_a_reason);
    tcase_add_test(t, words_are_found_by_their_place);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
