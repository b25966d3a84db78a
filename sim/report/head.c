/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/report/head.h"

#include "reports/schema.h"
#include "sim/report/method_json.h"
#include "sim/scenario/schema.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
}

static json_t *command_line(const moe_command_t *command)
{
    json_t *words = json_array();
    int i;

    for (i = 0; i < command->argc; ++i) {
        /* A word that is no UTF-8 has no place in JSON. */
        json_t *word = json_string(command->argv[i]);

        if (word == NULL) {
            word = json_string("(not UTF-8)");
        }
        (void)moe_json_append(words, word);
    }
    return words;
}

static json_t *text_or_null(const char *text)
{
    return text != NULL && *text != '\0' ? json_string(text) : json_null();
}

static json_t *scenario_object(const moe_scenario_t *scenario)
{
    json_t *file = text_or_null(scenario->file);

    return json_pack("{s:s, s:s, s:o, s:o}", "name", scenario->name, "digest",
                     scenario->digest, "source", text_or_null(scenario->source),
                     "file", file != NULL ? file : json_string("(not UTF-8)"));
}

static json_t *placement_object(const moe_layer_t *layer)
{
    const moe_placing_t *place = &layer->place;

    return json_pack("{s:s, s:I, s:I, s:s, s:s}", "kind",
                     moe_placing_name(place->kind), "redundant",
                     (json_int_t)place->redundant, "slots",
                     (json_int_t)layer->model->experts, "replicas",
                     moe_replica_name(place->replica), "load",
                     place->kind != MOE_PLACING_eplb ? "none"
                     : place->load != NULL           ? "given"
                                                     : "of the routing");
}

static json_t *layout_object(const moe_layer_t *layer)
{
    const moe_layout_t *layout = &layer->layout;
    json_t *object =
        json_pack("{s:i, s:i, s:i, s:i}", "dp", layout->dp, "tp", layout->tp,
                  "ep", layout->ep, "node", layout->node);

    if (moe_layer_is_placed(layer) &&
        !moe_json_set(object, "placement", placement_object(layer))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *model_object(const moe_model_t *model)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:i}", "name", model->name,
                     "source", model->source, "hidden",
                     (json_int_t)model->hidden, "intermediate",
                     (json_int_t)model->intermediate, "experts",
                     (json_int_t)model->experts, "topk", model->topk);
}

static json_t *machine_object(const moe_scenario_t *scenario)
{
    const moe_machine_t *machine = &scenario->machine;

    if (!scenario->has_machine) {
        return json_null();
    }
    return json_pack("{s:s, s:s, s:s}", "name", machine->name, "device",
                     machine->device, "source", machine->source);
}

static json_t *routing_object(const moe_command_t *command,
                              const moe_scenario_t *scenario)
{
    static const char *const routers[] = {[MOE_ROUTER_data] = "data",
                                          [MOE_ROUTER_sample] = "sample",
                                          [MOE_ROUTER_trace] = "trace"};
    const char *drawn = moe_sampler_name(scenario->sampler.kind);
    const char *how = "computed from the hidden states";
    char text[128];

    if (scenario->router == MOE_ROUTER_trace) {
        how = "read from a file";
    } else if (scenario->router == MOE_ROUTER_sample) {
        (void)snprintf(text, sizeof(text), "drawn: %s", drawn);
        how = text;
    } else if (command->verb == MOE_VERB_price) {
        how = "drawn: uniform, in place of the data's own";
    }
    return json_pack("{s:s, s:s}", "router", routers[scenario->router], "how",
                     how);
}

static json_t *seed_value(uint64_t seed)
{
    char text[32];

    if (seed <= INT64_MAX) {
        return json_integer((json_int_t)seed);
    }
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)seed);
    return json_string(text);
}

/* With what a published number is compared. */
static bool set_compared(json_t *one, const moe_published_t *p)
{
    const moe_key_t *key = moe_schema_find(MOE_SECTION_published, "quantity");
    char word[32] = "";

    (void)moe_words_get(key->words, p->quantity, word, sizeof(word));
    return moe_json_set(one, "method", json_string(p->method)) &&
           moe_json_set(one, "quantity", json_string(word)) &&
           moe_json_set(one, "to", json_string(p->to)) &&
           moe_json_set(one, "at", json_string(p->at));
}

static json_t *published_list(const moe_scenario_t *scenario)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < scenario->n_published; ++i) {
        const moe_published_t *p = &scenario->published[i];

        json_t *one = json_pack("{s:s, s:f, s:s, s:s}", "what", p->what,
                                "value", p->value, "unit", p->unit, "source",
                                p->source != NULL ? p->source : "");

        (void)(p->method[0] == '\0' || set_compared(one, p));
        (void)moe_json_append(list, one);
    }
    return list;
}

