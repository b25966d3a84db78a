/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/golden/read.h"

#include "base/infile.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MANIFEST_BYTES = 16 << 20, /* at most */
    RANKS_MAX = 65536,
    NESTED_MAX = 64
};

#define MANIFEST "manifest.json"

/* A manifest being read. */
typedef struct {
    moe_golden_t *golden;
    moe_diag_t *diag;
    char *text;
    size_t size;
    const char *key; /* of the entry of ranks[] at hand, for messages */
} reader_t;

/* Line and column of a key's first mention from an offset on; 1:1 if it is
 * nowhere. */
static void place_of(const reader_t *r, const char *key, int *line_p,
                     int *column_p)
{
    char *quoted = moe_strdup_printf("\"%s\"", key);
    const char *at = quoted != NULL
                         ? memmem(r->text, r->size, quoted, strlen(quoted))
                         : NULL;

    *line_p = *column_p = 1;
    for (const char *c = r->text; at != NULL && c < at; c++) {
        *column_p = *c == '\n' ? 1 : *column_p + 1;
        *line_p += *c == '\n';
    }
    free(quoted);
}

static void wrong(const reader_t *r, const char *key, const char *expected)
{
    char name[128];
    int line;
    int column;

    place_of(r, key, &line, &column);
    (void)snprintf(name, sizeof(name), "%s%s", r->key != NULL ? r->key : "",
                   key);
    moe_diag_add(r->diag, r->golden->path, line, column, name, "expected %s",
                 expected);
}

/* A name in the folder, not a way out of it. */
static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static char *read_name(const reader_t *r, const json_t *object, const char *key)
{
    const char *name = json_string_value(json_object_get(object, key));

    if (name == NULL || !is_plain_name(name)) {
        wrong(r, key, "the name of a file in the folder");
        return NULL;
    }
    return strdup(name);
}

static moe_range_t read_range(const reader_t *r, const json_t *object,
                              const char *key)
{
    const json_t *range = json_object_get(object, key);
    const json_t *first = json_array_get(range, 0);
    const json_t *last = json_array_get(range, 1);
    moe_range_t out = {(int64_t)json_integer_value(first),
                       (int64_t)json_integer_value(last)};

    if (json_array_size(range) != 2 || !json_is_integer(first) ||
        !json_is_integer(last) || out.begin < 0 || out.end < out.begin) {
        wrong(r, key, "[first, end], two integers from 0 in order");
        return (moe_range_t){0, 0};
    }
    return out;
}

static void read_rank(reader_t *r, const json_t *entry, moe_golden_rank_t *rank)
{
    const json_t *number = json_object_get(entry, "rank");
    const json_t *pairs = json_object_get(entry, "pairs");
    int64_t n = (int64_t)json_integer_value(number);

    if (!json_is_integer(number) || n < 0 || n >= RANKS_MAX) {
        wrong(r, "rank", "an integer from 0 to 65535");
        n = 0;
    }
    rank->rank = (int)n;
    rank->pairs = (int64_t)json_integer_value(pairs);
    if (!json_is_integer(pairs) || rank->pairs < 0) {
        wrong(r, "pairs", "an integer from 0");
    }
    rank->file = read_name(r, entry, "file");
    rank->tokens = read_range(r, entry, "tokens");
    rank->all_tokens = read_range(r, entry, "all_tokens");
    rank->experts = read_range(r, entry, "experts");
    if (rank->tokens.begin < rank->all_tokens.begin ||
        rank->tokens.end > rank->all_tokens.end) {
        wrong(r, "tokens", "a part of all_tokens");
    }
}

static moe_status_t read_ranks(reader_t *r, const json_t *list)
{
    size_t n = json_array_size(list);

    if (n == 0 || n > RANKS_MAX) {
        wrong(r, "ranks", "a list of 1 to 65536 ranks");
        return MOE_OK;
    }
    r->golden->rank = calloc(n, sizeof(*r->golden->rank));
    if (r->golden->rank == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a manifest");
    }
    for (size_t i = 0; i < n; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "ranks[%zu].", i);
        r->key = key;
        read_rank(r, json_array_get(list, i), &r->golden->rank[i]);
        r->golden->n_ranks = i + 1;
    }
    r->key = NULL;
    return MOE_OK;
}

