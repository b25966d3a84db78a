/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolved scenario as YAML. A pure function of what the scenario means:
 * a comment stands where a value equals its default, whether it was written
 * or not, so that printing what was printed gives the same text.
 */
#include "config.h"

#include "sim/scenario/parts.h"

#include "base/digest.h"
#include "moe/workload.h"
#include "sim/scenario/field_print.h"
#include "sim/scenario/number.h"
#include "sim/scenario/yaml_print.h"

#include <stdlib.h>
#include <string.h>

/* A key of one word or number, with its default. */
static void print_word(const moe_printer_t *p, moe_section_t section,
                       int indent, const char *key, const char *value)
{
    const moe_key_t *row = moe_schema_find(section, key);

    (void)fprintf(p->stream, "%*s%s: ", indent, "", key);
    if (row->type == MOE_TYPE_number || row->type == MOE_TYPE_bool ||
        row->type == MOE_TYPE_int64) {
        (void)fputs(value, p->stream);
    } else {
        moe_yaml_print_text(value, p->stream);
    }
    moe_print_why(p, row,
                  row->standard != NULL && strcmp(value, row->standard) == 0);
}

static void print_flops(const moe_printer_t *p, const moe_machine_t *machine)
{
    (void)fprintf(p->stream, "  flops:\n");
    for (int i = 0; i < MOE_FORMAT_COUNT; i++) {
        if (machine->flops[i].value > 0.0) {
            (void)fprintf(p->stream,
                          "    %s: ", moe_format_name((moe_format_t)i));
            moe_print_constant(p, &machine->flops[i]);
        }
    }
}

static void print_machine(const moe_printer_t *p, const moe_scenario_t *s)
{
    if (!s->has_machine) {
        print_word(p, MOE_SECTION_scenario, 0, "machine", "none");
        return;
    }
    (void)fprintf(p->stream, "machine:\n");
    moe_print_section(p, 2, MOE_SECTION_machine, &s->machine);
    print_flops(p, &s->machine);
    (void)fprintf(p->stream, "  tiers:\n");
    for (int i = 0; i < s->machine.n_tiers; i++) {
        (void)fprintf(p->stream, "    -\n");
        moe_print_section(p, 6, MOE_SECTION_tier, &s->machine.tier[i]);
    }
}

static bool all_equal(const int64_t *tokens, int dp)
{
    for (int i = 1; i < dp; i++) {
        if (tokens[i] != tokens[0]) {
            return false;
        }
    }
    return true;
}

/* An implied key of a swept scenario is not printed: at another point other
 * keys may imply another value. */
static bool hides_ep(const moe_scenario_t *s)
{
    return s->n_sweeps > 0 && s->ep_implied &&
           s->layer.layout.ep == moe_layout_world(&s->layer.layout);
}

/* What dp is if only ep, where printed, and tp tell. */
static int implied_dp(const moe_scenario_t *s)
{
    const moe_layout_t *l = &s->layer.layout;

    return !hides_ep(s) && l->ep > l->tp ? l->ep / l->tp : 1;
}

/* Whether tokens are printed as a list, which implies dp. */
static bool prints_list(const moe_scenario_t *s)
{
    const int dp = s->layer.layout.dp;

    return !all_equal(s->tokens, dp) ||
           (s->n_sweeps > 0 && s->dp_implied && implied_dp(s) != dp);
}

static void print_layout(const moe_printer_t *p, const moe_scenario_t *s)
{
    const moe_layout_t *l = &s->layer.layout;
    int dp = prints_list(s) ? l->dp : implied_dp(s);

    (void)fprintf(p->stream, "layout:\n");
    if (s->n_sweeps == 0 || !s->dp_implied || l->dp != dp) {
        (void)fprintf(p->stream, "  dp: %d", l->dp);
        moe_print_why(p, moe_schema_find(MOE_SECTION_layout, "dp"),
                      l->dp == dp);
    }
    (void)fprintf(p->stream, "  tp: %d", l->tp);
    moe_print_why(p, moe_schema_find(MOE_SECTION_layout, "tp"), l->tp == 1);
    if (!hides_ep(s)) {
        (void)fprintf(p->stream, "  ep: %d", l->ep);
        moe_print_why(p, moe_schema_find(MOE_SECTION_layout, "ep"),
                      l->ep == moe_layout_world(l));
    }
    moe_print_placement(p, s);
}

