/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moesim list WHAT: what moesim knows, and what it says about it.
 */
#include "config.h"

#include "sim/options/command.h"

#include "reports/table.h"
#include "sim/list/list.h"
#include "sim/report/head.h"

#include <string.h>

static const struct {
    const char *name;
    const char *text;
    moe_status_t (*add)(json_t *items, moe_diag_t *diag);
} lists[] = {
#define MOE_LIST(id, text) {#id, text, moe_list_##id},
#include "sim/list/lists.def"
#undef MOE_LIST
};

#define LIST_COUNT (sizeof(lists) / sizeof(lists[0]))

static moe_status_t unknown_list(const char *what, moe_diag_t *diag)
{
    const char *names[LIST_COUNT];
    const char *near;
    char all[256] = "";
    size_t used = 0;
    size_t i;

    for (i = 0; i < LIST_COUNT; ++i) {
        names[i] = lists[i].name;
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
                                 i > 0 ? ", " : "", lists[i].name);
    }
    near = what != NULL ? moe_nearest(what, names, LIST_COUNT) : NULL;
    if (near != NULL) {
        moe_diag_add(diag, NULL, 0, 0, NULL,
                     "list '%s': unknown, did you mean '%s'?", what, near);
    } else {
        moe_diag_add(diag, NULL, 0, 0, NULL, "list%s%s%s: expected one of %s",
                     what != NULL ? " '" : "", what != NULL ? what : "",
                     what != NULL ? "': unknown" : " what?", all);
    }
    return MOE_ERR_INPUT;
}

static void put_cell(moe_table_t *table, const json_t *value)
{
    if (json_is_integer(value)) {
        moe_table_cell(table, MOE_STYLE_plain, "%" JSON_INTEGER_FORMAT,
                       json_integer_value(value));
    } else if (json_is_real(value)) {
        moe_table_cell(table, MOE_STYLE_plain, "%.6g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        moe_table_cell(table, MOE_STYLE_plain, "%s",
                       json_is_true(value) ? "yes" : "no");
    } else {
        const char *text = json_string_value(value);

        moe_table_cell(table, MOE_STYLE_plain, "%s",
                       text != NULL && *text != '\0' ? text : "-");
    }
}

/* Items as rows, their keys as columns. */
static moe_status_t print_table(json_t *items)
{
    moe_table_t *table = moe_table_create();
    moe_status_t status;
    const char *key;
    json_t *value;
    size_t i;

    if (table == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a table");
    }
    json_object_foreach(json_array_get(items, 0), key, value)
    {
        moe_table_column(table, key, json_is_number(value));
    }
    for (i = 0; i < json_array_size(items); ++i) {
        json_object_foreach(json_array_get(items, i), key, value)
        {
            put_cell(table, value);
        }
    }
    status = moe_table_text(table, false, stdout);
    moe_table_free(table);
    return status;
}

/* One fact of a card; continuation lines are indented alike. */
static void print_fact(const char *key, const char *text)
{
    printf("  %-12s ", key);
    for (; *text != '\0'; ++text) {
        putchar(*text);
        if (*text == '\n' && text[1] != '\0') {
            printf("%15s", "");
        }
    }
    putchar('\n');
}

static const char *yes_or_no(const json_t *card, const char *key)
{
    return json_is_true(json_object_get(card, key)) ? "yes" : "no";
}

static void print_cards(json_t *items)
{
    size_t i;
    size_t k;

    for (i = 0; i < json_array_size(items); ++i) {
        json_t *card = json_array_get(items, i);
        const json_t *options = json_object_get(card, "options");
        const char *key;
        json_t *value;

        printf("%s%s\n", i > 0 ? "\n" : "",
               json_string_value(json_object_get(card, "name")));
        json_object_foreach(card, key, value)
        {
            if (strcmp(key, "name") != 0 && json_is_string(value)) {
                print_fact(key, json_string_value(value));
            }
        }
        print_fact("capturable", yes_or_no(card, "capturable"));
        print_fact("drops", yes_or_no(card, "drops"));
        for (k = 0; k < json_array_size(options); ++k) {
            const json_t *o = json_array_get(options, k);

            printf("  option       %s: %s (default %s): %s\n",
                   json_string_value(json_object_get(o, "key")),
                   json_string_value(json_object_get(o, "choices")),
                   json_string_value(json_object_get(o, "default")),
                   json_string_value(json_object_get(o, "text")));
        }
    }
}

static moe_status_t print(const moe_command_t *command, const char *what,
                          json_t *items)
{
    bool only_json = command->json != NULL && strcmp(command->json, "-") == 0;
    moe_status_t status;
    json_t *document;

    document =
        json_pack("{s:s, s:s, s:s, s:s, s:[], s:s, s:O}", "schema",
                  "moesim-list-1", "moesim", PACKAGE_VERSION, "command", "list",
                  "status", "ok", "warnings", "what", what, "items", items);
    if (document == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a list");
    }
    status = moe_report_write_json(command, document);
    json_decref(document);
    if (status != MOE_OK || only_json || command->quiet) {
        return status;
    }
    if (strcmp(what, "methods") == 0) {
        print_cards(items);
        return MOE_OK;
    }
    return print_table(items);
}

static moe_status_t list(const moe_command_t *command, moe_diag_t *diag)
{
    const char *what = command->operand;
    moe_status_t status = MOE_OK;
    json_t *items;
    size_t i;

    for (i = 0; i < LIST_COUNT; ++i) {
        if (what != NULL && strcmp(what, lists[i].name) == 0) {
            break;
        }
    }
    if (i == LIST_COUNT) {
        return unknown_list(what, diag);
    }
    items = json_array();
    status = lists[i].add(items, diag);
    if (status == MOE_OK) {
        status = print(command, what, items);
    }
    json_decref(items);
    /* A file that cannot be read was told; the others are listed. */
    if (status == MOE_OK && moe_diag_count(diag) > 0) {
        status = MOE_ERR_INPUT;
    }
    return status;
}

int moe_cmd_list(const moe_command_t *command)
{
    moe_diag_t *diag = moe_diag_create();
    moe_status_t status =
        diag != NULL ? list(command, diag)
                     : moe_fail(MOE_ERR_NOMEM, "out of memory for a list");
    int exit_status = status != MOE_OK ? moe_command_failed(diag, status) : 0;

    moe_diag_free(diag);
    return exit_status;
}
