/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `faithful` means in numbers: a property of the systems modelled.
 */
#include "reports/results.h"

#include "reports/units.h"

#include <stdio.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "?";
}

static long long int_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* "relative L2 2.10e-03, at most 4 ulp, 12 of 64 elements"; a max_ulp of null
 * stands beside a NaN. */
static void put_distance(const json_t *d, long long compared, char *out,
                         size_t size)
{
    const json_t *l2 = json_object_get(d, "relative_l2");
    const json_t *ulp = json_object_get(d, "max_ulp");
    char norm[32] = "without end";
    char steps[32] = "NaN";

    if (json_is_number(l2)) {
        (void)snprintf(norm, sizeof(norm), "%.2e", json_number_value(l2));
    }
    if (json_is_number(ulp)) {
        (void)snprintf(steps, sizeof(steps), "%lld ulp", int_of(d, "max_ulp"));
    }
    (void)snprintf(out, size,
                   "relative L2 %s, at most %s, %lld of %lld element%s", norm,
                   steps, int_of(d, "elements_differing"), compared,
                   moe_unit_plural(compared));
}

static bool is_set(const json_t *method, const char *key)
{
    return json_is_object(json_object_get(method, key));
}

static void from_exact(const json_t *method, moe_line_func_t *line, void *self)
{
    char far[192];
    char text[512];

    put_distance(json_object_get(method, "to_exact"),
                 int_of(method, "elements_compared"), far, sizeof(far));
    (void)snprintf(text, sizeof(text), "%.128s: from exact: %s",
                   text_of(method, "label"), far);
    line(self, MOE_STYLE_plain, text);
}

static void from_first(const json_t *method, moe_line_func_t *line, void *self)
{
    const json_t *first = json_object_get(method, "to_first");
    char far[192];
    char text[512];

    put_distance(first, int_of(first, "elements_compared"), far, sizeof(far));
    (void)snprintf(text, sizeof(text), "%.128s: from %.128s: %s",
                   text_of(method, "label"), text_of(first, "method"), far);
    line(self, MOE_STYLE_plain, text);
}

/* Some method of a faithful run is one that exact takes. */
static bool is_faithful(const json_t *methods)
{
    for (size_t i = 0; i < json_array_size(methods); ++i) {
        if (is_set(json_array_get(methods, i), "to_exact")) {
            return true;
        }
    }
    return false;
}

void moe_results_faithful(const json_t *document, moe_line_func_t *line,
                          void *self)
{
    const json_t *methods = json_object_get(document, "methods");

    if (!is_faithful(methods)) {
        return;
    }
    line(self, MOE_STYLE_plain,
         "faithful: each method rounds where and in the order in which its "
         "system does, and so does the oracle. How far exact, which rounds a "
         "sum once, is from there, and the first method's output of all "
         "tokens (many ulp: sums that nearly cancel):");
    for (size_t i = 0; i < json_array_size(methods); ++i) {
        const json_t *method = json_array_get(methods, i);

        if (is_set(method, "to_exact")) {
            from_exact(method, line, self);
        }
        if (is_set(method, "to_first")) {
            from_first(method, line, self);
        }
    }
}