static void read_scenario(reader_t *r, const json_t *scenario)
{
    const char *digest = json_string_value(json_object_get(scenario, "digest"));

    r->golden->scenario = read_name(r, scenario, "file");
    if (digest == NULL || strlen(digest) != 64 ||
        strspn(digest, "0123456789abcdef") != 64) {
        wrong(r, "digest", "64 hexadecimal digits");
        return;
    }
    memcpy(r->golden->digest, digest, 65);
}

static void read_formats(reader_t *r, const json_t *root)
{
    const char *dispatch = json_string_value(json_object_get(root, "dispatch"));
    const json_t *accumulator = json_object_get(root, "accumulator");
    const json_t *order = json_object_get(root, "order");
    const char *name = json_string_value(accumulator);

    if (dispatch == NULL || !moe_format_find(dispatch, &r->golden->dispatch)) {
        wrong(r, "dispatch", "the name of a format, see 'list formats'");
    }
    if (accumulator != NULL &&
        (name == NULL ||
         !moe_accumulator_find(name, &r->golden->accumulator))) {
        wrong(r, "accumulator",
              "fp32, fp32-tensor, fp8-hopper, fp8-hopper-128, fp16 or fp64");
    }
    if (order != NULL && !json_is_string(order)) {
        wrong(r, "order", "a text");
    }
    r->golden->order =
        strdup(json_is_string(order) ? json_string_value(order) : "exact");
}

static void read_sums(reader_t *r, const json_t *root)
{
    const json_t *as = json_object_get(root, "combine");

    if (as != NULL && !moe_golden_read_sums(as, &r->golden->sums)) {
        wrong(r, "combine", "{format: one with codes, global_scale: S}");
    }
}

/* Not there where experts lie in order. */
static moe_status_t read_slots(reader_t *r, const json_t *list)
{
    const size_t n = json_array_size(list);

    if (list == NULL) {
        return MOE_OK;
    }
    if (n == 0) {
        wrong(r, "physical_to_logical", "a list of experts");
        return MOE_OK;
    }
    r->golden->holds = calloc(n, sizeof(*r->golden->holds));
    if (r->golden->holds == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a manifest");
    }
    r->golden->n_holds = n;
    for (size_t i = 0; i < n; i++) {
        const json_t *expert = json_array_get(list, i);
        const json_int_t e = json_integer_value(expert);

        if (!json_is_integer(expert) || e < 0 || e > INT32_MAX) {
            wrong(r, "physical_to_logical", "numbers of experts");
            return MOE_OK;
        }
        r->golden->holds[i] = (int32_t)e;
    }
    return MOE_OK;
}

static moe_status_t read_root(reader_t *r, const json_t *root)
{
    moe_status_t status;
    const char *schema = json_string_value(json_object_get(root, "schema"));
    const json_t *seed = json_object_get(root, "seed");

    if (!json_is_object(root) || schema == NULL ||
        strcmp(schema, MOE_GOLDEN_SCHEMA) != 0) {
        wrong(r, "schema", "'" MOE_GOLDEN_SCHEMA "'");
        return MOE_OK;
    }
    if (!json_is_integer(seed) && !json_is_string(seed)) {
        wrong(r, "seed", "an integer");
    }
    r->golden->seed = json_is_string(seed)
                          ? strtoull(json_string_value(seed), NULL, 10)
                          : (uint64_t)json_integer_value(seed);
    r->golden->executed = json_is_object(json_object_get(root, "executed"));
    r->golden->gated = json_is_object(json_object_get(root, "gate"));
    read_scenario(r, json_object_get(root, "scenario"));
    read_formats(r, root);
    read_sums(r, root);
    status = read_slots(r, json_object_get(root, "physical_to_logical"));
    return status == MOE_OK ? read_ranks(r, json_object_get(root, "ranks"))
                            : status;
}

