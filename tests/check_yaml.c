/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* A value by its key path; keys and places separated by dots. */
static const moe_yaml_node_t *at(const char *path)
{
    const moe_yaml_node_t *node = moe_yaml_root(doc);
    char copy[100];
    char *state;

    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *part = strtok_r(copy, ".", &state); part != NULL;
         part = strtok_r(NULL, ".", &state)) {
        ck_assert_int_ne((int)node->kind, (int)MOE_YAML_SCALAR);
        node = node->kind == MOE_YAML_MAP ? moe_yaml_get(node, part)
                                          : node->item[atoi(part)];
        ck_assert_ptr_nonnull(node);
    }
    return node;
}

START_TEST(a_tree_has_values_kinds_and_places)
{
    ck_assert_int_eq(parse("# note\na: 1\nb:\n  - x\n  - {c: 'q', \"d\": }\n"),
                     MOE_OK);
    ck_assert_uint_eq(moe_diag_count(diag), 0);
    ck_assert_str_eq(at("a")->text, "1");
    ck_assert(!at("a")->quoted);
    ck_assert_int_eq(at("a")->line, 2);
    ck_assert_int_eq(at("a")->column, 4);
    ck_assert_uint_eq(at("b")->n, 2);
    ck_assert_int_eq(moe_yaml_root(doc)->key_line[1], 3);
    ck_assert_str_eq(at("b.1.c")->text, "q");
    ck_assert(at("b.1.c")->quoted);
    ck_assert_int_eq(at("b.1")->key_column[1], 14);
    ck_assert_str_eq(at("b.1.d")->text, "");
    ck_assert_ptr_null(moe_yaml_get(at("a"), "x"));
    ck_assert_ptr_null(moe_yaml_get(at("b.1"), "x"));
    ck_assert_ptr_null(moe_yaml_get(NULL, "x"));
}
END_TEST

START_TEST(columns_count_characters_and_a_byte_order_mark_is_none)
{
    ck_assert_int_eq(parse("\xef\xbb\xbfgr\xc3\xb6\xc3\x9f"
                           "e: x\n"),
                     MOE_OK);
    ck_assert_int_eq(moe_yaml_root(doc)->item[0]->column, 8);
}
END_TEST

START_TEST(an_alias_is_a_copy)
{
    ck_assert_int_eq(parse("a: &x {k: [1, 2]}\nb: *x\nc: &x 7\nd: *x\n"),
                     MOE_OK);
    ck_assert_uint_eq(moe_diag_count(diag), 0);
    ck_assert_str_eq(at("b.k.1")->text, "2");
    ck_assert_int_eq(at("b.k.1")->line, 1);
    ck_assert_ptr_ne(at("a"), at("b"));
    ck_assert_str_eq(at("d")->text, "7");
    ck_assert_int_eq(moe_yaml_set(doc, "b.k.1", "9", diag), MOE_OK);
    ck_assert_str_eq(at("a.k.1")->text, "2");
}
END_TEST

/* Faults that leave a tree, and what is said of them. */
static const struct {
    const char *text;
    const char *message;
} mended[] = {
    {"a: 1\nb: 2\na: 3\n", "f:3:1: a: key given twice, first in line 1, "
                           "column 1, expected once"},
    {"x:\n  - {k: 1, k: 2}\n", "f:2:12: x[0].k: key given twice, first in "
                               "line 2, column 6, expected once"},
    {"[1, 2]: 3\n", "f:1:1: a list or map as a key, expected a name"},
    {"a: &x {b: 1}\n<<: *x\n", "f:2:1: merge keys (<<) are not supported, "
                               "expected the keys themselves"},
    {"a: !!int 5\n", "f:1:4: a: tag tag:yaml.org,2002:int: tags are not "
                     "supported, expected none"},
    {"a: !mine {b: 1}\n",
     "f:1:4: a: tag !mine: tags are not supported, expected none"},
    {"a: *x\n", "f:1:4: a: alias *x has no anchor &x before it, expected one"},
    {"a: &x [1, *x]\n", "f:1:11: a[1]: alias *x stands for what it is a part "
                        "of, expected another value"},
    {"a: \"x\\0y\"\n", "f:1:4: a: a NUL character in a text, expected none"},
    {"a: 1\n---\nb: 2\n", "f:2:1: a second document begins, expected one"},
};

START_TEST(a_fault_that_leaves_a_tree_is_reported_with_its_place)
{
    ck_assert_int_eq(parse(mended[_i].text), MOE_OK);
    ck_assert_uint_eq(moe_diag_count(diag), 1);
    ck_assert_str_eq(moe_diag_text(diag, 0), mended[_i].message);
}
END_TEST

