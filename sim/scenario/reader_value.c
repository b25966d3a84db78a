/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/scenario/reader.h"

#include "base/text.h"
#include "models/machine.h"
#include "sim/scenario/number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *moe_at_text(const moe_at_t *at, const char *expected)
{
    const moe_yaml_node_t *node = at->node;

    if (!moe_at_expect(at, MOE_YAML_SCALAR, expected)) {
        return NULL;
    }
    if (node->text[0] == '\0' ||
        (!node->quoted &&
         (strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0))) {
        moe_at_error(at, "has no value, expected %s", expected);
        return NULL;
    }
    return node->text;
}

/* Text of a number: numbers in quotes are text. */
static const char *number_text(const moe_at_t *at, const char *expected)
{
    const char *text = moe_at_text(at, expected);

    if (text != NULL && at->node->quoted) {
        moe_at_error(at, "is the text \"%.100s\", expected %s", text, expected);
        return NULL;
    }
    return text;
}

bool moe_at_int64(const moe_at_t *at, int64_t low, int64_t high,
                  int64_t *value_p)
{
    char expected[96];
    const char *text;
    int64_t value;

    if (low == high) {
        (void)snprintf(expected, sizeof(expected), "%lld", (long long)low);
    } else {
        (void)snprintf(expected, sizeof(expected),
                       "a whole number from %lld to %lld", (long long)low,
                       (long long)high);
    }
    text = number_text(at, expected);
    if (text == NULL) {
        return false;
    }
    if (!moe_number_int64(text, &value) || value < low || value > high) {
        moe_at_error(at, "is '%.100s', expected %s", text, expected);
        return false;
    }
    *value_p = value;
    return true;
}

static bool read_integer(const moe_at_t *at, const moe_key_t *key,
                         void *value_p)
{
    int64_t value;
    int small;

    if (!moe_at_int64(at, (int64_t)key->low, (int64_t)key->high, &value)) {
        return false;
    }
    if (key->type == MOE_TYPE_int) {
        small = (int)value;
        memcpy(value_p, &small, sizeof(small));
    } else {
        memcpy(value_p, &value, sizeof(value));
    }
    return true;
}

static bool read_uint64(const moe_at_t *at, void *value_p)
{
    static const char expected[] = "a whole number from 0 to 2^64 - 1";
    const char *text = number_text(at, expected);
    uint64_t value;

    if (text == NULL) {
        return false;
    }
    if (!moe_number_uint64(text, &value)) {
        moe_at_error(at, "is '%.100s', expected %s", text, expected);
        return false;
    }
    memcpy(value_p, &value, sizeof(value));
    return true;
}

static bool read_number(const moe_at_t *at, const moe_key_t *key, void *value_p)
{
    char expected[96];
    const char *text;
    double value;
    float narrow;

    (void)snprintf(expected, sizeof(expected), "a number from %g to %g",
                   key->low, key->high);
    text = number_text(at, expected);
    if (text == NULL) {
        return false;
    }
    if (!moe_number_double(text, &value) || value < key->low ||
        value > key->high) {
        moe_at_error(at, "is '%.100s', expected %s", text, expected);
        return false;
    }
    if (key->type == MOE_TYPE_float) {
        narrow = strtof(text, NULL);
        memcpy(value_p, &narrow, sizeof(narrow));
    } else {
        memcpy(value_p, &value, sizeof(value));
    }
    return true;
}

static bool read_bool(const moe_at_t *at, void *value_p)
{
    const char *text = number_text(at, "true or false");
    bool value;

    if (text == NULL) {
        return false;
    }
    value = strcmp(text, "true") == 0;
    if (!value && strcmp(text, "false") != 0) {
        moe_at_error(at, "is '%.100s', expected true or false", text);
        return false;
    }
    memcpy(value_p, &value, sizeof(value));
    return true;
}

#define WORDS_MAX 64

static bool read_choice(const moe_at_t *at, const moe_key_t *key, void *value_p)
{
    char expected[1024] = "one of";
    char word[WORDS_MAX][64];
    const char *names[WORDS_MAX];
    size_t n = 0;
    int value;

    while (n < WORDS_MAX &&
           moe_words_get(key->words, (int)n, word[n], sizeof(word[n]))) {
        size_t length = strlen(expected);

        (void)snprintf(expected + length, sizeof(expected) - length, "%s %s",
                       n > 0 ? "," : "", word[n]);
        names[n] = word[n];
        n++;
    }
    value = moe_at_name(at, expected, names, n);
    if (value < 0) {
        return false;
    }
    memcpy(value_p, &value, sizeof(value));
    return true;
}