/* jansson recurses; nobody's manifest is as deep as that. */
static bool is_too_deep(const char *text, size_t size)
{
    int nested = 0;
    bool in_string = false;

    for (size_t i = 0; i < size; i++) {
        if (in_string) {
            in_string = text[i] != '"';
            i += text[i] == '\\';
            continue;
        }
        in_string = text[i] == '"';
        nested += (text[i] == '{' || text[i] == '[') -
                  (text[i] == '}' || text[i] == ']');
        if (nested > NESTED_MAX) {
            return true;
        }
    }
    return false;
}

static moe_status_t parse(reader_t *r)
{
    json_error_t error;
    json_t *root;
    moe_status_t status = MOE_OK;

    if (is_too_deep(r->text, r->size)) {
        wrong(r, "schema", "a manifest: this is nested too deeply");
        return MOE_ERR_INPUT;
    }
    root = json_loadb(r->text, r->size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a manifest");
    }
    if (root == NULL) {
        moe_diag_add(r->diag, r->golden->path, error.line, error.column, NULL,
                     "%s", error.text);
        return MOE_ERR_INPUT;
    }
    status = read_root(r, root);
    json_decref(root);
    return status == MOE_OK && moe_diag_count(r->diag) > 0 ? MOE_ERR_INPUT
                                                           : status;
}

static moe_status_t load(reader_t *r)
{
    const char *path = r->golden->path;
    const char *why;
    bool user;
    int64_t size = 0;
    int fd = moe_infile_open(path, &size, &why, &user);
    moe_status_t status = MOE_OK;

    if (fd < 0) {
        return moe_fail(user ? MOE_ERR_INPUT : MOE_ERR_IO, "%s: %s", path, why);
    }
    if (size > MANIFEST_BYTES) {
        status = moe_fail(MOE_ERR_INPUT,
                          "%s: %lld bytes, expected a manifest of at most 16 "
                          "MiB",
                          path, (long long)size);
    } else {
        r->text = malloc((size_t)size + 1);
    }
    if (status == MOE_OK && r->text == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for %s", path);
    }
    if (status == MOE_OK) {
        int64_t n = moe_infile_read(fd, r->text, (size_t)size, 0);

        r->size = n > 0 ? (size_t)n : 0;
        if (n < 0) {
            status = moe_fail(MOE_ERR_IO, "%s: %s", path, strerror(errno));
        }
    }
    (void)close(fd);
    return status;
}

static bool is_manifest_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strcmp(slash != NULL ? slash + 1 : path, MANIFEST) == 0;
}

bool moe_golden_is(const char *path)
{
    char *manifest;
    bool found;

    if (!moe_is_folder(path)) {
        return is_manifest_name(path);
    }
    manifest = moe_strdup_printf("%s/" MANIFEST, path);
    found = manifest != NULL && access(manifest, F_OK) == 0;
    free(manifest);
    return found;
}

static moe_status_t name_paths(const char *path, moe_golden_t *golden)
{
    const char *slash = strrchr(path, '/');

    if (moe_is_folder(path)) {
        golden->path = moe_strdup_printf("%s/" MANIFEST, path);
        golden->folder = strdup(path);
    } else {
        golden->path = strdup(path);
        golden->folder =
            slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path));
    }
    return golden->path != NULL && golden->folder != NULL
               ? MOE_OK
               : moe_fail(MOE_ERR_NOMEM, "no memory for a file name");
}

moe_status_t moe_golden_read(const char *path, moe_diag_t *diag,
                             moe_golden_t *golden_p)
{
    reader_t r = {.golden = golden_p, .diag = diag};
    moe_status_t status;

    *golden_p = (moe_golden_t){.accumulator = MOE_ACCUMULATOR_fp32};
    status = name_paths(path, golden_p);
    if (status == MOE_OK) {
        status = load(&r);
    }
    if (status == MOE_OK) {
        status = parse(&r);
    }
    free(r.text);
    return status;
}

void moe_golden_fini(moe_golden_t *golden)
{
    for (size_t i = 0; i < golden->n_ranks; i++) {
        free(golden->rank[i].file);
    }
    free(golden->rank);
    free(golden->path);
    free(golden->folder);
    free(golden->scenario);
    free(golden->order);
    free(golden->holds);
    moe_placed_fini(&golden->placed);
    *golden = (moe_golden_t){0};
}
