/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/results.h"

#include "reports/units.h"

#include <stdarg.h>
#include <string.h>

enum {
    STAGES = 5 /* of a layer */
};

typedef struct {
    moe_line_func_t *line;
    void *self;
} notes_t;

static void say(const notes_t *notes, moe_style_t style, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

static void say(const notes_t *notes, moe_style_t style, const char *format,
                ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    notes->line(notes->self, style, text);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "?";
}

static long long int_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* Stages that were executed, unless all were: "; only prepare, permute". */
static const char *put_stages(const json_t *document, char *out, size_t size)
{
    const json_t *stages = json_object_get(document, "stages");
    size_t n = json_array_size(stages);
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; n < STAGES && i < n && used < size; ++i) {
        used += (size_t)snprintf(out + used, size - used, "%s%s",
                                 i == 0 ? "; executed only " : ", ",
                                 json_string_value(json_array_get(stages, i)));
    }
    return out;
}

void moe_results_title(json_t *document, char *out, size_t size)
{
    const json_t *layout = json_object_get(document, "layout");
    const json_t *machine = json_object_get(document, "machine");

    long long ranks = int_of(document, "ranks");
    long long tokens = int_of(document, "tokens_total");
    char stages[96];
    size_t points = json_array_size(json_object_get(document, "sweep"));
    char of[96] = "";

    if (points > 0) {
        (void)snprintf(of, sizeof(of),
                       moe_results_has_base(document)
                           ? " at the base point and a sweep of %zu more"
                           : " at the first point of %zu",
                       points);
    }
    (void)snprintf(
        out, size,
        "%s: %s%s%s, %lld rank%s (dp %lld, tp %lld, ep %lld), %lld token%s%s, "
        "%s, %s%s",
        text_of(json_object_get(document, "scenario"), "name"),
        text_of(json_object_get(document, "model"), "name"),
        json_is_object(machine) ? " on " : "",
        json_is_object(machine) ? text_of(machine, "name") : "", ranks,
        moe_unit_plural(ranks), int_of(layout, "dp"), int_of(layout, "tp"),
        int_of(layout, "ep"), tokens, moe_unit_plural(tokens), of,
        text_of(document, "phase"), text_of(document, "numerics"),
        put_stages(document, stages, sizeof(stages)));
}

/* Each refusal once, however many points repeat it. */
static void refusals(const json_t *methods, json_t *seen, const notes_t *notes)
{
    size_t i;

    for (i = 0; i < json_array_size(methods); ++i) {
        const json_t *method = json_array_get(methods, i);
        const char *label = text_of(method, "label");
        const char *why = json_string_value(json_object_get(method, "refused"));

        if (why != NULL && json_object_get(seen, label) == NULL) {
            say(notes, MOE_STYLE_weak, "refused: %s: %s", label, why);
            (void)json_object_set_new(seen, label, json_true());
        }
    }
}

static void all_refusals(json_t *document, const notes_t *notes)
{
    const json_t *sweep = json_object_get(document, "sweep");
    json_t *seen = json_object();
    size_t i;

    refusals(json_object_get(document, "methods"), seen, notes);
    for (i = 0; i < json_array_size(sweep); ++i) {
        refusals(json_object_get(json_array_get(sweep, i), "methods"), seen,
                 notes);
    }
    json_decref(seen);
}

static bool any_tied(const json_t *methods)
{
    size_t i;

    for (i = 0; i < json_array_size(methods); ++i) {
        if (moe_results_tied(methods, i)) {
            return true;
        }
    }
    return false;
}

/* "; not told apart from A, B: ..." or nothing. */
static void put_tied(const json_t *methods, char *out, size_t size)
{
    size_t used = 0;
    size_t i;

    out[0] = '\0';
    for (i = 0; i < json_array_size(methods) && used < size; ++i) {
        if (moe_results_tied(methods, i)) {
            int n = snprintf(out + used, size - used, "%s%s",
                             used == 0 ? "; not told apart from " : ", ",
                             text_of(json_array_get(methods, i), "label"));

            used += n > 0 ? (size_t)n : 0;
        }
    }
    if (used > 0 && used < size) {
        (void)snprintf(out + used, size - used,
                       ": the 90 %% intervals overlap");
    }
}

static void fastest(json_t *document, const notes_t *notes)
{
    const json_t *methods = json_object_get(document, "methods");
    int best = moe_results_fastest(methods);
    const json_t *method = json_array_get(methods, best < 0 ? 0 : (size_t)best);
    const json_t *first = json_array_get(methods, 0);
    double us = json_number_value(json_object_get(method, "predicted_us"));
    double first_us = json_number_value(json_object_get(first, "predicted_us"));
    char text[MOE_UNIT_SIZE];
    char times[128] = "";
    char tied[512];

    if (best < 0 || json_array_size(methods) < 2) {
        return;
    }
    if (best > 0 && first_us > us) {
        (void)snprintf(times, sizeof(times), ": %.2f times as fast as %.64s",
                       first_us / us, text_of(first, "label"));
    }
    put_tied(methods, tied, sizeof(tied));
    say(notes, MOE_STYLE_plain, "%s: %s, %s%s%s",
        tied[0] == '\0' ? "fastest, predicted" : "lowest prediction",
        text_of(method, "label"), moe_unit_us(us, text), times, tied);
}

/* Values of a point's keys: "128", or "deepseek-r1 128". */
static size_t put_point(json_t *set, char *out, size_t size)
{
    const char *blank = "";
    const char *name;
    size_t used = 0;
    json_t *value;

    json_object_foreach(set, name, value)
    {
        int n = snprintf(out + used, size - used, "%s%s", blank,
                         json_string_value(value));

        if (n < 0 || used + (size_t)n >= size) {
            return used;
        }
        used += (size_t)n;
        blank = " ";
    }
    return used;
}

