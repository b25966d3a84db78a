/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/fill.h"
#include "ref/grid.h"
#include "sim/methods/registry.h"
#include "sim/scenario/parts.h"

#include <stdlib.h>
#include <string.h>

#define METHODS_MAX 64
#define NAMES_MAX   128
#define LISTED      "one of 'moesim list methods'"

static const moe_method_t *find_method(const moe_at_t *at, const char *name)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    const moe_method_t *method = moe_method_find(name);
    const char *near;

    if (method != NULL) {
        return method;
    }
    while (n < NAMES_MAX && (int)n < moe_method_count()) {
        names[n] = moe_method_get((int)n)->name;
        n++;
    }
    near = moe_nearest(name, names, n);
    moe_at_error(at, "'%.100s' is no method, expected " LISTED "%s%s%s", name,
                 near != NULL ? "; did you mean '" : "",
                 near != NULL ? near : "", near != NULL ? "'?" : "");
    return NULL;
}

int moe_method_option_place(const moe_method_t *method, const char *key)
{
    for (int i = 0; method->options[i].key != NULL; i++) {
        if (strcmp(method->options[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

void moe_method_use_start(const moe_layer_t *layer, const moe_method_t *method,
                          moe_method_use_t *use_p)
{
    int combine = moe_method_option_place(method, "combine");

    *use_p = (moe_method_use_t){.method = method};
    if (method->layout != NULL) {
        use_p->layout = layer->layout;
        method->layout(&use_p->layout);
    }
    moe_option_defaults(method, layer->chain.at[MOE_ROLE_hidden].format,
                        use_p->options);
    if (combine >= 0) {
        use_p->options[combine] = layer->chain.at[MOE_ROLE_combine].format;
    }
}

/* The chain of a method: the layer's with its own dispatch and combine. */
static void finish_chain(const moe_layer_t *layer, moe_method_use_t *use)
{
    int dispatch = moe_method_option_place(use->method, "dispatch");
    int combine = moe_method_option_place(use->method, "combine");
    moe_storage_t *sent = &use->chain.at[MOE_ROLE_dispatch];
    moe_storage_t *home = &use->chain.at[MOE_ROLE_combine];

    moe_contract_t contract =
        moe_method_contract(use->method, layer->model, use->options);

    moe_contract_of_model(layer->model, &contract);
    use->chain = layer->chain;
    moe_chain_take(&use->chain, &contract);
    if (dispatch >= 0) {
        *sent = (moe_storage_t){.format = (moe_format_t)use->options[dispatch]};
        if (sent->format == layer->chain.at[MOE_ROLE_expert_in].format) {
            *sent = layer->chain.at[MOE_ROLE_expert_in];
        }
        moe_chain_default(&layer->chain, sent,
                          moe_data_bound(layer->data, MOE_FILL_HIDDEN_BOUND));
    }
    if (combine >= 0) {
        *home = (moe_storage_t){.format = (moe_format_t)use->options[combine]};
        /* E4M3 without a scale is a cast (TensorRT-LLM) */
        moe_chain_default(
            &layer->chain, home,
            home->format == MOE_FORMAT_fp8_tensor
                ? 0.0f
                : moe_data_bound(layer->data, MOE_FILL_ACT_BOUND));
    }
}

static void read_label(const moe_at_t *at, moe_method_use_t *use)
{
    const char *text = moe_at_text(at, "a label");

    if (text == NULL || !moe_at_is_plain(at, text)) {
        return;
    }
    if (strlen(text) >= sizeof(use->label)) {
        moe_at_error(at, "has %zu characters, expected at most %zu",
                     strlen(text), sizeof(use->label) - 1);
        return;
    }
    memcpy(use->label, text, strlen(text) + 1);
}

/* Options of a method, and what every entry of the list may have. */
static size_t names_of(const moe_method_t *method, const char **names)
{
    size_t n = 0;

    while (n < MOE_OPTIONS_MAX && method->options[n].key != NULL) {
        names[n] = method->options[n].key;
        n++;
    }
    names[n++] = "label";
    names[n++] = "layout";
    return n;
}

static void unknown_option(const moe_at_t *map, size_t i,
                           const moe_method_t *method)
{
    const char *names[MOE_OPTIONS_MAX + 2];
    const size_t n = names_of(method, names);
    const char *near = moe_nearest(map->node->key[i], names, n);
    char all[400] = "";
    size_t used = 0;

    for (size_t k = 0; k < n && used < sizeof(all); k++) {
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
                                 k > 0 ? ", " : "", names[k]);
    }
    moe_at_key_error(map, i, "%s has no such option, expected one of: %s%s%s%s",
                     method->name, all, near == NULL ? "" : "; did you mean '",
                     near == NULL ? "" : near, near == NULL ? "" : "'?");
}

static void read_options(const moe_build_t *b, const moe_at_t *map,
                         moe_method_use_t *use)
{
    moe_at_t option;
    const char *text;
    char expected[MOE_OPTION_TEXT];

    if (!moe_at_expect(map, MOE_YAML_MAP, "a map of options")) {
        return;
    }
    for (size_t i = 0; i < map->node->n; i++) {
        option = moe_at_entry(map, i);
        if (strcmp(option.key, "label") == 0) {
            read_label(&option, use);
            continue;
        }
        if (strcmp(option.key, "layout") == 0) {
            moe_method_read_layout(b, &option, use);
            continue;
        }
        if (moe_method_option_place(use->method, option.key) < 0) {
            unknown_option(map, i, use->method);
            continue;
        }
        text = moe_at_text(&option, "the value of an option");
        if (text != NULL && !moe_option_set(use->method, option.key, text,
                                            use->options, expected)) {
            moe_at_error(&option, "is '%.100s', expected %s", text, expected);
        }
    }
}

/* Keys beside the first are told, and it is read all the same. */
static void check_one_method(const moe_at_t *at)
{
    for (size_t i = 1; i < at->node->n; i++) {
        moe_at_key_error(at, i,
                         "is beside %.100s, expected one method with its "
                         "options, another method as an entry of its own",
                         at->node->key[0]);
    }
}

/* One entry: NAME, or {NAME: {option: value}}. False if it is no method. */
static bool read_entry(const moe_build_t *b, const moe_at_t *at,
                       moe_method_use_t *use)
{
    const moe_method_t *method;
    const char *name;
    moe_at_t options = {0};

    if (moe_at_is(at, MOE_YAML_MAP)) {
        if (at->node->n < 1) {
            moe_at_error(at, "is empty, expected a method with its options");
            return false;
        }
        check_one_method(at);
        options = moe_at_entry(at, 0);
        name = options.key;
    } else {
        name = moe_at_text(at, "a method, or {method: {option: value}}");
    }
    method = name == NULL ? NULL : find_method(at, name);
    if (method == NULL) {
        return false;
    }
    moe_method_use_start(&b->s->layer, method, use);
    if (moe_at_is(at, MOE_YAML_MAP)) {
        read_options(b, &options, use);
        moe_method_check_used(b, &options, use);
    }
    finish_chain(&b->s->layer, use);
    return true;
}

/* Why a use cannot run, NULL if it can or nothing is known yet. */
static const char *why_not(const moe_build_t *b, const moe_method_use_t *use)
{
    const moe_storage_t *sent = &use->chain.at[MOE_ROLE_dispatch];
    moe_layer_t layer;
    const char *why;

    if (!b->model_ok || !b->layout_ok || !b->precision_ok) {
        return NULL;
    }
    layer = moe_method_layer(&b->s->layer, use);
    if (!moe_format_fits(sent->format, layer.model->hidden)) {
        return "the hidden size is no multiple of the dispatch format's block";
    }
    why = use->method->check(&layer, use->options);
    return why != NULL
               ? why
               : moe_grid_chain_refuses(layer.data, layer.model, &use->chain);
}

static void check_use(const moe_build_t *b, const moe_at_t *at,
                      const moe_method_use_t *use)
{
    const char *why = why_not(b, use);

    if (why != NULL) {
        moe_at_error(at, "%s cannot run here: %s", use->method->name, why);
    }
}

/* One more use, unless its entry has a problem: what it would have been is
 * not known then, and it is compared with no other. */
static moe_status_t read_use(moe_build_t *b, const moe_at_t *at)
{
    moe_method_use_t *use = &b->s->method[b->s->n_methods];
    size_t before = moe_diag_count(at->source->diag);

    if (!read_entry(b, at, use)) {
        return MOE_OK;
    }
    if (moe_method_cut_tokens(&b->s->layer, use) != MOE_OK) {
        return MOE_ERR_NOMEM;
    }
    check_use(b, at, use);
    if (moe_diag_count(at->source->diag) > before) {
        moe_method_use_fini(use);
    } else {
        b->s->n_methods++;
    }
    return MOE_OK;
}

static moe_status_t read_list(moe_build_t *b, const moe_at_t *list)
{
    moe_scenario_t *s = b->s;
    size_t entry[METHODS_MAX]; /* [n_methods] where in the list each stands */

    if (list->node->n < 1 || list->node->n > METHODS_MAX) {
        moe_at_error(list, "has %zu methods, expected 1 to %d", list->node->n,
                     METHODS_MAX);
        return MOE_OK;
    }
    s->method = calloc(list->node->n, sizeof(*s->method));
    if (s->method == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for %zu methods",
                        list->node->n);
    }
    for (size_t i = 0; i < list->node->n; i++) {
        moe_at_t at = moe_at_item(list, i);

        entry[s->n_methods] = i;
        if (read_use(b, &at) != MOE_OK) {
            return MOE_ERR_NOMEM;
        }
    }
    moe_scenario_label(b, list, entry);
    return MOE_OK;
}

/* A method with several dispatch formats is left out once for each. */
static void label_left_out(const moe_method_use_t *use, char *out, size_t size)
{
    int place = moe_method_option_place(use->method, "dispatch");
    char text[MOE_OPTION_TEXT];

    (void)snprintf(out, size, "%s%s%s", use->method->name, place < 0 ? "" : "-",
                   place < 0 ? ""
                             : moe_option_text(&use->method->options[place],
                                               use->options[place], text));
}

/* Add a use that `all` means, or why it cannot run. */
static moe_status_t add_all(moe_build_t *b, const moe_method_use_t *wanted)
{
    moe_scenario_t *s = b->s;
    moe_method_use_t *use = &s->method[s->n_methods];
    const char *why;

    *use = *wanted;
    if (!moe_contract_computes(&use->method->contract)) {
        return MOE_OK; /* it computes nothing: only where it is named */
    }
    finish_chain(&s->layer, use);
    if (moe_method_cut_tokens(&s->layer, use) != MOE_OK) {
        return MOE_ERR_NOMEM;
    }
    why = why_not(b, use);
    if (why == NULL) {
        s->n_methods++;
        return MOE_OK;
    }
    label_left_out(use, s->left_out[s->n_left_out].label,
                   sizeof(s->left_out[s->n_left_out].label));
    moe_method_use_fini(use);
    s->left_out[s->n_left_out++].why = why;
    return MOE_OK;
}

/* Every method with every dispatch format that it has. */
static moe_status_t read_all(moe_build_t *b, const moe_at_t *at)
{
    moe_scenario_t *s = b->s;
    size_t max = (size_t)moe_method_count() * MOE_FORMAT_COUNT;
    moe_status_t status = MOE_OK;
    moe_method_use_t use;
    int place;

    s->method = calloc(max, sizeof(*s->method));
    s->left_out = calloc(max, sizeof(*s->left_out));
    if (s->method == NULL || s->left_out == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for %zu methods", max);
    }
    for (int i = 0; status == MOE_OK && i < moe_method_count(); i++) {
        moe_method_use_start(&s->layer, moe_method_get(i), &use);
        place = moe_method_option_place(use.method, "dispatch");
        if (place < 0) {
            status = add_all(b, &use);
        }
        for (int f = 0; status == MOE_OK && place >= 0 && f < MOE_FORMAT_COUNT;
             f++) {
            if (moe_option_set(use.method, "dispatch",
                               moe_format_name((moe_format_t)f), use.options,
                               NULL)) {
                status = add_all(b, &use);
            }
        }
    }
    if (status != MOE_OK) {
        return status;
    }
    for (size_t i = 0; s->n_methods == 0 && i < s->n_left_out; i++) {
        moe_at_error(at, "no method can run here: %s: %s", s->left_out[i].label,
                     s->left_out[i].why);
    }
    moe_scenario_label(b, at, NULL);
    return MOE_OK;
}

moe_status_t moe_scenario_read_methods(moe_build_t *b)
{
    moe_at_t at = moe_at_key(&b->root, "methods");
    bool by_price = false;
    bool all = false;

    if (!moe_at_given(&at)) {
        return MOE_OK; /* told by the scenario's own section */
    }
    if (moe_at_is(&at, MOE_YAML_SCALAR)) {
        by_price = strcmp(at.node->text, "auto") == 0;
        all = by_price || strcmp(at.node->text, "all") == 0;
    }
    moe_scenario_read_select(b, by_price);
    if (all) {
        return read_all(b, &at);
    }
    if (!moe_at_expect(&at, MOE_YAML_LIST,
                       "a list of methods, 'all' or 'auto'")) {
        return MOE_OK;
    }
    return read_list(b, &at);
}