/* Faults that leave none, and how what is said of them begins. */
static const struct {
    const char *text;
    const char *message;
} fatal[] = {
    {"", "f:1:1: the file is empty"},
    {"# only a note\n", "f:1:1: the file is empty"},
    {"---\n...\n", "f:1:1: the file is empty"},
    {"a:\n\tb: 1\n", "f:2:1: a: a tab in the indentation ("},
    {"a:\n  b: 1\n  \tc: 1\n", "f:3:3: "},
    {"a: b: c\n", "f:1:5: mapping values are not allowed"},
    {"a: [1, 2\nb: 3\n", "f:2:2: "},
    {"a: 'x\n", "f:2:1: a: found unexpected end of stream"},
    {"a: \xff\n", "f:1:4: byte 0xff is not UTF-8"},
    {"\xc3\xa4: \xc3(\n", "f:1:4: byte 0xc3 is not UTF-8"},
    {"\xff\xfe"
     "a",
     "f:1:1: byte 0xff is not UTF-8"},
    {"a: 1\r\nb: \x07\n", "f:2:4: control character 0x07"},
    {"a: \xef\xbf\xbf\n", "f:1:4: "},
    {"%TAG !x! y\n---\na: 1\n", "f:1:1: tags are not supported"},
};

START_TEST(a_fault_that_leaves_no_tree_is_reported_with_its_place)
{
    ck_assert_int_eq(parse(fatal[_i].text), MOE_ERR_INPUT);
    ck_assert_ptr_null(doc);
    ck_assert_uint_eq(moe_diag_count(diag), 1);
    ck_assert_int_eq(strncmp(moe_diag_text(diag, 0), fatal[_i].message,
                             strlen(fatal[_i].message)),
                     0);
    ck_assert_msg(strstr(moe_diag_text(diag, 0), ", expected ") != NULL, "%s",
                  moe_diag_text(diag, 0));
}
END_TEST

START_TEST(a_nul_byte_is_found_wherever_it_is)
{
    for (size_t i = 0; i < 9; i++) {
        char text[] = "a: 1\nb: 2\n";

        text[i] = '\0';
        ck_assert_int_eq(
            moe_yaml_parse("f", text, sizeof(text) - 1, diag, &doc),
            MOE_ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(moe_diag_text(diag, i), "a NUL byte"));
    }
}
END_TEST

START_TEST(all_faults_are_collected_in_one_pass)
{
    ck_assert_int_eq(parse("a: 1\na: 2\nb: !t 1\n<<: 3\nc: *no\nc: 1\nc: 2\n"),
                     MOE_OK);
    ck_assert_uint_eq(moe_diag_count(diag), 6);
    ck_assert_uint_eq(moe_yaml_root(doc)->n, 3);
    ck_assert_str_eq(at("a")->text, "1");
    ck_assert(at("c")->bad);
}
END_TEST

START_TEST(every_cut_of_a_good_file_is_read_or_refused_cleanly)
{
    const char *text = "a: &x [1, {b: 'c'}]\nd: *x\ne: |\n  t\n  u\n"
                       "f: \"\\u20ac\"\ng: ! z\n? [h]\n: i\n";

    for (size_t n = 0; n <= strlen(text); n++) {
        moe_status_t status = moe_yaml_parse("f", text, n, diag, &doc);

        ck_assert(status == MOE_OK || status == MOE_ERR_INPUT);
        ck_assert((status == MOE_OK) == (doc != NULL));
        ck_assert(doc != NULL || moe_diag_count(diag) > 0);
        moe_yaml_free(doc);
        doc = NULL;
    }
}
END_TEST