/* The points of a sweep at which a method is lowest: clear of all others, or
 * tied with some. */
static void fastest_at(const json_t *sweep, const char *label, bool tied,
                       const notes_t *notes)
{
    char text[768] = "";
    size_t used = 0;
    size_t i;

    for (i = 0; i < json_array_size(sweep) && used + 64 < sizeof(text); ++i) {
        const json_t *point = json_array_get(sweep, i);
        const json_t *methods = json_object_get(point, "methods");
        int best = moe_results_fastest(methods);

        if (best < 0 || any_tied(methods) != tied ||
            strcmp(text_of(json_array_get(methods, (size_t)best), "label"),
                   label) != 0) {
            continue;
        }
        if (used > 0) {
            text[used++] = ',';
            text[used++] = ' ';
        }
        used += put_point(json_object_get(point, "set"), text + used,
                          sizeof(text) - used);
    }
    if (used > 0) {
        say(notes, MOE_STYLE_plain,
            tied ? "lowest prediction, but the 90 %% intervals of others "
                   "overlap: %s at %s"
                 : "fastest, predicted: %s at %s",
            label, text);
    }
}

/* Each method that is fastest somewhere, in order of the scenario. */
static void sweep_fastest(json_t *document, const notes_t *notes)
{
    const json_t *sweep = json_object_get(document, "sweep");
    const json_t *methods = json_object_get(document, "methods");
    size_t i;

    for (i = 0; i < json_array_size(methods); ++i) {
        const char *label = text_of(json_array_get(methods, i), "label");

        fastest_at(sweep, label, false, notes);
        fastest_at(sweep, label, true, notes);
    }
}

static void oracle(json_t *document, const notes_t *notes)
{
    const json_t *methods = json_object_get(document, "methods");
    size_t i;

    for (i = 0; i < json_array_size(methods); ++i) {
        const json_t *method = json_array_get(methods, i);
        const char *twin =
            json_string_value(json_object_get(method, "identical_to"));
        const json_t *redone = json_object_get(method, "redone");

        if (json_object_get(method, "tokens_checked") == NULL) {
            continue;
        }
        say(notes, MOE_STYLE_plain,
            "%s: %lld of %lld token%s given to the oracle; %lld of %lld "
            "rounding%s redone (%lld exactly)%s%s",
            text_of(method, "label"), int_of(method, "tokens_checked"),
            int_of(document, "tokens_total"),
            moe_unit_plural(int_of(document, "tokens_total")),
            int_of(redone, "sum2") + int_of(redone, "exact"),
            int_of(redone, "elements"),
            moe_unit_plural(int_of(redone, "elements")),
            int_of(redone, "exact"),
            twin != NULL ? "; every element is that of " : "",
            twin != NULL ? twin : "");
    }
}

static long long sum_of(const json_t *list)
{
    long long sum = 0;

    for (size_t i = 0; i < json_array_size(list); ++i) {
        sum += (long long)json_integer_value(json_array_get(list, i));
    }
    return sum;
}

/* What gates with capacity kept. */
static void gates(json_t *document, const notes_t *notes)
{
    const json_t *methods = json_object_get(document, "methods");

    for (size_t i = 0; i < json_array_size(methods); ++i) {
        const json_t *method = json_array_get(methods, i);
        const json_t *gate = json_object_get(method, "gating");
        const json_t *loss = json_object_get(gate, "aux_loss");

        if (json_is_object(gate)) {
            say(notes, MOE_STYLE_plain,
                "%s: %lld rows an expert and rank, %lld pairs kept, %lld "
                "dropped, auxiliary loss of rank 0 %.7g",
                text_of(method, "label"), int_of(gate, "capacity"),
                sum_of(json_object_get(gate, "kept")),
                sum_of(json_object_get(gate, "dropped")),
                json_number_value(json_array_get(loss, 0)));
        }
    }
}

static void memory(json_t *document, const notes_t *notes)
{
    const json_t *memory = json_object_get(document, "memory");
    char peak[MOE_UNIT_SIZE];
    char most[MOE_UNIT_SIZE];
    char predicted[MOE_UNIT_SIZE];

    if (memory == NULL) {
        return;
    }
    say(notes, MOE_STYLE_plain,
        "memory: %s in all; the largest rank %s, predicted %s",
        moe_unit_bytes(int_of(document, "peak_rss_bytes"), peak),
        moe_unit_bytes(moe_results_max(json_object_get(memory, "peak_bytes")),
                       most),
        moe_unit_bytes(
            moe_results_max(json_object_get(memory, "predicted_bytes")),
            predicted));
}

void moe_results_notes(json_t *document, moe_line_func_t *line, void *self)
{
    const notes_t notes = {line, self};
    const json_t *warnings = json_object_get(document, "warnings");
    const char *status = text_of(document, "status");
    size_t i;

    all_refusals(document, &notes);
    if (!moe_results_has_sweep(document)) {
        fastest(document, &notes);
    } else {
        sweep_fastest(document, &notes);
    }
    moe_results_selection(document, line, self);
    oracle(document, &notes);
    gates(document, &notes);
    moe_results_faithful(document, line, self);
    memory(document, &notes);
    moe_results_published(document, line, self);
    for (i = 0; i < json_array_size(warnings); ++i) {
        say(&notes, MOE_STYLE_weak, "warning: %s",
            json_string_value(json_array_get(warnings, i)));
    }
    if (strcmp(status, "ok") != 0) {
        say(&notes, MOE_STYLE_bad, "status: %s", status);
    }
}
