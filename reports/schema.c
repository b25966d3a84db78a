/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/schema.h"

#include <stdio.h>
#include <string.h>

#define PATH_MAX_BYTES 256

static const moe_report_field_t fields[] = {
#define MOE_REPORT_FIELD(path, type, when, unit, text)                         \
    {path, type, MOE_WHEN_##when, unit, text},
#include "reports/schema.def"
#undef MOE_REPORT_FIELD
};

/* Where a walk through a document stands. */
typedef struct {
    moe_diag_t *diag;
    bool run;     /* the command is run */
    bool refused; /* inside a method that was refused */
} walk_t;

size_t moe_report_field_count(void)
{
    return sizeof(fields) / sizeof(fields[0]);
}

const moe_report_field_t *moe_report_field(size_t i)
{
    return &fields[i];
}

const char *moe_report_when_name(moe_report_when_t when)
{
    static const char *const names[MOE_WHEN_COUNT] = {
        [MOE_WHEN_always] = "always", [MOE_WHEN_run] = "run",
        [MOE_WHEN_done] = "done",     [MOE_WHEN_judged] = "judged",
        [MOE_WHEN_maybe] = "maybe",
    };

    return names[when];
}

/* Key of a field that lies directly in the object of a path; 0 if it does
 * not. *depth_p: how many lists it is in. */
static size_t child_key(const moe_report_field_t *field, const char *path,
                        const char **key_p, int *depth_p)
{
    size_t n = strlen(path);
    const char *key = field->path;
    const char *end;

    if (n > 0) {
        if (strncmp(key, path, n) != 0 || key[n] != '.') {
            return 0;
        }
        key += n + 1;
    }
    n = strcspn(key, ".[");
    *depth_p = 0;
    for (end = key + n; strncmp(end, "[]", 2) == 0; end += 2) {
        ++*depth_p;
    }
    *key_p = key;
    return *end == '\0' ? n : 0;
}

static bool has_type(const json_t *value, const char *type)
{
    bool null = type[strlen(type) - 1] == '?';

    if (json_is_null(value)) {
        return null;
    }
    return (strncmp(type, "string", 6) == 0 && json_is_string(value)) ||
           (strncmp(type, "integer", 7) == 0 && json_is_integer(value)) ||
           (strstr(type, "or string") != NULL && json_is_string(value)) ||
           (strncmp(type, "number", 6) == 0 && json_is_number(value)) ||
           (strncmp(type, "boolean", 7) == 0 && json_is_boolean(value)) ||
           (strncmp(type, "object", 6) == 0 && json_is_object(value));
}

static void check_object(walk_t *walk, json_t *object, const char *path);

/* The values of one field, through the lists that hold them. */
static void check_value(walk_t *walk, json_t *value,
                        const moe_report_field_t *field, int depth)
{
    const bool point = strncmp(field->path, "sweep[].", 8) == 0;
    const bool same = point && (strcmp(field->path + 8, "methods[]") == 0 ||
                                strcmp(field->path + 8, "selection") == 0);
    size_t i;

    if (depth > 0) {
        if (!json_is_array(value)) {
            moe_diag_add(walk->diag, NULL, 0, 0, field->path,
                         "is no list, expected one of %s", field->type);
            return;
        }
        for (i = 0; i < json_array_size(value); ++i) {
            check_value(walk, json_array_get(value, i), field, depth - 1);
        }
        return;
    }
    if (!has_type(value, field->type)) {
        moe_diag_add(walk->diag, NULL, 0, 0, field->path,
                     "is of another type, expected %s", field->type);
    } else if (json_is_object(value)) {
        check_object(walk, value, same ? field->path + 8 : field->path);
    }
}

static bool is_required(const walk_t *walk, moe_report_when_t when)
{
    return when == MOE_WHEN_always || (when == MOE_WHEN_run && walk->run) ||
           (when == MOE_WHEN_done && !walk->refused) ||
           (when == MOE_WHEN_judged && walk->run && !walk->refused);
}

static void check_missing(walk_t *walk, json_t *object, const char *path)
{
    size_t i;

    for (i = 0; i < moe_report_field_count(); ++i) {
        const char *key;
        int depth;
        size_t n = child_key(&fields[i], path, &key, &depth);
        char name[PATH_MAX_BYTES];

        (void)snprintf(name, sizeof(name), "%.*s", (int)n, key);
        if (n > 0 && is_required(walk, fields[i].when) &&
            json_object_get(object, name) == NULL && name[0] != '<') {
            moe_diag_add(walk->diag, NULL, 0, 0, fields[i].path,
                         "is missing, expected %s", fields[i].type);
        }
    }
}

static void check_key(walk_t *walk, const char *path, const char *name,
                      json_t *value)
{
    size_t i;

    for (i = 0; i < moe_report_field_count(); ++i) {
        const char *key;
        int depth;
        size_t n = child_key(&fields[i], path, &key, &depth);

        if (n > 0 && (key[0] == '<' ||
                      (strncmp(key, name, n) == 0 && name[n] == '\0'))) {
            check_value(walk, value, &fields[i], depth);
            return;
        }
    }
    moe_diag_add(walk->diag, NULL, 0, 0, path, "has an unknown field '%s'",
                 name);
}

static void check_object(walk_t *walk, json_t *object, const char *path)
{
    bool refused = walk->refused;
    const char *name;
    json_t *value;

    if (strcmp(path, "methods[]") == 0) {
        walk->refused = json_object_get(object, "refused") != NULL;
    }
    check_missing(walk, object, path);
    json_object_foreach(object, name, value)
    {
        check_key(walk, path, name, value);
    }
    walk->refused = refused;
}

bool moe_report_check(json_t *document, moe_diag_t *diag)
{
    const char *command =
        json_string_value(json_object_get(document, "command"));
    const char *schema = json_string_value(json_object_get(document, "schema"));
    walk_t walk = {.diag = diag};
    size_t before = moe_diag_count(diag);

    walk.run = command != NULL && strcmp(command, "run") == 0;
    if (!json_is_object(document)) {
        moe_diag_add(diag, NULL, 0, 0, NULL, "the document is no object");
        return false;
    }
    if (schema == NULL || strcmp(schema, MOE_REPORT_SCHEMA) != 0) {
        moe_diag_add(diag, NULL, 0, 0, "schema", "is not " MOE_REPORT_SCHEMA);
    }
    check_object(&walk, document, "");
    return moe_diag_count(diag) == before;
}