bool moe_at_is_plain(const moe_at_t *at, const char *text)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (text[0] == '.' || text[0] == '-' ||
        strspn(text, legal) != strlen(text)) {
        moe_at_error(at,
                     "is '%.100s', expected letters, digits, '.', '-', '_', "
                     "the first a letter or a digit",
                     text);
        return false;
    }
    return true;
}

static bool read_text(const moe_at_t *at, const moe_key_t *key, void *value_p,
                      size_t size)
{
    const char *text = moe_at_text(at, key->text);

    if (text == NULL) {
        return false;
    }
    if (strlen(text) >= size) {
        moe_at_error(at, "has %zu characters, expected at most %zu",
                     strlen(text), size - 1);
        return false;
    }
    if (key->words == moe_words_plain) {
        if (!moe_at_is_plain(at, text)) {
            return false;
        }
    } else if (key->words != NULL && moe_words_find(key->words, text) < 0) {
        moe_at_error(at, "is '%.100s', expected one of: %s", text, key->words);
        return false;
    }
    memcpy(value_p, text, strlen(text) + 1);
    return true;
}

/* A constant's own number has the range of its key. */
static void check_range(const moe_at_t *at, const moe_key_t *key, double value)
{
    moe_at_t place = moe_at_key(at, "value");

    if (value < key->low || value > key->high) {
        moe_at_error(&place, "is %g, expected a number from %g to %g", value,
                     key->low, key->high);
    }
}

static bool read_constant(const moe_at_t *at, const moe_key_t *key,
                          void *value_p)
{
    moe_constant_t constant = {0};
    size_t before = moe_diag_count(at->source->diag);

    if (!moe_at_expect(at, MOE_YAML_MAP,
                       "a map {value, error, kind, source}")) {
        return false;
    }
    moe_at_section(at, MOE_SECTION_constant, &constant);
    if (moe_diag_count(at->source->diag) == before) {
        check_range(at, key, constant.value);
    }
    memcpy(value_p, &constant, sizeof(constant));
    return moe_diag_count(at->source->diag) == before;
}

bool moe_at_value(const moe_at_t *at, const moe_key_t *key, void *value_p,
                  size_t size)
{
    switch (key->type) {
    case MOE_TYPE_int:
    case MOE_TYPE_int64:
        return read_integer(at, key, value_p);
    case MOE_TYPE_uint64:
        return read_uint64(at, value_p);
    case MOE_TYPE_float:
    case MOE_TYPE_number:
        return read_number(at, key, value_p);
    case MOE_TYPE_bool:
        return read_bool(at, value_p);
    case MOE_TYPE_choice:
        return read_choice(at, key, value_p);
    case MOE_TYPE_text:
        return read_text(at, key, value_p, size);
    case MOE_TYPE_constant:
        return read_constant(at, key, value_p);
    default: /* maps and lists are read by hand */
        return true;
    }
}

bool moe_key_standard(const moe_key_t *key, void *value_p, size_t size)
{
    char text[64];
    moe_yaml_node_t node = {.kind = MOE_YAML_SCALAR, .text = text};
    moe_at_t at = {.node = &node};

    if (key->standard == NULL || key->standard[0] == '=' ||
        key->standard[0] == '\0' || strlen(key->standard) >= sizeof(text)) {
        return false;
    }
    memcpy(text, key->standard, strlen(key->standard) + 1);
    return moe_at_value(&at, key, value_p, size);
}

char *moe_at_file(const moe_at_t *at)
{
    const char *text = moe_at_text(at, "the path of a file");
    char *joined;
    char *path;

    if (text == NULL) {
        return NULL;
    }
    joined = text[0] == '/'
                 ? strdup(text)
                 : moe_strdup_printf("%s/%s", at->source->folder, text);
    path = joined == NULL ? NULL : realpath(joined, NULL);
    free(joined);
    if (path == NULL || access(path, R_OK) != 0) {
        moe_at_error(at, "cannot be read: '%.200s': %s, expected a file", text,
                     strerror(errno));
        free(path);
        return NULL;
    }
    return path;
}