static void print_tokens(const moe_printer_t *p, const moe_scenario_t *s)
{
    const moe_layer_t *layer = &s->layer;
    int dp = layer->layout.dp;

    if (!prints_list(s)) {
        (void)fprintf(p->stream, "  tokens: %lld\n",
                      (long long)layer->tokens[0]);
        return;
    }
    (void)fprintf(p->stream, "  tokens: [");
    for (int i = 0; i < dp; i++) {
        (void)fprintf(p->stream, "%s%lld", i > 0 ? ", " : "",
                      (long long)layer->tokens[i]);
    }
    (void)fprintf(p->stream, "]\n");
}

/* A path: whole in what is loaded again, its last part in the digest. */
static void print_path(const moe_printer_t *p, const char *path)
{
    const char *slash = strrchr(path, '/');

    moe_yaml_print_text(p->comments || slash == NULL ? path : slash + 1,
                        p->stream);
}

static void print_router(const moe_printer_t *p, const moe_scenario_t *s)
{
    char number[32];

    if (s->router == MOE_ROUTER_data) {
        print_word(p, MOE_SECTION_workload, 2, "router", "data");
    } else if (s->router == MOE_ROUTER_trace) {
        (void)fprintf(p->stream, "  router:\n    trace: ");
        print_path(p, s->router_trace);
        (void)fputc('\n', p->stream);
    } else {
        (void)fprintf(p->stream, "  router:\n    sample: %s\n",
                      moe_sampler_name(s->sampler.kind));
        if (s->sampler.kind == MOE_SAMPLER_zipf) {
            moe_number_text(s->sampler.s, number, sizeof(number));
            print_word(p, MOE_SECTION_router, 4, "s", number);
        }
        if (moe_sampler_is_workload(s->sampler.kind)) {
            (void)snprintf(number, sizeof(number), "%lld",
                           (long long)s->sampler.step);
            print_word(p, MOE_SECTION_router, 4, "step", number);
        }
    }
}

static void print_data(const moe_printer_t *p, const moe_scenario_t *s)
{
    if (s->hidden_file == NULL && s->gate_file == NULL) {
        print_word(p, MOE_SECTION_workload, 2, "data",
                   moe_data_name(s->layer.data));
        return;
    }
    (void)fprintf(p->stream, "  data:\n");
    if (s->hidden_file != NULL) {
        (void)fprintf(p->stream, "    hidden: ");
        print_path(p, s->hidden_file);
        (void)fputc('\n', p->stream);
    }
    if (s->gate_file != NULL) {
        (void)fprintf(p->stream, "    gate: ");
        print_path(p, s->gate_file);
        (void)fputc('\n', p->stream);
    }
}

static void print_sweeps(const moe_printer_t *p, const moe_scenario_t *s)
{
    if (s->n_sweeps > 0) {
        (void)fprintf(p->stream, "sweep:\n");
    }
    for (size_t i = 0; i < s->n_sweeps; i++) {
        (void)fprintf(p->stream, "  ");
        moe_yaml_print_text(s->sweep[i].path, p->stream);
        (void)fprintf(p->stream, ": [");
        for (size_t k = 0; k < s->sweep[i].n; k++) {
            (void)fprintf(p->stream, "%s%s", k > 0 ? ", " : "",
                          s->sweep[i].value[k]);
        }
        (void)fprintf(p->stream, "]\n");
    }
}

