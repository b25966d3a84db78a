/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets the model's own number beside each published one that says which
 * method and quantity it is of.
 */
#include "config.h"

#include "sim/report/head.h"

#include "sim/report/method_json.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* True if the one key of a point, or all joined by blanks, has this value. */
static bool is_point(json_t *set, const char *at)
{
    const char *key;
    json_t *value;

    json_object_foreach(set, key, value)
    {
        const char *text = json_string_value(value);
        size_t n = strlen(text);

        if (strncmp(at, text, n) != 0) {
            return false;
        }
        at += n;
        at += *at == ' ';
    }
    return *at == '\0';
}

/* Methods of the point that a published number is of; NULL if it was not
 * priced. */
static const json_t *methods_at(const json_t *document, const char *at)
{
    const json_t *sweep = json_object_get(document, "sweep");

    if (at[0] == '\0') {
        return json_object_get(document, "methods");
    }
    for (size_t i = 0; i < json_array_size(sweep); ++i) {
        const json_t *point = json_array_get(sweep, i);

        if (is_point(json_object_get(point, "set"), at)) {
            return json_object_get(point, "methods");
        }
    }
    return NULL;
}

static double stage_us(const json_t *method, const char *stage)
{
    const json_t *stages = json_object_get(method, "by_stage");

    return json_number_value(
        json_object_get(json_object_get(stages, stage), "predicted_us"));
}

/* GB/s of what its system's tests count, over the time of what moves it. */
static double bandwidth(const json_t *method, const char *way, double us)
{
    return us <= 0.0 ? 0.0
                     : json_number_value(json_object_get(
                           json_object_get(method, "counted_bytes"), way)) /
                           us / 1e3;
}

static double dispatch_us(const json_t *method)
{
    return stage_us(method, "prepare") + stage_us(method, "permute");
}

static double combine_us(const json_t *method)
{
    return stage_us(method, "unpermute") + stage_us(method, "finalize");
}

static double dispatch_gbps(const json_t *method)
{
    return bandwidth(method, "dispatch", stage_us(method, "permute"));
}

static double dispatch_all_gbps(const json_t *method)
{
    return bandwidth(method, "dispatch", dispatch_us(method));
}

static double combine_gbps(const json_t *method)
{
    return bandwidth(method, "combine", stage_us(method, "unpermute"));
}

static double layer_us(const json_t *method)
{
    return json_number_value(json_object_get(method, "predicted_us"));
}

/* What a method's gate gave in the run; 0 where none ran. */
static double capacity(const json_t *method)
{
    return json_number_value(
        json_object_get(json_object_get(method, "gating"), "capacity"));
}

static double aux_loss(const json_t *method)
{
    return json_number_value(json_array_get(
        json_object_get(json_object_get(method, "gating"), "aux_loss"), 0));
}

static double pairs_kept(const json_t *method)
{
    const json_t *kept =
        json_object_get(json_object_get(method, "gating"), "kept");
    double pairs = 0.0;

    for (size_t r = 0; r < json_array_size(kept); ++r) {
        pairs += json_number_value(json_array_get(kept, r));
    }
    return pairs;
}

/* The list that the scenario's key `quantity` takes its words from. */
static const struct {
    const char *name;
    double (*of)(const json_t *method);
} quantities[] = {
#define MOE_QUANTITY(id) {#id, id},
#include "sim/scenario/quantity.def"
#undef MOE_QUANTITY
};

static double of_method(const json_t *method, const char *quantity)
{
    for (size_t i = 0; i < sizeof(quantities) / sizeof(quantities[0]); ++i) {
        if (strcmp(quantity, quantities[i].name) == 0) {
            return quantities[i].of(method);
        }
    }
    return 0.0;
}

/* A quantity of a method by label, 0 if it is not there. */
static double quantity_of(const json_t *methods, const char *label,
                          const char *quantity)
{
    for (size_t i = 0; i < json_array_size(methods); ++i) {
        const json_t *m = json_array_get(methods, i);

        if (strcmp(text_of(m, "label"), label) == 0) {
            return of_method(m, quantity);
        }
    }
    return 0.0;
}

/* In the published unit; 0 if there is nothing to compare. */
static double ours_of(const json_t *document, const json_t *p)
{
    const json_t *methods = methods_at(document, text_of(p, "at"));
    const char *quantity = text_of(p, "quantity");
    const double own = quantity_of(methods, text_of(p, "method"), quantity);
    double to;

    if (text_of(p, "to")[0] == '\0') {
        return own;
    }
    to = quantity_of(methods, text_of(p, "to"), quantity);
    if (to <= 0.0) {
        return 0.0;
    }
    return own / to * (strcmp(text_of(p, "unit"), "percent") == 0 ? 100 : 1);
}

moe_status_t moe_report_compare_published(json_t *document)
{
    json_t *list = json_object_get(document, "published");
    bool good = true;

    for (size_t i = 0; i < json_array_size(list) && good; ++i) {
        json_t *p = json_array_get(list, i);
        const double value = json_number_value(json_object_get(p, "value"));
        double ours;

        if (text_of(p, "method")[0] == '\0') {
            continue;
        }
        ours = ours_of(document, p);
        good = moe_json_set(p, "ours",
                            ours > 0.0 ? json_real(ours) : json_null()) &&
               moe_json_set(p, "ratio",
                            ours > 0.0 && value > 0.0 ? json_real(ours / value)
                                                      : json_null());
    }
    return good ? MOE_OK
                : moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
}