static void write_file(const char *path, const char *text, size_t size)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_path_that_is_no_file_is_refused_without_waiting)
{
    char folder[] = "/tmp/check_yaml.XXXXXX";
    char path[64];

    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/x", folder);
    ck_assert_int_eq(moe_yaml_read(path, diag, &doc), MOE_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(moe_diag_text(diag, 0), "No such file"));
    ck_assert_int_eq(moe_yaml_read(folder, diag, &doc), MOE_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(moe_diag_text(diag, 1), "is a folder"));
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(moe_yaml_read(path, diag, &doc), MOE_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(moe_diag_text(diag, 1), "is a pipe"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(moe_yaml_read("/dev/zero", diag, &doc), MOE_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(moe_diag_text(diag, 3), "is a device"));
    write_file(path, "a: 1\n", 5);
    ck_assert_int_eq(moe_yaml_read(path, diag, &doc), MOE_OK);
    ck_assert_str_eq(at("a")->text, "1");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* --- bounds ------------------------------------------------------------- */

/* Whether a text made of first, n times repeat, last is refused for a reason.
 */
static void check_bound(const char *first, const char *repeat, size_t n,
                        const char *last, const char *why)
{
    size_t unit = strlen(repeat);
    size_t size = strlen(first) + n * unit + strlen(last);
    char *text = malloc(size + 1);
    char *to = text;

    ck_assert_ptr_nonnull(text);
    to = stpcpy(to, first);
    for (size_t i = 0; i < n; i++) {
        to = stpcpy(to, repeat);
    }
    (void)strcpy(to, last);
    ck_assert_int_eq(moe_yaml_parse("f", text, size, diag, &doc),
                     MOE_ERR_INPUT);
    free(text);
    ck_assert_uint_eq(moe_diag_count(diag), 1);
    ck_assert_ptr_nonnull(strstr(moe_diag_text(diag, 0), why));
}

START_TEST(nesting_is_bounded)
{
    check_bound("a: ", "[", 100000, "",
                "nested deeper than 64 levels, expected ");
}
END_TEST

START_TEST(nesting_of_blocks_is_bounded)
{
    check_bound("", "- ", 100000, "x",
                "nested deeper than 64 levels, expected ");
}
END_TEST

START_TEST(nesting_through_aliases_is_bounded)
{
    char text[8192] = "a0: &a0 [x]\n";

    for (int i = 1; i < 100; i++) {
        size_t used = strlen(text);

        (void)snprintf(text + used, sizeof(text) - used, "a%d: &a%d [*a%d]\n",
                       i, i, i - 1);
    }
    check_bound(text, "", 0, "", "nested deeper than 64 levels, expected ");
}
END_TEST

START_TEST(what_aliases_stand_for_is_bounded)
{
    char text[2048] = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";

    for (int i = 1; i < 12; i++) {
        size_t used = strlen(text);

        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "*a%d,",
                                     i - 1);
        }
        (void)snprintf(text + used, sizeof(text) - used, "]\n");
    }
    check_bound(text, "", 0, "",
                "more than 200000 values, aliases counted as often as they "
                "stand, expected ");
}
END_TEST

START_TEST(text_through_aliases_is_bounded)
{
    check_bound("a: &a ", "0123456789", 100000,
                "\nb: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,"
                "*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]",
                "more than 32 MiB of text, aliases counted as often as they "
                "stand, expected ");
}
END_TEST

START_TEST(numbers_of_anchors_and_aliases_are_bounded)
{
    check_bound("[", "&a 1,", 257, "]", "more than 256 anchors, expected ");
    moe_diag_free(diag);
    diag = moe_diag_create();
    check_bound("[&a 1,", "*a,", 10001, "]",
                "more than 10000 aliases, expected ");
}
END_TEST

START_TEST(the_size_of_a_file_is_bounded)
{
    check_bound("a: 1\n", "# 0123456789012345678901234567890123456789\n",
                400000, "", "f:1:1: larger than 16 MiB, expected ");
}
END_TEST

START_TEST(many_equal_keys_are_told_apart_quickly)
{
    enum {
        KEYS = 20000
    };
    char *text = malloc(5 * KEYS);

    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < KEYS; i++) {
        memcpy(text + 5 * i, "k: 1\n", 5);
    }
    ck_assert_int_eq(moe_yaml_parse("f", text, 5 * KEYS, diag, &doc), MOE_OK);
    free(text);
    ck_assert_uint_eq(moe_diag_count(diag), KEYS - 1);
    ck_assert_uint_eq(moe_yaml_root(doc)->n, 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("yaml");
    TCase *t = tcase_create("reading");
    TCase *bounds = tcase_create("bounds");

    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, a_tree_has_values_kinds_and_places);
    tcase_add_test(t, columns_count_characters_and_a_byte_order_mark_is_none);
    tcase_add_test(t, an_alias_is_a_copy);
    tcase_add_loop_test(t,
                        a_fault_that_leaves_a_tree_is_reported_with_its_place,
                        0, sizeof(mended) / sizeof(mended[0]));
    tcase_add_loop_test(t,
                        a_fault_that_leaves_no_tree_is_reported_with_its_place,
                        0, sizeof(fatal) / sizeof(fatal[0]));
    tcase_add_test(t, a_nul_byte_is_found_wherever_it_is);
    tcase_add_test(t, all_faults_are_collected_in_one_pass);
    tcase_add_test(t, every_cut_of_a_good_file_is_read_or_refused_cleanly);
    tcase_add_test(t, a_path_that_is_no_file_is_refused_without_waiting);
    suite_add_tcase(s, t);

    tcase_set_timeout(bounds, 60);
    tcase_add_checked_fixture(bounds, set_up, tear_down);
    tcase_add_test(bounds, nesting_is_bounded);
    tcase_add_test(bounds, nesting_of_blocks_is_bounded);
    tcase_add_test(bounds, nesting_through_aliases_is_bounded);
    tcase_add_test(bounds, what_aliases_stand_for_is_bounded);
    tcase_add_test(bounds, text_through_aliases_is_bounded);
    tcase_add_test(bounds, numbers_of_anchors_and_aliases_are_bounded);
    tcase_add_test(bounds, the_size_of_a_file_is_bounded);
    tcase_add_test(bounds, many_equal_keys_are_told_apart_quickly);
    suite_add_tcase(s, bounds);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