/* What a published number is compared with, if it is. */
static void print_compared(const moe_printer_t *p, const moe_published_t *of)
{
    const char *const keys[] = {"method", "to", "at"};
    const char *const values[] = {of->method, of->to, of->at};
    const moe_key_t *quantity =
        moe_schema_find(MOE_SECTION_published, "quantity");
    char word[32];

    for (size_t i = 0; i < 3; i++) {
        if (values[i][0] != '\0') {
            (void)fprintf(p->stream, "    %s: ", keys[i]);
            moe_yaml_print_text(values[i], p->stream);
            (void)fputc('\n', p->stream);
        }
    }
    if (of->quantity != 0 &&
        moe_words_get(quantity->words, of->quantity, word, sizeof(word))) {
        (void)fprintf(p->stream, "    quantity: %s\n", word);
    }
}

static void print_published(const moe_printer_t *p, const moe_scenario_t *s)
{
    char number[32];

    if (s->n_published > 0) {
        (void)fprintf(p->stream, "published:\n");
    }
    for (size_t i = 0; i < s->n_published; i++) {
        moe_number_text(s->published[i].value, number, sizeof(number));
        (void)fprintf(p->stream, "  - what: ");
        moe_yaml_print_text(s->published[i].what, p->stream);
        (void)fprintf(p->stream, "\n    value: %s\n    unit: ", number);
        moe_yaml_print_text(s->published[i].unit, p->stream);
        (void)fprintf(p->stream, "\n    source: ");
        moe_yaml_print_text(s->published[i].source, p->stream);
        (void)fputc('\n', p->stream);
        print_compared(p, &s->published[i]);
    }
}

static void print_head(const moe_printer_t *p, const moe_scenario_t *s)
{
    (void)fprintf(p->stream, "moesim: 1\nname: ");
    moe_yaml_print_text(s->name, p->stream);
    if (s->source[0] != '\0') {
        (void)fprintf(p->stream, "\nsource: ");
        moe_yaml_print_text(s->source, p->stream);
    }
    (void)fprintf(p->stream, "\nmodel:\n");
    moe_print_section(p, 2, MOE_SECTION_model, &s->model);
    print_machine(p, s);
}

moe_status_t moe_scenario_text(const moe_scenario_t *s, bool digest,
                               FILE *stream)
{
    const moe_printer_t p = {.stream = stream, .comments = !digest};
    const moe_key_t *numerics =
        moe_schema_find(MOE_SECTION_scenario, "numerics");

    print_head(&p, s);
    print_layout(&p, s);
    (void)fprintf(stream, "workload:\n");
    print_word(&p, MOE_SECTION_workload, 2, "phase",
               moe_phase_name(s->layer.phase));
    print_tokens(&p, s);
    print_router(&p, s);
    print_data(&p, s);
    print_word(&p, MOE_SECTION_workload, 2, "poison",
               s->layer.poison ? "true" : "false");
    moe_print_precision(&p, s);
    (void)fprintf(stream, "numerics: ");
    (void)fputs(s->layer.chain.numerics == MOE_NUMERICS_exact ? "exact"
                                                              : "faithful",
                stream);
    moe_print_why(&p, numerics, s->layer.chain.numerics == MOE_NUMERICS_exact);
    moe_print_methods(&p, s);
    moe_print_select(&p, &s->select);
    (void)fprintf(stream, "seed: %llu", (unsigned long long)s->seed);
    moe_print_why(&p, moe_schema_find(MOE_SECTION_scenario, "seed"),
                  s->seed == 0);
    print_sweeps(&p, s);
    print_published(&p, s);
    return ferror(stream) ? moe_fail(MOE_ERR_IO, "cannot write the scenario")
                          : MOE_OK;
}

moe_status_t moe_scenario_print(const moe_scenario_t *scenario, FILE *stream)
{
    return moe_scenario_text(scenario, false, stream);
}

moe_status_t moe_scenario_set_digest(moe_scenario_t *scenario)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    moe_status_t status = MOE_OK;

    if (stream != NULL) {
        status = moe_scenario_text(scenario, true, stream);
    }
    if (stream == NULL || fclose(stream) != 0) {
        free(text);
        return moe_fail(MOE_ERR_NOMEM, "out of memory for the digest");
    }
    if (status == MOE_OK) {
        moe_digest_hex(text, size, scenario->digest);
    }
    free(text);
    return status;
}