/* When the command was started, not when its report was. */
static json_t *started(const moe_command_t *command)
{
    char text[32] = "?";
    time_t seconds = command->started;
    struct tm utc;

    if (gmtime_r(&seconds, &utc) != NULL) {
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    return json_string(text);
}

static bool set_what(json_t *d, const moe_command_t *command,
                     const moe_scenario_t *scenario)
{
    const char *backend = command->backend == MOE_RUN_ON_gpu ? "gpu" : "ref";

    return moe_json_set(d, "schema", json_string(MOE_REPORT_SCHEMA)) &&
           moe_json_set(d, "moesim", json_string(PACKAGE_VERSION)) &&
           moe_json_set(d, "command",
                        json_string(moe_verb_name(command->verb))) &&
           moe_json_set(d, "command_line", command_line(command)) &&
           moe_json_set(d, "scenario", scenario_object(scenario)) &&
           moe_json_set(d, "started", started(command)) &&
           moe_json_set(d, "status", json_string("ok")) &&
           moe_json_set(d, "warnings", json_array()) &&
           moe_json_set(
               d, "backend",
               json_string(command->verb == MOE_VERB_price ? "meta" : backend));
}

static bool set_layer(json_t *d, const moe_command_t *command,
                      const moe_scenario_t *scenario)
{
    const moe_layer_t *layer = &scenario->layer;
    bool exact = layer->chain.numerics == MOE_NUMERICS_exact;

    return moe_json_set(d, "ranks",
                        json_integer(moe_layout_world(&layer->layout))) &&
           moe_json_set(d, "layout", layout_object(layer)) &&
           moe_json_set(d, "model", model_object(&scenario->model)) &&
           moe_json_set(d, "machine", machine_object(scenario)) &&
           moe_json_set(d, "numerics",
                        json_string(exact ? "exact" : "faithful")) &&
           moe_json_set(d, "phase",
                        json_string(moe_phase_name(layer->phase))) &&
           moe_json_set(d, "seed", seed_value(scenario->seed)) &&
           moe_json_set(d, "routing", routing_object(command, scenario)) &&
           moe_report_set_tokens(d, layer) == MOE_OK;
}

moe_status_t moe_report_set_tokens(json_t *object, const moe_layer_t *layer)
{
    json_t *tokens = json_array();
    bool good = tokens != NULL;
    int i;

    for (i = 0; i < layer->layout.dp && good; ++i) {
        good = moe_json_append(tokens, json_integer(layer->tokens[i]));
    }
    good = moe_json_set(object, "tokens", tokens) && good &&
           moe_json_set(object, "tokens_total",
                        json_integer(moe_layer_total_tokens(layer)));
    return good ? MOE_OK : no_memory();
}

/* Ranks without an expert only wait, which is seldom meant. */
static bool warn_idle(json_t *d, const moe_scenario_t *s)
{
    const long long experts = (long long)s->layer.model->experts;
    const int ep = s->layer.layout.ep;

    return ep <= experts ||
           moe_json_append(
               json_object_get(d, "warnings"),
               json_sprintf("ep is %d and %s has %lld expert%s: %lld of each "
                            "%d ranks hold%s none",
                            ep, s->model.name, experts, experts == 1 ? "" : "s",
                            ep - experts, ep, ep - experts == 1 ? "s" : ""));
}

/* Who places serves what comes later; here it is known. */
static bool warn_placed(json_t *d, const moe_layer_t *layer)
{
    return layer->place.kind != MOE_PLACING_eplb || layer->place.load != NULL ||
           moe_json_append(
               json_object_get(d, "warnings"),
               json_string("eplb placed experts by the load of the routing "
                           "that they then had, the best that EPLB could "
                           "know: layout.placement.load gives another"));
}

moe_status_t moe_report_head(const moe_command_t *command,
                             const moe_scenario_t *scenario,
                             json_t **document_p)
{
    json_t *d = json_object();

    if (!set_what(d, command, scenario) || !set_layer(d, command, scenario) ||
        (scenario->n_published > 0 &&
         !moe_json_set(d, "published", published_list(scenario))) ||
        !moe_json_set(d, "methods", json_array()) || !warn_idle(d, scenario) ||
        !warn_placed(d, &scenario->layer)) {
        json_decref(d);
        return no_memory();
    }
    *document_p = d;
    return MOE_OK;
}

static moe_status_t warn_once(json_t *document, const char *text)
{
    json_t *warnings = json_object_get(document, "warnings");
    size_t i;

    for (i = 0; i < json_array_size(warnings); ++i) {
        if (strcmp(json_string_value(json_array_get(warnings, i)), text) == 0) {
            return MOE_OK;
        }
    }
    if (!moe_json_append(warnings, json_string(text))) {
        return no_memory();
    }
    return MOE_OK;
}

moe_status_t moe_report_warn(json_t *document, const char *format, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return warn_once(document, text);
}

moe_status_t moe_report_add_method(json_t *document, json_t *methods,
                                   json_t *method)
{
    const json_t *warnings = json_object_get(method, "warnings");
    moe_status_t status = MOE_OK;
    size_t i;

    for (i = 0; i < json_array_size(warnings) && status == MOE_OK; ++i) {
        status =
            warn_once(document, json_string_value(json_array_get(warnings, i)));
    }
    if (!moe_json_append(methods, method)) {
        return no_memory();
    }
    return status;
}

moe_status_t moe_report_add_left_out(const moe_scenario_t *scenario,
                                     json_t *methods)
{
    size_t i;

    for (i = 0; i < scenario->n_left_out; ++i) {
        const moe_left_out_t *out = &scenario->left_out[i];

        if (!moe_json_append(methods,
                             json_pack("{s:s, s:s, s:{}, s:s}", "name",
                                       out->label, "label", out->label,
                                       "options", "refused", out->why))) {
            return no_memory();
        }
    }
    return MOE_OK;
}

moe_status_t moe_report_strict(const moe_command_t *command,
                               const json_t *document)
{
    if (command->strict &&
        json_array_size(json_object_get(document, "warnings")) > 0) {
        return moe_fail(MOE_ERR_INPUT, "a warning, with --strict");
    }
    return MOE_OK;
}
