/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>

static moe_diag_t *diag;
static moe_yaml_doc_t *doc;

static void set_up(void)
{
    const char *text = "a: 1\nb: [1, {c: x}]\nn:\n"
                       "sweep: {workload.tokens: [1], workload: {s: 2}}\n";

    diag = moe_diag_create();
    doc = NULL;
    ck_assert_int_eq(moe_yaml_parse("f", text, strlen(text), diag, &doc),
                     MOE_OK);
}

static void tear_down(void)
{
    moe_yaml_free(doc);
    moe_diag_free(diag);
}

/* Write a tree as flow text, without places. */
static void dump(const moe_yaml_node_t *node, FILE *f)
{
    if (node->kind == MOE_YAML_SCALAR) {
        (void)fprintf(f, "%s", node->text);
        return;
    }
    (void)fputc(node->kind == MOE_YAML_MAP ? '{' : '[', f);
    for (size_t i = 0; i < node->n; i++) {
        if (node->kind == MOE_YAML_MAP) {
            (void)fprintf(f, "%s:", node->key[i]);
        }
        dump(node->item[i], f);
        (void)fputc(',', f);
    }
    (void)fputc(node->kind == MOE_YAML_MAP ? '}' : ']', f);
}

static void check_dump(const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(f);
    dump(moe_yaml_root(doc), f);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_str_eq(text, expected);
    free(text);
}

#define SWEEP "sweep:{workload.tokens:[1,],workload:{s:2,},},"

static const struct {
    const char *path;
    const char *value;
    const char *after;
} good[] = {
    {"a", "7", "{a:7,b:[1,{c:x,},],n:," SWEEP "}"},
    {"a", "[96, 64]", "{a:[96,64,],b:[1,{c:x,},],n:," SWEEP "}"},
    {"a", "", "{a:,b:[1,{c:x,},],n:," SWEEP "}"},
    {"a", "{p: {q: 1}}", "{a:{p:{q:1,},},b:[1,{c:x,},],n:," SWEEP "}"},
    {"b.0", "9", "{a:1,b:[9,{c:x,},],n:," SWEEP "}"},
    {"b.2", "9", "{a:1,b:[1,{c:x,},9,],n:," SWEEP "}"},
    {"b.1.c", "y", "{a:1,b:[1,{c:y,},],n:," SWEEP "}"},
    {"b.1.d.e", "y", "{a:1,b:[1,{c:x,d:{e:y,},},],n:," SWEEP "}"},
    {"b.2.d", "y", "{a:1,b:[1,{c:x,},{d:y,},],n:," SWEEP "}"},
    {"n.m", "y", "{a:1,b:[1,{c:x,},],n:{m:y,}," SWEEP "}"},
    {"x.y.z", "1", "{a:1,b:[1,{c:x,},],n:," SWEEP "x:{y:{z:1,},},}"},
    {"sweep.workload.tokens", "2",
     "{a:1,b:[1,{c:x,},],n:,sweep:{workload.tokens:2,workload:{s:2,},},}"},
    {"sweep.workload.s", "3",
     "{a:1,b:[1,{c:x,},],n:,sweep:{workload.tokens:[1,],workload:{s:3,},},}"},
};

START_TEST(a_value_is_set_where_the_path_leads)
{
    ck_assert_int_eq(moe_yaml_set(doc, good[_i].path, good[_i].value, diag),
                     MOE_OK);
    ck_assert_uint_eq(moe_diag_count(diag), 0);
    check_dump(good[_i].after);
}
END_TEST

static const struct {
    const char *path;
    const char *value;
    const char *message;
} bad[] = {
    {"", "1", "an empty part in a key path"},
    {".a", "1", ".a: an empty part in a key path"},
    {"a.", "1", "a.: an empty part in a key path"},
    {"x..y", "1", "x..y: an empty part in a key path"},
    {"a.b", "1", "a.b: nothing is below '1'"},
    {"b.c", "1", "b.c: 'c' is no place in a list"},
    {"b.-1", "1", "b.-1: '-1' is no place in a list"},
    {"b.3", "1", "b[3]: no place 3 in a list of 2"},
    {"b.99999999999999999999", "1", "b[99999999999999999999]: '999"},
    {"x.y", "[1,",
     "x.y[1]: did not find expected node content, expected a value"},
    {"x.y", "{k: 1, k: 2}", NULL},
    {"x.y", "a: b: c", "x.y: mapping values are not allowed"},
    {"x.y", "\x01", "x.y: control character"},
};

START_TEST(what_cannot_be_set_changes_nothing)
{
    moe_status_t status = moe_yaml_set(doc, bad[_i].path, bad[_i].value, diag);

    ck_assert_uint_eq(moe_diag_count(diag), 1);
    if (bad[_i].message == NULL) {
        /* a tree with a fault in it, as from a file */
        ck_assert_int_eq(status, MOE_OK);
        ck_assert_str_eq(moe_diag_text(diag, 0),
                         "x.y.k: key given twice, expected once");
        return;
    }
    ck_assert_int_eq(status, MOE_ERR_INPUT);
    ck_assert_int_eq(strncmp(moe_diag_text(diag, 0), bad[_i].message,
                             strlen(bad[_i].message)),
                     0);
    check_dump("{a:1,b:[1,{c:x,},],n:," SWEEP "}");
}
END_TEST

START_TEST(set_nodes_have_no_place)
{
    const moe_yaml_node_t *node;

    ck_assert_int_eq(moe_yaml_set(doc, "x.y", "{k: [1]}", diag), MOE_OK);
    node = moe_yaml_get(moe_yaml_get(moe_yaml_root(doc), "x"), "y");
    ck_assert_int_eq(node->line, 0);
    ck_assert_int_eq(node->key_line[0], 0);
    ck_assert_int_eq(node->key_column[0], 0);
    ck_assert_int_eq(node->item[0]->item[0]->column, 0);
}
END_TEST

START_TEST(nesting_of_path_and_value_together_is_bounded)
{
    char path[200] = "";
    char value[64] = "";

    for (int i = 0; i < 40; i++) {
        (void)strcat(path, i > 0 ? ".p" : "p");
    }
    memset(value, '[', 24);
    memset(value + 24, ']', 24);
    ck_assert_int_eq(moe_yaml_set(doc, path, value, diag), MOE_OK);
    memset(value, '[', 25);
    memset(value + 25, ']', 25);
    ck_assert_int_eq(moe_yaml_set(doc, path, value, diag), MOE_ERR_INPUT);
    for (int i = 40; i < 65; i++) {
        (void)strcat(path, ".p");
    }
    ck_assert_int_eq(moe_yaml_set(doc, path, "1", diag), MOE_ERR_INPUT);
}
END_TEST

START_TEST(a_document_can_be_made_of_changes_alone)
{
    moe_yaml_free(doc);
    doc = moe_yaml_create();
    ck_assert_ptr_nonnull(doc);
    for (int i = 0; i < 1000; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "k%d.x", i % 100);
        ck_assert_int_eq(moe_yaml_set(doc, path, "[1, 2]", diag), MOE_OK);
    }
    ck_assert_uint_eq(moe_yaml_root(doc)->n, 100);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("yaml_set");
    TCase *t = tcase_create("yaml_set");

    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, a_value_is_set_where_the_path_leads, 0,
                        sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(t, what_cannot_be_set_changes_nothing, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(t, set_nodes_have_no_place);
    tcase_add_test(t, nesting_of_path_and_value_together_is_bounded);
    tcase_add_test(t, a_document_can_be_made_of_changes_alone);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
