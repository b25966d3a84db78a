/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/check.h"

#include "reports/units.h"

#include <stdarg.h>
#include <string.h>

/* Text that grows; what has no room is cut off. */
typedef struct {
    char *out;
    size_t size;
    size_t used;
} text_t;

static void say(text_t *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(text_t *text, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(text->out + text->used, text->size - text->used, format, ap);
    va_end(ap);
    text->used += n > 0 ? (size_t)n : 0;
    text->used = text->used < text->size ? text->used : text->size - 1;
}

static long long count(json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static double real(json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* A number, or the word that stands for one in JSON. */
static const char *value(const json_t *object, const char *key, char text[32])
{
    const json_t *v = json_object_get(object, key);

    if (json_is_string(v)) {
        return json_string_value(v);
    }
    (void)snprintf(text, 32, "%.9g", json_number_value(v));
    return text;
}

static bool has(json_t *object, const char *key)
{
    return json_object_get(object, key) != NULL;
}

/* Of codes and of scales: by how many steps; of ids, which have none, whether
 * logits nearly tie. */
static void say_steps(text_t *t, long long differ, long long ties,
                      long long one, long long more)
{
    if (differ > 0 && one + more == 0) {
        say(t, " (%lld near tie%s, %lld true error%s)", ties,
            moe_unit_plural(ties), differ - ties,
            moe_unit_plural(differ - ties));
    } else if (differ > 0) {
        say(t, " (%lld near tie%s; %lld by one step, %lld by more)", ties,
            moe_unit_plural(ties), one, more);
    }
}

static void say_codes(text_t *t, json_t *f)
{
    say(t, "%lld of %lld codes differ", count(f, "differ"),
        count(f, "elements"));
    say_steps(t, count(f, "differ"), count(f, "near_ties"),
              count(f, "one_step"), count(f, "more_steps"));
    if (count(f, "in_budget") > 0) {
        say(t, ", %lld in the profile's budget of other machines",
            count(f, "in_budget"));
    }
    if (has(f, "scales")) {
        say(t, ", %lld of %lld scales", count(f, "scales_differ"),
            count(f, "scales"));
        say_steps(t, count(f, "scales_differ"), count(f, "scales_near_ties"),
                  count(f, "scales_one_step"), count(f, "scales_more_steps"));
    }
    if (count(f, "rescaled") > 0) {
        say(t, ", %lld right codes of wrong scales", count(f, "rescaled"));
    }
}

static void say_numbers(text_t *t, json_t *f)
{
    say(t, "%lld element%s", count(f, "elements"),
        moe_unit_plural(count(f, "elements")));
    if (has(f, "max_ulp")) {
        say(t, ", max %lld ulp", count(f, "max_ulp"));
    }
    if (has(f, "relative_l2")) {
        say(t, ", L2 %.2g", real(f, "relative_l2"));
    }
    if (has(f, "calc_diff")) {
        say(t, ", calc_diff %.2g", real(f, "calc_diff"));
    }
    if (count(f, "beyond_likely") > 0) {
        say(t, ", %lld beyond the likely, %lld beyond the hard bound",
            count(f, "beyond_likely"), count(f, "beyond_hard"));
    }
    if (count(f, "rows_beyond") > 0) {
        say(t, ", %lld row%s beyond", count(f, "rows_beyond"),
            moe_unit_plural(count(f, "rows_beyond")));
    }
    if (count(f, "nans") + count(f, "infinities") > 0) {
        say(t, ", %lld NaN, %lld infinite", count(f, "nans"),
            count(f, "infinities"));
    }
    if (has(f, "bound") &&
        strcmp(json_string_value(json_object_get(f, "bound")), "weak") == 0) {
        say(t, "; hard bound weak (%.2g of |ref|)", real(f, "bound_over_ref"));
    }
}

void moe_check_words(json_t *finding, char *out, size_t size)
{
    const char *kind = json_string_value(json_object_get(finding, "kind"));
    const char *what = json_string_value(json_object_get(finding, "what"));
    text_t t = {out, size, 0};

    out[0] = '\0';
    if (what != NULL) {
        say(&t, "%s: %s", kind, what);
    } else if (strcmp(kind, "codes") == 0) {
        say_codes(&t, finding);
    } else if (strcmp(kind, "exact") == 0) {
        say(&t, "%lld of %lld bytes differ", count(finding, "differ"),
            count(finding, "bytes"));
    } else if (strcmp(kind, "numbers") == 0 || strcmp(kind, "floats") == 0) {
        say_numbers(&t, finding);
    } else {
        say(&t, "%s", kind);
    }
}

/* Of two runs the first row that differs. */
static void say_first(text_t *t, json_t *finding, json_t *first)
{
    say(t, "first in row %lld, column %lld", count(first, "row"),
        count(first, "column"));
    if (has(first, "token")) {
        say(t, ", token %lld", count(first, "token"));
    }
    if (has(first, "src_token") && has(first, "src_rank")) {
        say(t, ", token %lld of rank %lld", count(first, "src_token"),
            count(first, "src_rank"));
    } else if (has(first, "src_token")) {
        say(t, ", src_token %lld", count(first, "src_token"));
    }
    if (has(first, "expert")) {
        say(t, ", expert %lld", count(first, "expert"));
    }
    if (has(first, "physical_expert")) {
        say(t, " (physical %lld)", count(first, "physical_expert"));
    }
    if (has(finding, "rank")) {
        say(t, ", rank %lld", count(finding, "rank"));
    }
}

void moe_check_place(json_t *finding, char *out, size_t size)
{
    json_t *worst = json_object_get(finding, "worst");
    json_t *first = json_object_get(finding, "first");
    text_t t = {out, size, 0};

    out[0] = '\0';
    if (json_is_object(first)) {
        say_first(&t, finding, first);
    }
    if (worst == NULL) {
        return;
    }
    say(&t, "token %lld", count(worst, "token"));
    if (has(worst, "expert")) {
        say(&t, ", expert %lld", count(worst, "expert"));
    }
    if (has(worst, "physical_expert")) {
        say(&t, " (physical %lld)", count(worst, "physical_expert"));
    }
    if (has(finding, "rank")) {
        say(&t, ", rank %lld", count(finding, "rank"));
    }
    if (json_is_integer(json_object_get(worst, "got"))) {
        say(&t, ", column %lld: got %lld, want %lld", count(worst, "column"),
            count(worst, "got"), count(worst, "want"));
    } else if (has(worst, "column")) {
        char got[32];
        char want[32];

        say(&t, ", column %lld: got %s, want %s", count(worst, "column"),
            value(worst, "got", got), value(worst, "want", want));
    } else {
        say(&t, ": the row's errors add up to %.3g times what is likely",
            real(worst, "ratio"));
    }
}
