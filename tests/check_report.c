/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report document: the list of its fields, its page.
 */
#include "tests/support.h"

#include "reports/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a document made from the list of fields ----------------------------- */

/* Parent path, key and depth of lists of a field. */
static size_t split(const char *path, char *parent, char *key)
{
    const char *dot = strrchr(path, '.');
    size_t depth = 0;
    size_t n;

    (void)snprintf(parent, 128, "%.*s", dot != NULL ? (int)(dot - path) : 0,
                   path);
    (void)snprintf(key, 128, "%s", dot != NULL ? dot + 1 : path);
    for (n = strlen(key); n > 2 && strcmp(key + n - 2, "[]") == 0; n -= 2) {
        key[n - 2] = '\0';
        ++depth;
    }
    return depth;
}

static json_t *make_object(const char *path, const char *command);

static json_t *make_value(const moe_report_field_t *field, const char *command)
{
    bool same = strcmp(field->path, "sweep[].methods[]") == 0 ||
                strcmp(field->path, "sweep[].selection") == 0;

    if (strcmp(field->path, "schema") == 0) {
        return json_string(MOE_REPORT_SCHEMA);
    }
    if (strcmp(field->path, "command") == 0) {
        return json_string(command);
    }
    switch (field->type[0]) {
    case 'o':
        return make_object(field->path + (same ? 8 : 0), command);
    case 's':
        return json_string("text");
    case 'i':
        return json_integer(3);
    case 'b':
        return json_true();
    default:
        return json_real(0.5);
    }
}

/* An object with every field but `refused`. */
static json_t *make_object(const char *path, const char *command)
{
    json_t *object = json_object();
    size_t i;

    for (i = 0; i < moe_report_field_count(); ++i) {
        const moe_report_field_t *field = moe_report_field(i);
        char parent[128];
        char key[128];
        size_t depth = split(field->path, parent, key);
        json_t *value;

        if (strcmp(parent, path) != 0 || strcmp(key, "refused") == 0) {
            continue;
        }
        value = make_value(field, command);
        while (depth-- > 0) {
            value = json_pack("[o]", value);
        }
        ck_assert_int_eq(json_object_set_new(object, key, value), 0);
    }
    return object;
}

static size_t problems(json_t *document)
{
    moe_diag_t *diag = moe_diag_create();
    bool good = moe_report_check(document, diag);
    size_t n = moe_diag_count(diag);

    ck_assert_int_eq(good, n == 0);
    moe_diag_free(diag);
    return n;
}

/* The object that holds a field, and the field's key in it. */
static json_t *holder(json_t *document, const char *path, char *key)
{
    char parent[128];
    char rest[128];
    char *part;
    char *save = NULL;
    json_t *at = document;

    (void)split(path, parent, key);
    (void)snprintf(rest, sizeof(rest), "%s", parent);
    for (part = strtok_r(rest, ".", &save); part != NULL;
         part = strtok_r(NULL, ".", &save)) {
        char *list = strstr(part, "[]");

        if (list != NULL) {
            *list = '\0';
        }
        at = json_object_get(at, part);
        if (list != NULL) {
            at = json_array_get(at, 0);
        }
    }
    return at;
}

START_TEST(a_document_with_every_field_is_good)
{
    static const char *const commands[] = {"run", "price"};
    size_t i;

    for (i = 0; i < 2; ++i) {
        json_t *document = make_object("", commands[i]);

        ck_assert_uint_eq(problems(document), 0);
        json_decref(document);
    }
}
END_TEST

START_TEST(every_field_that_must_be_there_is_missed)
{
    size_t i;

    for (i = 0; i < moe_report_field_count(); ++i) {
        const moe_report_field_t *field = moe_report_field(i);
        json_t *document = make_object("", "run");
        char key[128];
        json_t *object = holder(document, field->path, key);
        bool needed = field->when != MOE_WHEN_maybe && key[0] != '<' &&
                      strncmp(field->path, "command", 8) != 0;

        ck_assert_ptr_nonnull(object);
        (void)json_object_del(object, key);
        if (needed) {
            ck_assert_msg(problems(document) > 0, "%s", field->path);
        }
        json_decref(document);
    }
}
END_TEST

START_TEST(every_field_of_another_type_is_noticed)
{
    size_t i;

    for (i = 0; i < moe_report_field_count(); ++i) {
        const moe_report_field_t *field = moe_report_field(i);
        json_t *document = make_object("", "run");
        char key[128];
        json_t *object = holder(document, field->path, key);

        /* No field may be a list of lists of lists. */
        (void)json_object_set_new(object, key, json_pack("[[[i]]]", 1));
        ck_assert_msg(problems(document) > 0, "%s", field->path);
        json_decref(document);
    }
}
END_TEST

START_TEST(an_unknown_field_is_noticed)
{
    json_t *document = make_object("", "price");

    (void)json_object_set_new(
        json_array_get(json_object_get(document, "methods"), 0), "speed",
        json_integer(1));
    ck_assert_uint_eq(problems(document), 1);
    json_decref(document);
}
END_TEST

START_TEST(a_refused_method_needs_no_result)
{
    json_t *document = make_object("", "run");

    (void)json_array_append_new(json_object_get(document, "methods"),
                                json_pack("{s:s, s:s, s:{}, s:s}", "name", "a",
                                          "label", "a", "options", "refused",
                                          "no reason"));
    ck_assert_uint_eq(problems(document), 0);
    json_decref(document);
}
END_TEST

START_TEST(the_page_has_one_row_for_each_field_in_order)
{
    FILE *page = fopen(moe_test_source("doc/report.md"), "r");
    char line[512];
    char want[512];
    size_t i = 0;

    ck_assert_ptr_nonnull(page);
    while (fgets(line, sizeof(line), page) != NULL) {
        const moe_report_field_t *f;

        if (strncmp(line, "| `", 3) != 0) {
            continue;
        }
        ck_assert_uint_lt(i, moe_report_field_count());
        f = moe_report_field(i++);
        (void)snprintf(want, sizeof(want), "| `%s` | %s | %s | %s | %s |\n",
                       f->path, f->type, moe_report_when_name(f->when), f->unit,
                       f->text);
        ck_assert_str_eq(line, want);
    }
    (void)fclose(page);
    ck_assert_uint_eq(i, moe_report_field_count());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tcase = tcase_create("fields");

    tcase_add_test(tcase, a_document_with_every_field_is_good);
    tcase_add_test(tcase, every_field_that_must_be_there_is_missed);
    tcase_add_test(tcase, every_field_of_another_type_is_noticed);
    tcase_add_test(tcase, an_unknown_field_is_noticed);
    tcase_add_test(tcase, a_refused_method_needs_no_result);
    tcase_add_test(tcase, the_page_has_one_row_for_each_field_in_order);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
