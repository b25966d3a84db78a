/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml_value.h"

#include "base/checked.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXPONENT_MAX 100000 /* far beyond every type's range */

/* A decimal number taken apart; lengths in digits. */
typedef struct {
    bool negative;
    const char *whole;
    size_t n_whole;
    const char *fraction;
    size_t n_fraction;
    long exponent; /* clamped to +-EXPONENT_MAX */
} decimal_t;

static size_t count_digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* Take a number apart; false if text is none. */
static bool split(const char *s, decimal_t *d)
{
    bool negative;
    size_t n;

    memset(d, 0, sizeof(*d));
    d->negative = *s == '-';
    s += *s == '-' || *s == '+';
    d->whole = s;
    d->n_whole = count_digits(s);
    s += d->n_whole;
    if (*s == '.') {
        d->fraction = s + 1;
        d->n_fraction = count_digits(s + 1);
        s += 1 + d->n_fraction;
    }
    if (d->n_whole + d->n_fraction == 0) {
        return false;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        negative = *s == '-';
        s += *s == '-' || *s == '+';
        n = count_digits(s);
        if (n == 0) {
            return false;
        }
        for (; n > 0; n--, s++) {
            d->exponent = 10 * d->exponent + (*s - '0');
            d->exponent =
                d->exponent > EXPONENT_MAX ? EXPONENT_MAX : d->exponent;
        }
        d->exponent = negative ? -d->exponent : d->exponent;
    }
    return *s == '\0';
}

/* Digit i of whole and fraction together. */
static int digit_at(const decimal_t *d, size_t i)
{
    return (i < d->n_whole ? d->whole[i] : d->fraction[i - d->n_whole]) - '0';
}

static bool has_leading_zero(const decimal_t *d)
{
    return d->n_whole > 1 && d->whole[0] == '0';
}

/* v = 10 v - digit: negative, for that side reaches one farther. */
static bool push_digit(int64_t *v, int digit)
{
    return moe_mul_i64(*v, 10, v) && moe_add_i64(*v, -digit, v);
}

const char *moe_text_to_i64(const char *text, int64_t *value_p)
{
    const char *too_large = "does not fit 64 bits";
    decimal_t d;
    int64_t v = 0;
    long point; /* digits before the point, once the exponent has moved it */
    size_t n;

    if (!split(text, &d)) {
        return "expected an integer";
    }
    if (has_leading_zero(&d)) {
        return "expected an integer without leading zeros";
    }
    n = d.n_whole + d.n_fraction;
    if (n > EXPONENT_MAX) {
        return too_large;
    }
    point = (long)d.n_whole + d.exponent;
    for (long i = 0; i < (long)n; i++) {
        int digit = digit_at(&d, (size_t)i);

        if (i >= point && digit != 0) {
            return "expected an integer, found a fraction";
        }
        if (i < point && !push_digit(&v, digit)) {
            return too_large;
        }
    }
    for (long i = (long)n; i < point && v != 0; i++) {
        if (!push_digit(&v, 0)) {
            return too_large;
        }
    }
    if (!d.negative && !moe_mul_i64(v, -1, &v)) {
        return too_large;
    }
    *value_p = v;
    return NULL;
}

/* strtod() in the "C" locale, whatever the program's is. */
static double to_double(const char *text)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double v;

    if (c == (locale_t)0) {
        return strtod(text, NULL);
    }
    v = strtod_l(text, NULL, c);
    freelocale(c);
    return v;
}

const char *moe_text_to_double(const char *text, double *value_p)
{
    decimal_t d;
    double v;
    bool zero = true;

    if (!split(text, &d)) {
        return "expected a finite decimal number";
    }
    if (has_leading_zero(&d)) {
        return "expected a number without leading zeros";
    }
    v = to_double(text);
    if (isinf(v)) {
        return "is too large for a number of 64 bits";
    }
    for (size_t i = 0; i < d.n_whole + d.n_fraction; i++) {
        zero = zero && digit_at(&d, i) == 0;
    }
    if (v == 0.0 && !zero) {
        return "is too small for a number of 64 bits";
    }
    *value_p = v;
    return NULL;
}

const char *moe_text_to_bool(const char *text, bool *value_p)
{
    if (strcmp(text, "true") == 0) {
        *value_p = true;
        return NULL;
    }
    if (strcmp(text, "false") == 0) {
        *value_p = false;
        return NULL;
    }
    return "expected true or false";
}

bool moe_yaml_is_null(const moe_yaml_node_t *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};

    if (node->kind != MOE_YAML_SCALAR || node->quoted) {
        return false;
    }
    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++) {
        if (strcmp(node->text, nulls[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What a node is that was to be a value; expected[] is by found kind. */
static const char *refuse(const moe_yaml_node_t *node,
                          const char *const expected[4], bool quotes_too)
{
    if (node->kind == MOE_YAML_LIST) {
        return expected[0];
    }
    if (node->kind == MOE_YAML_MAP) {
        return expected[1];
    }
    if (moe_yaml_is_null(node)) {
        return expected[2];
    }
    return quotes_too && node->quoted ? expected[3] : NULL;
}

#define EXPECTED(what)                                                         \
    {                                                                          \
        "expected " what ", found a list", "expected " what ", found a map",   \
            "expected " what ", found nothing",                                \
            "expected " what ", found text in quotes"                          \
    }

const char *moe_yaml_i64(const moe_yaml_node_t *node, int64_t *value_p)
{
    static const char *const expected[4] = EXPECTED("an integer");
    const char *why = refuse(node, expected, true);

    return why != NULL ? why : moe_text_to_i64(node->text, value_p);
}

const char *moe_yaml_double(const moe_yaml_node_t *node, double *value_p)
{
    static const char *const expected[4] = EXPECTED("a number");
    const char *why = refuse(node, expected, true);

    return why != NULL ? why : moe_text_to_double(node->text, value_p);
}

const char *moe_yaml_bool(const moe_yaml_node_t *node, bool *value_p)
{
    static const char *const expected[4] = EXPECTED("true or false");
    const char *why = refuse(node, expected, true);

    return why != NULL ? why : moe_text_to_bool(node->text, value_p);
}

const char *moe_yaml_text(const moe_yaml_node_t *node, const char **text_p)
{
    static const char *const expected[4] = EXPECTED("a text");
    const char *why = refuse(node, expected, false);

    if (why == NULL) {
        *text_p = node->text;
    }
    return why;
}
